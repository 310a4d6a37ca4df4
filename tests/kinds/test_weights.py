"""Weights as people have them: wrapped ones load, others get the next step, and nothing is guessed in silence."""

import pytest
import torch
from clip.model import CLIP
from safetensors.torch import save_file
from torch import nn

from clip_prompts.backbones.loading import load_clip
from clip_prompts.clip.learners import PromptLearner
from clip_prompts.clip.teacher import encode_texts
from clip_prompts.common.errors import UserError
from clip_prompts.encoders.image_encoder import ImageEncoder
from clip_prompts.encoders.text_encoder import TextEncoder
from tests.trainers.test_equality import assert_close

pytestmark = pytest.mark.integration


def clip_of(vision=64, text=64, embed=32, layers=2):
    """A CLIP on 32 x 32 pixels with sharp attention, so that the number of heads matters."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = CLIP(embed, 32, layers, vision, 8, 77, 49408, text, max(1, text // 64), 2).float().eval()
    for module in model.modules():
        if isinstance(module, nn.MultiheadAttention):
            module.in_proj_weight.data.mul_(3)
    return model.requires_grad_(False)


@pytest.fixture(scope="module")
def state():
    return {key: value.half().float() for key, value in clip_of().state_dict().items()}


def prefixed(state, prefix):
    return {prefix + key: value for key, value in state.items()}


def line_of(path, **structure):
    with pytest.raises(UserError) as caught:
        load_clip(str(path), **structure)
    line = str(caught.value)
    assert "\n" not in line and "Traceback" not in line
    return line


WRAPPED = {
    "plain": lambda s: s,
    "state_dict": lambda s: {"state_dict": s, "epoch": 3, "optimizer": {"lr": 0.1}},
    "model": lambda s: {"model": s},
    "model_state_dict": lambda s: {"model_state_dict": s, "step": 1},
    **{p: lambda s, p=p: prefixed(s, p) for p in ("module.", "model.", "clip_model.", "_orig_mod.")},
    "prefixes": lambda s: prefixed(s, "module._orig_mod.clip_model."),
    "both": lambda s: {"state_dict": prefixed(s, "model.")},
    "other tensors": lambda s: {"model": prefixed(s, "clip_model.") | {"head.weight": torch.ones(2)}},
}  # fmt: skip


@pytest.mark.parametrize("wrapping", WRAPPED)
def test_wrapped_weights_load(wrapping, state, tmp_path, capsys):
    torch.save(WRAPPED[wrapping](state), tmp_path / "w.pt")
    found = load_clip(str(tmp_path / "w.pt")).float().state_dict()
    assert all(torch.equal(found[key], value) for key, value in state.items())
    out = capsys.readouterr().out
    assert out.count("\n") == 1 and "a ViT of 2 layers with 1 heads" in out and "activation QuickGELU" in out
    assert ("1 other tensors" in out) == (wrapping == "other tensors")


@pytest.mark.parametrize("prefix", ("", "module."))
def test_safetensors_load_alike(prefix, state, tmp_path):
    save_file(prefixed(state, prefix), tmp_path / "w.safetensors")
    assert torch.equal(load_clip(str(tmp_path / "w.safetensors")).float().visual.proj, state["visual.proj"])


@pytest.mark.parametrize(
    "content",
    [
        lambda s: {"model": s, "state_dict": s},
        lambda s: s | prefixed(s, "module."),
        lambda s: {**s, "model": s},
        lambda s: {"model": prefixed(s, "model.") | prefixed(s, "clip_model.")},
        lambda s: {"model": s, "model_ema": {key: 2 * value for key, value in s.items()}},
    ],
)
def test_several_readings_are_refused(content, state, tmp_path):
    torch.save(content(state), tmp_path / "w.pt")
    assert "holds CLIP weights in 2 places" in line_of(tmp_path / "w.pt")


@pytest.mark.parametrize("wrapper, place", [("ema", "['ema']"), ("net", "['net']"), ("a/model", "['a']['model']")])
def test_weights_in_other_dicts_are_pointed_to(wrapper, place, state, tmp_path):
    content = prefixed(state, "module.")
    for key in reversed(wrapper.split("/")):
        content = {key: content, "step": 1}
    torch.save(content, tmp_path / "w.pt")
    assert f"torch.save(torch.load(FILE){place}, 'weights.pt')" in line_of(tmp_path / "w.pt")


def test_the_content_tells_safetensors_from_pickles_not_the_ending(state, tmp_path):
    save_file(state, tmp_path / "w.pt")
    torch.save(state, tmp_path / "w.safetensors")
    for name in ("w.pt", "w.safetensors"):
        assert torch.equal(load_clip(str(tmp_path / name)).float().visual.proj, state["visual.proj"])


@pytest.mark.parametrize("old", (False, True))
def test_a_pickled_module_says_how_to_save_it(old, tmp_path):
    for model in (clip_of(), nn.DataParallel(clip_of())):
        torch.save(model, tmp_path / "w.pt", _use_new_zipfile_serialization=not old)
        assert "torch.save(model.state_dict()" in line_of(tmp_path / "w.pt")


@pytest.mark.parametrize(
    "rename, words",
    [
        (lambda k: k.replace("token_embedding", "text_model.embeddings.token_embedding"), "Hugging Face"),
        (lambda k: f"clip.text_model.embeddings.{k}", "Hugging Face"),
        (lambda k: k if k.startswith("visual") else f"text.{k}", "open_clip"),
        (lambda k: k.replace("visual.", "visual.trunk."), "open_clip"),
        (lambda k: f"backbone.{k}", "unknown prefix 'backbone.'"),
        (lambda k: k.replace("text_projection", "projection"), "no 'text_projection'"),
        (lambda k: "x" + k, "unknown prefix 'x'"),
    ],
)
@pytest.mark.parametrize("wrapper", (None, "state_dict"))
def test_other_names_are_explained(rename, words, wrapper, state, tmp_path):
    content = {rename(key): value for key, value in state.items()}
    torch.save({wrapper: content} if wrapper else content, tmp_path / "w.pt")
    assert words in line_of(tmp_path / "w.pt")


@pytest.mark.parametrize(
    "key, value, words",
    [
        ("visual.proj", torch.full((64, 32), float("nan")), "not finite"),
        ("ln_final.bias", torch.full((64,), float("inf")), "not finite"),
        ("ln_final.bias", torch.full((64,), 1e20), None),
        ("visual.proj", torch.full((64, 32), 1e20), "too large for half precision"),
        ("visual.proj", torch.ones(64, 32, dtype=torch.complex64), "complex64"),
        ("visual.proj", torch.ones(64, 32, dtype=torch.int8), "int8"),
        ("visual.proj", torch.ones(64, 32).to(torch.float8_e4m3fn), "float8_e4m3fn"),
        ("visual.proj", torch.ones(64, 32).to_sparse(), "in the layout torch.sparse_coo"),
        ("visual.proj", torch.ones(64, 32, device="meta"), "on no device"),
        ("token_embedding.weight", torch.ones(100, 64), "knows 100 tokens"),
        ("extra.weight", torch.ones(1), "Save the whole state dict of a CLIP model, and nothing else"),
    ],
)
def test_values_that_are_no_weights_are_refused(key, value, words, state, tmp_path):
    torch.save(state | {key: value}, tmp_path / "w.pt")
    if words is None:  # norms stay in float32
        load_clip(str(tmp_path / "w.pt"))
    else:
        assert words in line_of(tmp_path / "w.pt")


@pytest.mark.parametrize(
    "name", ("visual.transformer.resblocks.{}.x", "transformer.resblocks.{}.x", "visual.layer1.{}.x")
)
def test_too_many_layers_are_refused_before_anything_is_built(name, state, tmp_path):
    torch.save(state | {name.format(i): torch.zeros(1) for i in range(201)}, tmp_path / "w.pt")
    assert "more than the 200" in line_of(tmp_path / "w.pt")


@pytest.fixture(scope="module")
def heads80(tmp_path_factory):
    """A file of a CLIP whose image encoder has 4 heads of 80, and that CLIP."""
    model = clip_of(vision=320, text=128)
    for block in model.visual.transformer.resblocks:
        block.attn.num_heads, block.attn.head_dim = 4, 80
    path = tmp_path_factory.mktemp("weights") / "heads80.pt"
    torch.save(model.state_dict(), path)
    return path, model


def images():
    return torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def test_heads_are_not_guessed(heads80):
    path, model = heads80
    assert "MODEL.BACKBONE.HEADS" in line_of(path) and "5 by CLIP's rule" in line_of(path)
    told = load_clip(str(path), heads=4).float()
    assert_close(ImageEncoder(told.visual)(images()), model.encode_image(images()), 2e-3)
    wrong = load_clip(str(path), heads=5).float()
    assert torch.cosine_similarity(wrong.encode_image(images()), model.encode_image(images())).max() < 0.98
    assert "must divide 320" in line_of(path, heads=7)
    assert "MODEL.BACKBONE.TEXT_HEADS is 3" in line_of(path, heads=4, text_heads=3)


def test_text_heads_are_not_guessed(tmp_path):
    torch.save(clip_of(text=192).state_dict(), tmp_path / "w.pt")
    assert "MODEL.BACKBONE.TEXT_HEADS" in line_of(tmp_path / "w.pt")
    assert load_clip(str(tmp_path / "w.pt"), text_heads=2).transformer.resblocks[1].attn.num_heads == 2


@pytest.mark.parametrize("learn", (False, True))
def test_another_activation_is_computed_in_both_encoders(learn, state, tmp_path):
    torch.save(state, tmp_path / "w.pt")
    plain = load_clip(str(tmp_path / "w.pt"), activation="gelu").float()
    ours = load_clip(str(tmp_path / "w.pt"), activation="gelu").float()
    quick = load_clip(str(tmp_path / "w.pt")).float()
    encoder = ImageEncoder(ours.visual)
    assert_close(encoder(images()), plain.encode_image(images()), 1e-5)
    assert (encoder(images()) - quick.encode_image(images())).norm() > 1e-3
    encoder, other = TextEncoder(ours), TextEncoder(quick)
    if learn:  # the small block that is written out with its gradient
        features, others = (
            e(p.prompts, p.text_inputs()["context"])
            for e in (encoder, other)
            for p in [PromptLearner(e, ["cat"], ctx_init="a photo of a")]
        )
        features, others = features.detach()[0], others.detach()[0]
        expected = plain.encode_text(_tokens("a photo of a cat."))
    else:
        features, others = (encode_texts(e, ["a cat."], ["cat"]) for e in (encoder, other))
        expected = plain.encode_text(_tokens("a cat."))
    assert_close(features, expected, 1e-4)
    assert (features - others).norm() > 1e-4


def _tokens(text):
    import clip

    return clip.tokenize([text])


def test_the_structure_of_known_models_is_known():
    assert "structure of 'tiny' is known" in line_of("tiny", heads=2)
    assert "structure of 'tiny' is known" in line_of("tiny", activation="gelu")


def test_a_run_takes_the_settings(heads80, run, tmp_path):
    run("ZeroshotCLIP", "--backbone", str(heads80[0]), TRAINER__ZEROSHOTCLIP__PREC="fp32")
    assert run.status == 2 and "MODEL.BACKBONE.HEADS" in run.err
    was_cached, settings = [], {"FEATURES__DIR": tmp_path / "features"}
    for number, heads in enumerate((4, 5, 4)):
        settings["MODEL__BACKBONE__HEADS"] = heads
        assert run("ZeroshotCLIP", "--backbone", str(heads80[0]), out=f"run{number}", **settings) == 0
        assert f"with {heads} heads" in run.stdout
        was_cached.append("Image features read" in run.stdout)
    assert was_cached == [False, False, True]  # features of another structure are others
