"""Checkpoints in the form of the original repositories: names, folders, whole networks in half precision."""

import functools
import json
import re

import pytest
import torch
from clip.model import CLIP

from clip_prompts.common.errors import UserError
from measuring.trainers import build_trainer
from tests.conftest import ROOT
from tests.golden.fixture import CLASSES
from tests.trainers import plain

pytestmark = pytest.mark.integration

IVLP = {"N_CTX_TEXT": 2, "N_CTX_VISION": 3, "PROMPT_DEPTH_TEXT": 2, "PROMPT_DEPTH_VISION": 2}
# Method, its settings, and the folder in which the original repository saves it.
CASES = {
    "KgCoOp": ("KgCoOp", {}, "prompt_learner"),
    "ProGrad": ("ProGrad", {}, "prompt_learner"),
    "MaPLe": ("MaPLe", {"PROMPT_DEPTH": 2}, "MultiModalPromptLearner"),
    "MaPLe, one layer": ("MaPLe", {"PROMPT_DEPTH": 1}, "MultiModalPromptLearner"),
    "IVLP": ("IVLP", IVLP, "VLPromptLearner"),
    "IVLP, text only": ("IVLP", IVLP | {"N_CTX_VISION": 0, "PROMPT_DEPTH_VISION": 0}, "VLPromptLearner"),
    "VPT": ("VPT", {"N_CTX_VISION": 3, "PROMPT_DEPTH_VISION": 2}, "prompt_learner"),
    "PromptSRC": ("PromptSRC", IVLP, "VLPromptLearner"),
    "TCP": ("TCP", {"LAYER": 1}, "prompt_learner"),
    "DePT + CoOp": ("DePT", {"BASE": "CoOp", "CTX_INIT": "", "N_CTX": 3}, "PromptLearner"),
    "DePT + CoCoOp": ("DePT", {"BASE": "CoCoOp", "CTX_INIT": "a photo of a", "N_CTX": 4}, "PromptLearner"),
    "DePT + KgCoOp": ("DePT", {"BASE": "KgCoOp", "CTX_INIT": "a photo of a", "N_CTX": 4}, "PromptLearner"),
    "DePT + MaPLe": ("DePT", {"BASE": "MaPLe", "N_CTX": 2, "PROMPT_DEPTH": 2}, "MultiModalPromptLearner"),
}
WHOLE = ("MaPLe", "IVLP", "VPT", "PromptSRC", "DePT")  # saved with CLIP


def build(method, settings, clip_model=None):
    """A method's trainer for the ten classes, without data."""
    pairs = [x for key, value in settings.items() for x in (f"TRAINER.{method.upper()}.{key}", value)]
    names = [name.lower() for name in CLASSES]
    clip_model = clip_model or plain.small_clip()
    return build_trainer(method, clip_model, names, "OxfordPets", pairs, random_teacher=True)


@functools.cache
def learned(case: str) -> dict[str, torch.Tensor]:
    """Random values of what a method learns, in half precision, by our names."""
    method, settings, _ = CASES[case]
    draw = torch.Generator().manual_seed(0)
    parameters = build(method, settings).learner.named_parameters()
    values = {name: 0.1 * torch.randn(p.shape, generator=draw) for name, p in parameters}
    if method == "DePT":  # of the first five classes
        values |= {name: value[:5] for name, value in values.items() if name.startswith("linear_probe")}
        classes = json.dumps([name.lower() for name in CLASSES[:5]]).encode()
        values["linear_probe_proj.classes"] = torch.tensor(list(classes), dtype=torch.uint8)
    return {name: value.half() if value.is_floating_point() else value for name, value in values.items()}


def released(case: str, clip_weights: dict) -> dict[str, torch.Tensor]:
    """The values of ``learned`` as the method's original repository saves them."""
    method, settings, _ = CASES[case]
    values = {name: value for name, value in learned(case).items() if not name.endswith(".classes")}
    if method in ("IVLP", "PromptSRC", "VPT"):
        values = {original_name(name): value for name, value in values.items()}
    elif method == "MaPLe":
        values = {f"prompt_learner.{name}": value for name, value in values.items()}
    at = "prompt_learner." if method in WHOLE else ""
    if at + "ctx" in values:
        n = values[at + "ctx"].shape[-2]
        values |= {f"{at}token_prefix": torch.ones(10, 1, 64), f"{at}token_suffix": torch.ones(10, 76 - n, 64)}
    if "KgCoOp" in (method, settings.get("BASE")):
        unused = {"bias_vectors": (1, 64), "meta_net.linear1.weight": (64, 64), "meta_net.linear1.bias": (64,)}
        values |= {at + name: torch.ones(shape) for name, shape in unused.items()}
    if method in WHOLE:
        network = {
            name.replace("visual.", "image_encoder.") if name.startswith("visual.") else f"text_encoder.{name}": value
            for name, value in clip_weights.items()
            if name not in ("logit_scale", "token_embedding.weight")
        }
        values |= network | {"logit_scale": clip_weights["logit_scale"]}
        if method == "PromptSRC":
            teacher = {name: value for name, value in network.items() if name.startswith("image_encoder.")}
            values |= {f"prompt_learner.ZS_{name}": value for name, value in teacher.items()}
    return {name: value.half() for name, value in values.items()}


def original_name(name: str) -> str:
    if name == "image_prompts.0":
        return "image_encoder.VPT"
    name = re.sub(r"^text_prompts\.(\d+)", r"text_encoder.transformer.resblocks.\1.VPT_shallow", name)
    name = re.sub(r"^image_prompts\.(\d+)", r"image_encoder.transformer.resblocks.\1.VPT_shallow", name)
    return "prompt_learner.ctx" if name == "ctx" else name


@pytest.fixture
def evaluate(run, tmp_path):
    """``evaluate(case, state_dict, out)``: exit status of ``--eval-only`` on a checkpoint with these weights."""

    def call(case, state, out="theirs", **settings):
        method, own, folder = CASES[case]
        directory = tmp_path / f"model of {out}"
        (directory / folder).mkdir(parents=True)
        torch.save({"state_dict": state, "epoch": 7}, directory / folder / "model.pth.tar-7")
        own = {f"TRAINER__{method.upper()}__{key}": value for key, value in own.items()}
        classes = {"DATASET__SUBSAMPLE_CLASSES": "base"} if method == "DePT" else {}
        return run(
            method, "--eval-only", "--model-dir", str(directory), "--load-epoch", "7", out=out,
            config=ROOT / f"configs/trainers/{method}/tiny.yaml", TEST__SAVE_PREDICTIONS=True,
            **own | classes | settings,
        )  # fmt: skip

    return call


@pytest.mark.parametrize("case", CASES)
def test_a_released_checkpoint_gives_the_scores_of_ours(case, evaluate, run, small):
    assert evaluate(case, learned(case), "ours") == 0, run.err
    assert "Ignored" not in run.stdout
    expected = (run.out / "predictions.csv").read_text()
    network = released(case, torch.load(small / "tiny_clip.pt", weights_only=True))
    for prefix in ("", "module."):
        state = {prefix + name: value for name, value in network.items()}
        assert evaluate(case, state, f"theirs {prefix}") == 0, run.err
        assert (run.out / "predictions.csv").read_text() == expected
        has_more = CASES[case][0] in WHOLE or "KgCoOp" in case
        assert run.stdout.count("tensors of the checkpoint that are not learned") == has_more
    assert len({line.split(",")[3] for line in expected.splitlines()}) > 20, "scores that tell images apart"


def test_a_released_head_is_not_used_on_other_classes(evaluate, run, small):
    case = "DePT + CoOp"
    state = released(case, torch.load(small / "tiny_clip.pt", weights_only=True))
    assert evaluate(case, state, DATASET__SUBSAMPLE_CLASSES="new") == 0, run.err
    assert "The head was trained on other classes: only the prompt classifies" in run.stdout


# Case of the checkpoint, then method, settings and CLIP of the run, and what its refusal says.
MISFITS = [
    ("MaPLe", "MaPLe", {"PROMPT_DEPTH": 1}, {}, "holds prompts of 2 layers ('compound_prompts_text'), this run has 1: "
     "set PROMPT_DEPTH 2"),
    ("MaPLe, one layer", "MaPLe", {"PROMPT_DEPTH": 2}, {}, "this run has 2: set PROMPT_DEPTH 1"),
    ("MaPLe", "MaPLe", {"PROMPT_DEPTH": 2, "N_CTX": 3}, {}, "holds 2 context vectors, this run has 3: set N_CTX 2"),
    ("DePT + MaPLe", "DePT", {"BASE": "MaPLe", "N_CTX": 2, "PROMPT_DEPTH": 1}, {}, "set PROMPT_DEPTH 2"),
    ("IVLP", "IVLP", IVLP | {"PROMPT_DEPTH_TEXT": 1, "N_CTX_VISION": 2}, {},
     "set PROMPT_DEPTH_TEXT 2; It holds prompts of 3 vectors a layer ('image_prompts'), this run has 2: "
     "set N_CTX_VISION 3"),
    ("IVLP", "IVLP", IVLP | {"N_CTX_TEXT": 1}, {}, "set N_CTX_TEXT 2"),
    ("IVLP", "IVLP", IVLP | {"PROMPT_DEPTH_VISION": 0}, {}, "this run has 0: set PROMPT_DEPTH_VISION 2"),
    ("IVLP, text only", "IVLP", IVLP, {}, "set PROMPT_DEPTH_VISION 0"),
    ("VPT", "VPT", {"N_CTX_VISION": 2, "PROMPT_DEPTH_VISION": 1}, {},
     "set PROMPT_DEPTH_VISION 2; It holds prompts of 3 vectors a layer ('image_prompts'), this run has 2"),
    ("VPT", "VPT", {"N_CTX_VISION": 3, "PROMPT_DEPTH_VISION": 2}, {"vision": 128},
     "Its prompts 'image_prompts' have width 64, this run's 128: use the backbone"),
    ("KgCoOp", "KgCoOp", {}, {"width": 128}, "width 64, this backbone's text width is 128: use the backbone"),
    ("MaPLe", "MaPLe", {"PROMPT_DEPTH": 2}, {"vision": 128}, "'proj.weight' is (64, 64) there, and (128, 64) in this"),
    ("IVLP", "MaPLe", {"PROMPT_DEPTH": 2}, {}, "of another method or other settings: it lacks 'proj.weight'"),
    ("MaPLe", "IVLP", IVLP, {}, "it holds 'proj.weight', 'proj.bias'"),
    ("MaPLe", "CoOp", {"N_CTX": 2}, {}, "it holds 'proj.weight', 'proj.bias'"),
    ("IVLP", "CoOp", {"N_CTX": 2}, {}, "it holds 'text_encoder.transformer.resblocks.1.VPT_shallow'"),
    ("VPT", "CoOp", {"N_CTX": 3}, {}, "holds no context vectors"),
    ("PromptSRC", "VPT", {"N_CTX_VISION": 3, "PROMPT_DEPTH_VISION": 2}, {}, "it holds 'ctx', 'text_prompts.1'"),
    ("DePT + CoOp", "CoOp", {"N_CTX": 3}, {}, "it holds 'film_lp_img.scale'"),
    ("DePT + CoCoOp", "DePT", {"BASE": "KgCoOp", "CTX_INIT": "a photo of a"}, {}, "it holds 'prompt_learner.meta_net"),
    ("KgCoOp", "CoOp", {"N_CTX": 4}, {}, "it holds 'bias_vectors'"),
    ("TCP", "KgCoOp", {}, {}, "it holds 'meta_net.linear1.weight'"),
    ("TCP", "CoCoOp", {"N_CTX": 4}, {}, "'meta_net.linear1.weight' is (16, 64) there, and (4, 64) in this run"),
]  # fmt: skip


@pytest.mark.parametrize("case, method, settings, sizes, words", MISFITS)
def test_a_checkpoint_of_another_kind_is_refused(case, method, settings, sizes, words, small, tmp_path):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        width, vision = sizes.get("width", 64), sizes.get("vision", 64)
        clip_model = CLIP(64, 32, 2, vision, 8, 77, 49408, width, width // 64, 2)
    trainer = build(method, settings, clip_model.eval().requires_grad_(False))
    state = released(case, torch.load(small / "tiny_clip.pt", weights_only=True))
    (tmp_path / trainer.MODEL_NAME).mkdir()
    torch.save({"state_dict": state, "epoch": 7}, tmp_path / trainer.MODEL_NAME / "model.pth.tar-7")
    for prefix in ("", "module."):
        prefixed = {prefix + name: value for name, value in state.items()}
        torch.save({"state_dict": prefixed, "epoch": 7}, tmp_path / trainer.MODEL_NAME / "model.pth.tar-7")
        with pytest.raises(UserError) as refusal:
            trainer.load_model(str(tmp_path), epoch=7)
        said = str(refusal.value)
        assert words in said and "does not fit this run. " in said and "\n" not in said


@pytest.mark.parametrize("case", CASES)
def test_no_tensor_may_be_missing(case, tmp_path):
    method, settings, _ = CASES[case]
    trainer, state = build(method, settings), learned(case)
    (tmp_path / trainer.MODEL_NAME).mkdir()
    for name in [name for name in state if not name.endswith(".classes")]:
        rest = {other: value for other, value in state.items() if other != name}
        torch.save({"state_dict": rest, "epoch": 7}, tmp_path / trainer.MODEL_NAME / "model.pth.tar-7")
        with pytest.raises(UserError, match=r"context vectors|lacks '|holds no|this run has 2: set PROMPT_DEPTH\w* 1$"):
            trainer.load_model(str(tmp_path), epoch=7)


@pytest.mark.parametrize("case", CASES)
def test_ours_hold_only_what_is_learned(case):
    """And what an unfinished PromptSRC has summed up, and the class names of DePT's head."""
    method, settings, _ = CASES[case]
    learner = build(method, settings).learner
    more = {"PromptSRC": {"aggregate"}, "DePT": {"linear_probe_proj.classes"}}.get(method, set())
    assert set(learner.state_dict()) - {name for name, _ in learner.named_parameters()} == more
