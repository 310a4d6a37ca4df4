"""One policy of precision: what it converts, what it keeps in float32, and that training works in each."""

import json
import re

import pytest
import torch

from clip_prompts.clip import precision as module
from clip_prompts.clip.learners import PromptLearner
from clip_prompts.clip.model import PromptedCLIP, similarity, unit
from clip_prompts.clip.precision import PRECISIONS, Precision, has_native_bf16
from clip_prompts.encoders.text_encoder import TextEncoder
from tests.conftest import METHODS
from tests.trainers import plain

CPU = torch.device("cpu")
NAMES = ["cat", "great_pyrenees", "F/A-18"]


# What a run computes in on this machine, by what it is asked for.
COMPUTED = {name: "fp32" for name in PRECISIONS} | ({"bf16": "bf16", "amp": "amp"} if has_native_bf16() else {})


@pytest.fixture
def _native(monkeypatch):
    monkeypatch.setattr(module, "has_native_bf16", lambda: True)


def half_clip():
    """A CLIP as OpenAI's files have it: half, except for norms and embeddings."""
    from clip.model import convert_weights

    model = plain.small_clip()
    convert_weights(model)
    return model


def losses(text):
    return [float(loss) for loss in re.findall(r"^epoch .* loss (\S+) ", text, re.M)]


@pytest.mark.parametrize("trainer", METHODS)
@pytest.mark.parametrize("name", PRECISIONS)
def test_training_in_every_precision(trainer, name, run):
    """Losses are near fp32's, and what is saved, and its momentum, is float32."""
    key, found = f"TRAINER__{trainer.upper()}__PREC", {}
    settings = {"OPTIM__MAX_EPOCH": 2, "DATALOADER__TRAIN_X__BATCH_SIZE": 5}
    for precision in dict.fromkeys(("fp32", name)):
        assert run(trainer, out=precision, **{key: precision}, **settings) == 0
        found[precision] = losses(run.stdout)
    assert len(found[name]) == 8
    assert found[name] == pytest.approx(found["fp32"], rel=0.05)
    assert (found[name] == found["fp32"]) == (COMPUTED[name] == "fp32")
    assert ("Precision fp16 needs a GPU" in run.stdout) == (name == "fp16")
    assert ("autocast to bfloat16" in run.stdout) == (COMPUTED[name] == "amp")

    saved = torch.load(run.out / "prompt_learner/model.pth.tar-2", weights_only=True)
    assert {value.dtype for value in saved["state_dict"].values()} == {torch.float32}
    momenta = [state["momentum_buffer"] for state in saved["optimizer"]["state"].values()]
    assert momenta and {momentum.dtype for momentum in momenta} == {torch.float32}


@pytest.mark.parametrize("name", PRECISIONS)
def test_zero_shot_in_every_precision(name, run):
    config, found = "configs/trainers/ZeroshotCLIP/vit_b16.yaml", {}
    for precision in ("fp32", name):
        assert run("ZeroshotCLIP", out=precision, config=config, TRAINER__ZEROSHOTCLIP__PREC=precision) == 0
        found[precision] = json.loads((run.out / "results.json").read_text())[-1]["metrics"]["accuracy"]
    assert found[name] == pytest.approx(found["fp32"], abs=5)


def test_features_of_one_precision_are_not_anothers(run, tmp_path):
    config = "configs/trainers/ZeroshotCLIP/vit_b16.yaml"
    names = ("fp32", "bf16", "amp", "fp16")
    for count, name in enumerate(names, start=1):
        settings = {"TRAINER__ZEROSHOTCLIP__PREC": name, "FEATURES__DIR": tmp_path / "features"}
        assert run("ZeroshotCLIP", config=config, out=name, **settings) == 0
        assert len(list((tmp_path / "features").glob("*.safetensors"))) == len({COMPUTED[one] for one in names[:count]})


def test_bf16_converts_what_is_half_and_nothing_else(_native):
    before = {name: value.dtype for name, value in half_clip().named_parameters()}
    after = {name: value.dtype for name, value in Precision("bf16", CPU).convert(half_clip()).named_parameters()}
    assert set(before.values()) == {torch.float16, torch.float32}
    swap = {torch.float16: torch.bfloat16, torch.float32: torch.float32}
    assert after == {name: swap[dtype] for name, dtype in before.items()}


@pytest.mark.parametrize("name", ("fp32", "amp"))
def test_fp32_and_amp_hold_the_weights_in_float32(name, _native):
    model = Precision(name, CPU).convert(half_clip())
    assert {value.dtype for value in model.parameters()} == {torch.float32}


@pytest.mark.parametrize("name", ("fp32", "bf16", "amp"))
def test_logits_and_gradients_are_float32(name, _native):
    precision = Precision(name, CPU)
    model = precision.convert(half_clip()).requires_grad_(False)
    encoder = TextEncoder(model)
    prompted = PromptedCLIP(model, encoder, PromptLearner(encoder, NAMES, n_ctx=4))
    with precision.autocast():
        logits = prompted(torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))).logits
    logits.sum().backward()
    assert logits.dtype == prompted.prompt_learner.ctx.grad.dtype == torch.float32
    assert logits.isfinite().all() and prompted.prompt_learner.ctx.grad.abs().sum() > 0


def test_similarities_are_not_rounded_to_half(_native):
    """bfloat16 keeps 3 digits: a logit of 27.5 would be off by up to 0.06."""
    model = Precision("bf16", CPU).convert(half_clip())
    x, w = (unit(torch.randn(n, 64, generator=torch.Generator().manual_seed(n)).bfloat16()) for n in (2, 3))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = similarity(model.logit_scale, x, w)
    expected = model.logit_scale.double().exp() * x.double() @ w.double().t()
    torch.testing.assert_close(logits.double(), expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(similarity(model.logit_scale, x, w.expand(2, 3, 64)), logits)


def test_a_seed_gives_upstreams_start_in_fp16_too():
    """Upstream draws a half-precision context in half; ours starts from the same numbers, held in float32."""
    encoder = TextEncoder(half_clip())
    torch.manual_seed(1)
    expected = torch.nn.init.normal_(torch.empty(4, 64, dtype=torch.float16), std=0.02)
    torch.manual_seed(1)
    learner = PromptLearner(encoder, NAMES, n_ctx=4, dtype=torch.float16)
    assert learner.ctx.dtype == torch.float32
    assert torch.equal(learner.ctx, expected.float())


@pytest.mark.parametrize("name", ("bf16", "amp"))
def test_a_cpu_without_bfloat16_computes_in_fp32_and_records_it(name, run, small, monkeypatch):
    monkeypatch.setattr(module, "has_native_bf16", lambda: False)
    for asked in ("fp32", name):  # --root: a machine that has bfloat16 would not replay the records
        assert run("CoOp", "--root", str(small), out=asked, TRAINER__COOP__PREC=asked) == 0
        record = json.loads((run.out / "results.json").read_text())[-1]
        assert record["precision"] == "fp32" and record["settings"]["TRAINER"]["COOP"]["PREC"] == asked
        assert run.stdout.count("this run computes in fp32") == (asked == name)
        assert "autocast" not in run.stdout
        assert '"precision": "fp32 on cpu"' in (run.out / "identity.json").read_text()


@pytest.mark.parametrize(
    ("machine", "onednn", "instructions", "expected"),
    (
        ("x86_64", True, True, True),
        ("x86_64", True, False, False),  # AVX-512 that converts each number
        ("AMD64", True, False, False),
        ("x86_64", False, True, False),  # ONEDNN_MAX_CPU_ISA=AVX2
        ("aarch64", True, False, True),
        ("arm64", False, False, False),
    ),
)
def test_native_bfloat16_is_that_of_instructions_which_pytorch_uses(
    machine, onednn, instructions, expected, monkeypatch
):
    monkeypatch.setattr(module.platform, "machine", lambda: machine)
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: True)
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: onednn)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: instructions, raising=False)
    assert has_native_bf16() == expected
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert not has_native_bf16()


@pytest.mark.parametrize("trainer", METHODS)
@pytest.mark.parametrize("name", ("fp32", "bf16", "amp"))
def test_a_loss_that_is_not_finite_stops_the_run_with_one_line(trainer, name, run):
    settings = {f"TRAINER__{trainer.upper()}__PREC": name, "OPTIM__LR": 1e38, "OPTIM__WARMUP_EPOCH": -1}
    assert run(trainer, OPTIM__MAX_EPOCH=3, **settings) == 2
    assert "Loss is infinite or NaN! Training stopped in epoch" in run.err
    assert run.err.strip().splitlines()[-1].startswith("Error: ")
