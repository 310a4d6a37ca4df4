"""The image encoder equals a plain one, with and without learned rows and hooks."""

import pytest
import torch
from clip.model import CLIP, ResidualAttentionBlock, convert_weights

from clip_prompts.clip import precision
from clip_prompts.clip.precision import Precision
from clip_prompts.common.errors import UserError
from clip_prompts.encoders import blocks, image_encoder
from clip_prompts.encoders.blocks import BlockHook
from clip_prompts.encoders.image_encoder import ImageEncoder
from tests.trainers import plain

LAYERS, WIDTH = 3, 64
DEPTHS = {"input only": (), "depth 2": (1,), "full": (1, 2)}


def small_visual(vision_layers=LAYERS):
    torch.manual_seed(0)
    patch = None if isinstance(vision_layers, tuple) else 16
    model = CLIP(64, 64, vision_layers, WIDTH, patch, 77, 100, 64, 1, 2)
    return model.float().eval().requires_grad_(False).visual


VISUAL = small_visual()


def rows(count, seed=0):
    return (0.5 * torch.randn(count, WIDTH, generator=torch.Generator().manual_seed(seed))).requires_grad_()


def images(batch=2, seed=2):
    return torch.randn(batch, 3, 64, 64, generator=torch.Generator().manual_seed(seed))


def assert_close(ours, theirs, relative):
    assert 0 < theirs.norm() and (ours - theirs).norm() <= relative * theirs.norm()


def compare(image, learned, ours, theirs):
    """Features within 1e-5, gradients of what is learned within 1e-4, relative."""
    assert_close(ours, theirs, 1e-5)
    weight = torch.randn(theirs.shape, generator=torch.Generator().manual_seed(3))
    found, expected = (torch.autograd.grad((f * weight).sum(), learned) for f in (ours, theirs))
    for one, other in zip(found, expected, strict=True):
        assert_close(one, other, 1e-4)


@pytest.fixture(params=(True, False), ids=("all through oneDNN", "small products"))
def _small(request, monkeypatch):
    if request.param:
        monkeypatch.setattr(blocks, "SMALL", 0)


@pytest.mark.parametrize("batch", (1, 4))
def test_without_rows_it_is_clips_own(batch, _small):
    """Equal up to rounding: attention is fused, and QuickGELU is computed by another formula."""
    image, same = images(batch).requires_grad_(), images(batch).requires_grad_()
    ours, theirs = ImageEncoder(VISUAL)(image), VISUAL(same)
    assert_close(ours, theirs, 1e-5)
    (ours**2).sum().backward()
    (theirs**2).sum().backward()
    assert_close(image.grad, same.grad, 1e-4)


@pytest.mark.parametrize("empty", ({"deep": {}}, {"inserted": {}, "hooks": {}}, {"rows": None}), ids=str)
def test_empty_arguments_change_no_bit(empty):
    encoder = ImageEncoder(VISUAL)
    assert torch.equal(encoder(images(), **empty), encoder(images()))


def test_it_holds_clips_own_modules_and_changes_none():
    encoder = ImageEncoder(VISUAL)
    assert encoder.visual is VISUAL
    assert {type(block) for block in VISUAL.transformer.resblocks} == {ResidualAttentionBlock}
    assert (encoder.input_resolution, encoder.output_dim, encoder.tokens, encoder.dtype) == (64, 64, 17, torch.float32)
    assert encoder.is_frozen
    trained = ImageEncoder(small_visual())
    trained.visual.proj.requires_grad_()
    assert not trained.is_frozen


@pytest.mark.parametrize("batch", (1, 4))
@pytest.mark.parametrize("layers", DEPTHS.values(), ids=DEPTHS)
def test_appended_and_deep_rows(layers, batch, _small):
    first, deep = rows(3), {layer: rows(3, layer) for layer in layers}
    ours = ImageEncoder(VISUAL)(images(batch), first, deep)
    theirs = torch.stack([plain.image_states(VISUAL, image, first, deep)[0] for image in images(batch)])
    compare(images(batch), [first, *deep.values()], ours, theirs @ VISUAL.proj)


@pytest.mark.parametrize("layers", ((0,), (1, 2), (2,)), ids=str)
def test_inserted_rows_and_their_mean(layers):
    inserted = {layer: rows(5, layer) for layer in layers}
    ours = ImageEncoder(VISUAL).encode(images(4), inserted=inserted)
    states = [plain.image_states(VISUAL, image, inserted=inserted) for image in images(4)]
    cls, mean = torch.stack([s[0] for s in states]), torch.stack([s[1:6].mean(dim=0) for s in states])
    theirs = torch.cat([cls @ VISUAL.proj, mean], dim=1)
    compare(images(4), list(inserted.values()), torch.cat(ours, dim=1), theirs)
    assert ImageEncoder(VISUAL).encode(images()).inserted is None


class LowRank(BlockHook):
    """Low-rank updates of the projections of attention."""

    def __init__(self):
        self.a, self.b, self.out = rows(2, 5), rows(3 * 2, 6).reshape(3 * WIDTH, 2).detach(), rows(WIDTH, 7)
        self.b.requires_grad_()
        self.learned = [self.a, self.b, self.out]

    def queries_keys_values(self, normed, qkv):
        return qkv + normed @ self.a.t() @ self.b.t()

    def projection(self, seen, x):
        return x + seen @ self.out.t()


class Adapter(BlockHook):
    """A second path next to attention and MLP."""

    def __init__(self):
        self.down, self.up = rows(4, 8), rows(4, 9)
        self.learned = [self.down, self.up]

    def after(self, normed, x):
        return x + torch.relu(normed @ self.down.t()) @ self.up


@pytest.mark.parametrize("kind", (LowRank, Adapter))
@pytest.mark.parametrize("layers", ((0,), (1,), (0, 1, 2)), ids=str)
def test_hooks(layers, kind):
    hooks = {layer: kind() for layer in layers}
    ours = ImageEncoder(VISUAL)(images(), hooks=hooks)
    theirs = torch.stack([plain.image_states(VISUAL, image, hooks=hooks)[0] for image in images()])
    compare(images(), [t for hook in hooks.values() for t in hook.learned], ours, theirs @ VISUAL.proj)


def test_a_hook_of_the_last_layer_sees_only_what_is_read():
    seen = []

    class Spy(BlockHook):
        def after(self, normed, x):
            seen.append((len(normed), len(x)))
            return x

    ImageEncoder(VISUAL)(images(), hooks={0: Spy(), 2: Spy()})
    assert seen == [(2 * 17, 2 * 17), (2, 2)]


def test_resnets_and_other_blocks_compute_their_own_forward_pass():
    resnet = small_visual((1, 1, 1, 1))
    encoder = ImageEncoder(resnet)
    assert torch.equal(encoder(images()), resnet(images()))
    assert (encoder.tokens, encoder.output_dim, encoder.input_resolution) == (2 * 2 + 1, 64, 64)
    for given in ({"rows": rows(2)}, {"deep": {1: rows(2)}}, {"inserted": {0: rows(2)}}, {"hooks": {0: LowRank()}}):
        with pytest.raises(UserError, match="ModifiedResNet does not accept learned image rows .* Choose a ViT"):
            encoder(images(), **given)

    class Doubled(ResidualAttentionBlock):
        def forward(self, x):
            return 2 * x

    visual = small_visual(1)
    visual.transformer.resblocks[0].__class__ = Doubled
    assert torch.equal(ImageEncoder(visual)(images()), visual(images()))


@pytest.fixture
def sizes(monkeypatch):
    """Numbers of images that are encoded at once, at most 2."""
    found, encode = [], ImageEncoder._encode
    monkeypatch.setattr(image_encoder, "PIXELS_AT_ONCE", 2 * 64 * 64 + 1)
    monkeypatch.setattr(
        ImageEncoder, "_encode", lambda self, x, *given: found.append(len(x)) or encode(self, x, *given)
    )
    return found


GIVEN = {
    "nothing": lambda: {},
    "appended and deep rows": lambda: {"rows": rows(3), "deep": {1: rows(3, 1)}},
    "inserted rows": lambda: {"inserted": {1: rows(5)}},
    "hooks": lambda: {"hooks": {0: LowRank(), 2: Adapter()}},
}


@pytest.mark.parametrize("given", GIVEN.values(), ids=GIVEN)
def test_chunks_change_nothing(given, sizes):
    encoder = ImageEncoder(VISUAL)
    with torch.no_grad():
        ours = encoder.encode(images(5), **given())
        assert sizes == [2, 2, 1]
        theirs = [encoder.encode(image, **given()) for image in images(5).split(1)]
    assert ours.features.shape == (5, 64) and (ours.inserted is None) == (theirs[0].inserted is None)
    for name in [name for name, value in ours._asdict().items() if value is not None]:
        assert_close(getattr(ours, name), torch.cat([getattr(one, name) for one in theirs]), 1e-5)


def test_frozen_images_are_encoded_in_chunks_while_the_text_learns(sizes):
    ours = ImageEncoder(VISUAL)(images(4))
    assert sizes == [2, 2] and not ours.requires_grad
    assert_close(ours, VISUAL(images(4)), 1e-5)


def test_a_resnet_is_encoded_in_chunks_unless_it_normalizes_by_batch(sizes):
    resnet = small_visual((1, 1, 1, 1))
    assert_close(ImageEncoder(resnet)(images(3)), resnet(images(3)), 1e-5)
    assert sizes == [2, 1]
    ImageEncoder(resnet.train())(images(3))
    assert sizes == [2, 1, 3]


@pytest.mark.parametrize("learns", [*list(GIVEN)[1:], "weights", "image"])
def test_what_needs_gradients_is_encoded_at_once(learns, sizes):
    visual, image = small_visual(), images(4)
    if learns in ("weights", "image"):
        (visual.proj if learns == "weights" else image).requires_grad_()
    encoder = ImageEncoder(visual)
    assert encoder(image, **GIVEN.get(learns, GIVEN["nothing"])()).requires_grad
    assert sizes == [4]


@pytest.mark.parametrize(("pixels", "count"), ((224, 8), (336, 3), (448, 2), (1024, 1)))
def test_images_at_once_are_bounded_by_their_pixels(pixels, count):
    assert ImageEncoder(CLIP(64, pixels, 1, 64, 32, 77, 100, 64, 1, 2).visual).images_at_once == count


@pytest.mark.parametrize("kind", ("deep", "inserted", "hooks"))
def test_a_layer_that_does_not_exist_is_named(kind):
    with pytest.raises(UserError, match=r"The image encoder accepts .* at layers [01] to 2, but got them for layer 3"):
        ImageEncoder(VISUAL)(images(), rows(2), **{kind: {3: rows(2)}})
    with pytest.raises(UserError, match="but got them for layer 0"):
        ImageEncoder(VISUAL)(images(), rows(2), {0: rows(2)})


def test_numbers_of_rows_that_do_not_fit_are_refused():
    encoder = ImageEncoder(VISUAL)
    with pytest.raises(ValueError, match="replace the 2 appended rows"):
        encoder(images(), rows(2), {1: rows(3)})
    with pytest.raises(ValueError, match="must be the same at all layers"):
        encoder(images(), inserted={0: rows(2), 1: rows(3)})


def test_precisions_cast_what_is_learned(monkeypatch):
    monkeypatch.setattr(precision, "has_native_bf16", lambda: True)
    visual = small_visual()
    convert_weights(visual)
    features = ImageEncoder(Precision("bf16", torch.device("cpu")).convert(visual))(images(), rows(2), {1: rows(2)})
    assert features.dtype == torch.bfloat16 and features.requires_grad
    with torch.autocast("cpu", dtype=torch.bfloat16):
        ImageEncoder(VISUAL)(images(), rows(2), {1: rows(2)}, {2: rows(1)}).sum().backward()
