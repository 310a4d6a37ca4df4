"""The fast path equals the plain one: fp32 loss within 1e-5, gradients within 1e-4, relative."""

from types import SimpleNamespace

import clip
import pytest
import torch
import torch.nn.functional as F

from clip_prompts.clip.learners import PromptLearner
from clip_prompts.clip.model import PromptedCLIP, unit
from clip_prompts.clip.teacher import encode_texts
from clip_prompts.clip.tokens import POSITIONS
from clip_prompts.encoders.text_encoder import TextEncoder
from tests.trainers import plain
from trainers.cocoop import ConditionalPromptLearner
from trainers.coop import CoOp

N_CTX = (1, 2, 3, 4, 8, 16)
CLIP = plain.small_clip()


def names_for(n_ctx: int) -> list[str]:
    """From one token to the limit: start, M vectors, name, full stop and end fill 77 tokens exactly."""
    return ["cat", "yorkshire_terrier", "F/A-18", " ".join(["cat"] * (77 - n_ctx - 3))]


def images(batch: int) -> torch.Tensor:
    return torch.randn(batch, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def assert_close(ours: torch.Tensor, theirs: torch.Tensor, relative: float) -> None:
    assert (ours - theirs).norm() <= relative * theirs.norm()
    assert theirs.norm() > 0


def compare(model, learner, context, names, batch, position="end"):
    image = images(batch)
    readable = [name.replace("_", " ") for name in names]
    parameters = dict(learner.named_parameters())

    with torch.no_grad():  # the least likely class: a loss near 0 would have gradients of mere rounding errors
        label = model(image).logits.argmin(dim=1)
    loss = F.cross_entropy(model(image).logits, label)
    ours = torch.autograd.grad(loss, list(parameters.values()))
    expected = F.cross_entropy(plain.logits(CLIP, image, readable, context, position), label)
    theirs = torch.autograd.grad(expected, list(parameters.values()))

    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    for one, other in zip(ours, theirs, strict=True):
        assert_close(one, other, 1e-4)


@pytest.mark.parametrize("batch", (1, 3))
@pytest.mark.parametrize("n_ctx", N_CTX)
@pytest.mark.parametrize("class_specific", (False, True), ids=("unified", "class-specific"))
@pytest.mark.parametrize("position", POSITIONS)
def test_coop(position, class_specific, n_ctx, batch):
    names, encoder = names_for(n_ctx), TextEncoder(CLIP)
    torch.manual_seed(n_ctx)
    learner = PromptLearner(encoder, names, n_ctx, class_specific=class_specific, position=position)

    def context(x, c):
        return learner.ctx[c] if class_specific else learner.ctx

    compare(PromptedCLIP(CLIP, encoder, learner), learner, context, names, batch, position)


def test_coop_starts_from_its_words():
    settings = SimpleNamespace(**(CoOp.CONFIG | {"N_CTX": 4, "CTX_INIT": "a photo of a"}))
    trainer = SimpleNamespace(settings=settings, precision=SimpleNamespace(start_dtype=torch.float32))
    learner = CoOp.build_prompt_learner(trainer, CLIP, TextEncoder(CLIP), ["cat"])
    words = CLIP.token_embedding(clip.tokenize("a photo of a"))[0, 1:5]
    assert torch.equal(learner.ctx, words)


@pytest.mark.parametrize("batch", (1, 3))
@pytest.mark.parametrize("n_ctx", N_CTX)
def test_cocoop(n_ctx, batch):
    names, encoder = names_for(n_ctx), TextEncoder(CLIP)
    torch.manual_seed(n_ctx)
    learner = ConditionalPromptLearner(encoder, names, image_width=64, n_ctx=n_ctx, ctx_init="", dtype=torch.float32)
    first, second = learner.meta_net.linear1, learner.meta_net.linear2

    def context(x, c):
        shift = second.weight @ torch.relu(first.weight @ x + first.bias) + second.bias
        return learner.ctx + shift

    compare(PromptedCLIP(CLIP, encoder, learner), learner, context, names, batch)


@pytest.mark.parametrize("words", ("a photo of a", "a_photo_of_a", "photo"))
def test_context_from_words_is_the_words_embedding(words):
    """Untrained, a prompt that starts from words is the plain text prompt."""
    names, encoder = ["cat", "great_pyrenees"], TextEncoder(CLIP)
    learner = PromptLearner(encoder, names, n_ctx=9, ctx_init=words)
    assert learner.ctx.shape == (len(words.replace("_", " ").split()), 64)
    texts = [f"{words} {name}.".replace("_", " ") for name in names]
    torch.testing.assert_close(
        encoder(learner.prompts, **learner.text_inputs())[0], encode_texts(encoder, texts, names)
    )


def test_text_features_equal_clips_own():
    import clip

    texts = ["a photo of a cat.", "satellite photo of permanent crop land, seen from above."]
    torch.testing.assert_close(
        encode_texts(TextEncoder(CLIP), texts, texts), CLIP.encode_text(clip.tokenize(texts)), rtol=1e-5, atol=1e-5
    )


def test_each_distinct_position_is_computed_once_and_none_behind_the_end():
    """Two prompts of 4 vectors: start and context once, then "cat . end" and "great pyrenees . end"."""
    encoder, names = TextEncoder(CLIP), ["great pyrenees", "cat"]
    rows = {}
    for position in POSITIONS:
        for csc in (False, True):
            learner = PromptLearner(encoder, names, n_ctx=4, class_specific=csc, position=position)
            rows[position, csc] = len(learner.prompts.positions)
    each = [plain.tokens_of(f"X X X X {name}.") for name in names]
    shared = {"end": 1 + 4, "middle": 1 + 2, "front": 1}
    assert rows == {(p, csc): sum(each) - (1 if csc else shared[p]) for p in POSITIONS for csc in (False, True)}


def test_common_beginnings_of_names_are_computed_once():
    """ "great" once for three names, "dane" once for two; with class-specific contexts nothing is common."""
    encoder, names = TextEncoder(CLIP), ["great pyrenees", "cat", "great dane", "great dane puppy"]
    learner = PromptLearner(encoder, names, n_ctx=4)
    each = [plain.tokens_of(f"X X X X {name}.") - 5 for name in names]  # without start and context
    great, dane = (plain.tokens_of(word) - 2 for word in ("great", "dane"))
    assert len(learner.prompts.positions) == 5 + sum(each) - 2 * great - dane
    specific = PromptLearner(encoder, names, n_ctx=4, class_specific=True)
    assert len(specific.prompts.positions) == 1 + sum(each) + 4 * 4


@pytest.mark.parametrize("class_specific", (False, True), ids=("unified", "class-specific"))
@pytest.mark.parametrize("many", (False, True), ids=("one block", "blocks that share beginnings"))
def test_families_of_names(many, class_specific):
    """Names with common beginnings, in an order of their own, also where a family does not fit into one block."""
    colours = ["red", "great red", "great red red"]
    things = ("cat", "dog", "dog cat", "house cat") if many else ("cat", "dog")
    names = [f"{colour} {thing}" for thing in things for colour in colours]
    names = names[::2] + names[1::2]
    encoder = TextEncoder(CLIP)
    torch.manual_seed(0)
    learner = PromptLearner(encoder, names, 4, class_specific=class_specific)
    texts = plain_features(learner, names)
    ours = unit(PromptedCLIP(CLIP, encoder, learner).encode_text())
    torch.testing.assert_close(ours, texts, rtol=1e-5, atol=1e-6)
    weight = torch.randn(ours.shape, generator=torch.Generator().manual_seed(2))
    (one,), (other,) = (torch.autograd.grad((w * weight).sum(), learner.ctx) for w in (ours, texts))
    assert_close(one, other, 1e-4)


@pytest.mark.parametrize("class_specific", (False, True), ids=("unified", "class-specific"))
@pytest.mark.parametrize("names", (["cat"], ["cat", "cat"]), ids=("one class", "equal names"))
def test_few_classes(names, class_specific):
    """One prompt has nobody to share rows with, and two equal ones share all but the last."""
    encoder = TextEncoder(CLIP)
    torch.manual_seed(0)
    learner = PromptLearner(encoder, names, 4, class_specific=class_specific)
    texts = plain_features(learner, names)
    ours = unit(PromptedCLIP(CLIP, encoder, learner).encode_text())
    torch.testing.assert_close(ours, texts, rtol=1e-5, atol=1e-6)
    weight = torch.randn(ours.shape, generator=torch.Generator().manual_seed(2))  # a loss over one class is constant
    (one,), (other,) = (torch.autograd.grad((w * weight).sum(), learner.ctx) for w in (ours, texts))
    assert_close(one, other, 1e-4)


@pytest.mark.slow
def test_a_thousand_classes():
    """All of ImageNet's names; the plain way in batches, for time."""
    from torchvision.models._meta import _IMAGENET_CATEGORIES as names

    encoder = TextEncoder(CLIP)
    torch.manual_seed(0)
    learner = PromptLearner(encoder, names, 4)
    label, image = torch.tensor([999]), images(1)
    model = PromptedCLIP(CLIP, encoder, learner)
    loss = F.cross_entropy(model(image).logits, label)
    w = plain_features(learner, names)
    expected = F.cross_entropy(CLIP.logit_scale.exp() * unit(model.encode_image(image)) @ w.t(), label)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    assert_close(torch.autograd.grad(loss, learner.ctx)[0], torch.autograd.grad(expected, learner.ctx)[0], 1e-4)


def plain_features(learner, names):
    """All prompts at 77 positions through CLIP's own transformer at once: unit vectors (C, D)."""
    contexts = learner.ctx.expand(len(names), *learner.ctx.shape[-2:])
    made = [plain.prompt(CLIP, ctx, name, "end") for ctx, name in zip(contexts, names, strict=True)]
    x = torch.stack([embeddings for embeddings, _ in made], dim=1) + CLIP.positional_embedding[:, None]
    x = CLIP.ln_final(CLIP.transformer(x))[torch.tensor([eot for _, eot in made]), torch.arange(len(names))]
    return F.normalize(x @ CLIP.text_projection, dim=-1)
