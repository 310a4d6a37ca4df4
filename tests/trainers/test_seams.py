"""The seams that methods build on: arguments instead of surgery, named loss terms, facts instead of flags."""

import json
import re
import sys

import pytest
import torch
import torch.nn.functional as F
from dassl.engine import TRAINER_REGISTRY

from clip_prompts.clip.learners import Learner, PromptLearner
from clip_prompts.clip.model import PromptedCLIP, unit
from clip_prompts.clip.teacher import encode_texts
from clip_prompts.clip.tokens import tokenize
from clip_prompts.clip.trainer import CLIPTrainer
from clip_prompts.encoders.prompt_set import PromptSet
from clip_prompts.encoders.text_encoder import TextEncoder
from clip_prompts.features.lookahead import LookaheadLoader
from tests.conftest import ROOT
from tests.trainers import plain
from trainers.coop import CoOp

EXAMPLES = {name: f"tests/examples/{name}.py" for name in ("my_trainer", "image_tokens", "deep_text")}
TRAINERS = {"AnchoredCoOp": "my_trainer", "ImageTokens": "image_tokens", "DeepText": "deep_text"}
CLIP = plain.small_clip()
NAMES = ["cat", "great pyrenees"]


@pytest.fixture
def example(run, monkeypatch):
    """``example(trainer, *flags, **settings)``: train.py with an example as its plug-in, on CoOp's config."""
    monkeypatch.setattr(TRAINER_REGISTRY, "_objects", dict(TRAINER_REGISTRY._objects))
    for stem in EXAMPLES:
        monkeypatch.setitem(sys.modules, stem, None)
        monkeypatch.delitem(sys.modules, stem)
    config = ROOT / "configs/trainers/ZeroshotCLIP/vit_b16.yaml"

    def call(trainer, *flags, **settings):
        plugin = str(ROOT / EXAMPLES[TRAINERS[trainer]])
        common = {
            "DATALOADER__TRAIN_X__BATCH_SIZE": 4,
            "DATASET__NUM_SHOTS": 4,
            "OPTIM__LR": 0.05,
            "OPTIM__MAX_EPOCH": 3,
        }
        if trainer == "DeepText":  # the small CLIP has two layers
            common["TRAINER__DEEPTEXT__DEPTH"] = 2
        return run(trainer, "--plugin", plugin, *flags, config=config, **(common | settings))

    return call


def losses(text, name="loss"):
    return [float(x) for x in re.findall(rf"\b{name} (\S+) \(", text)]


def metrics_of(folder):
    return json.loads((folder / "results.json").read_text())[-1]["metrics"]


@pytest.fixture
def counted(monkeypatch):
    """Counts of batches that were encoded ahead."""
    groups, original = [], LookaheadLoader._encoded
    monkeypatch.setattr(LookaheadLoader, "_encoded", lambda self, x: groups.append(len(x)) or original(self, x))
    return groups


def test_a_method_with_another_loss_keeps_looking_ahead_and_its_cache(example, run, counted, tmp_path):
    settings = {"TRAINER__ANCHOREDCOOP__PREC": "fp32", "FEATURES__DIR": tmp_path / "features"}
    assert example("AnchoredCoOp", out="first", **settings) == 0
    assert max(counted) > 1
    total, ce, distance = (losses(run.stdout, name) for name in ("loss", "ce", "distance"))
    assert total == pytest.approx([a + b for a, b in zip(ce, distance, strict=True)], abs=2e-4) and min(distance) > 0
    first = metrics_of(run.out)
    assert example("AnchoredCoOp", out="second", **settings) == 0
    assert run.stdout.count("Image features read") == 1 and metrics_of(run.out) == first


@pytest.mark.parametrize("trainer", ("ImageTokens", "DeepText"))
def test_learned_tokens_train_and_are_tested_without_any_flag(trainer, example, run, counted):
    assert example(trainer) == 0
    found = losses(run.stdout)
    assert found[-1] < found[0]
    trained, stdout, folder = metrics_of(run.out), run.stdout, run.out
    learns_images = trainer == "ImageTokens"
    assert (counted == []) == learns_images and ("Image features" not in stdout) == learns_images
    assert example(trainer, "--eval-only", "--model-dir", str(folder), out="again") == 0
    assert metrics_of(run.out) == trained
    untrained = run.out.parent / "untrained"
    assert example(trainer, out=untrained.name, OPTIM__LR=1e-12) == 0
    assert metrics_of(run.out)["nll"] != trained["nll"]  # the test sees the tokens


def test_a_learned_parameter_without_a_gradient_is_an_error(run, monkeypatch):
    original = CoOp.build_prompt_learner

    def with_a_spare(self, *args):
        learner = original(self, *args)
        learner.spare = torch.nn.Parameter(torch.zeros(3))
        return learner

    monkeypatch.setattr(CoOp, "build_prompt_learner", with_a_spare)
    with pytest.raises(RuntimeError, match="CoOp: no gradient reaches spare"):
        run("CoOp")


def test_a_method_with_its_own_update_overrides_one_function(run, monkeypatch):
    seen = []

    def update(self, terms):
        seen.append(sorted(terms))
        self.optim.zero_grad()
        (2 * terms["ce"]).backward()
        self.optim.step()

    monkeypatch.setattr(CoOp, "update", update)
    assert run("CoOp") == 0
    assert seen and all(names == ["ce"] for names in seen)


def test_a_term_that_is_not_finite_is_named(run, monkeypatch):
    monkeypatch.setattr(CoOp, "loss_terms", lambda self, seen, label: {"ce": seen.logits.sum(), "kg": seen.w.sum() / 0})
    assert run("CoOp") == 2
    assert "(term 'kg')" in run.err


def test_the_loss_of_earlier_versions_is_refused():
    with pytest.raises(TypeError, match="Old.loss.* is never called: write loss_terms"):

        class Old(CLIPTrainer):
            def loss(self, image, label): ...


def test_handed_nothing_the_model_is_the_plain_clip():
    """Also the teacher of a method: the same encoders, the same numbers, to the bit."""
    import clip

    encoder, learner = TextEncoder(CLIP), Learner()
    texts = [f"a photo of a {name}." for name in NAMES]
    learner.prompts = PromptSet(tokenize(texts, NAMES), encoder.embed)
    model = PromptedCLIP(CLIP, encoder, learner)
    image = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        seen, (expected, _) = model(image), CLIP(image, clip.tokenize(texts))
        assert torch.equal(seen.text_features, encode_texts(encoder, texts, NAMES))
    torch.testing.assert_close(seen.logits, expected, rtol=1e-5, atol=1e-5)


def test_what_the_model_returns():
    encoder = TextEncoder(CLIP)
    torch.manual_seed(0)
    model = PromptedCLIP(CLIP, encoder, PromptLearner(encoder, NAMES, 4))
    image = torch.randn(3, 3, 32, 32)
    seen = model(image)
    assert (seen.logits.shape, seen.x.shape, seen.w.shape) == ((3, 2), (3, 64), (2, 64))
    assert torch.equal(seen.x, unit(seen.image_features)) and torch.equal(seen.w, unit(seen.text_features))
    assert torch.equal(model(seen.image_features).logits, seen.logits)  # features instead of images
    with torch.no_grad(), model.fixed_prompts():
        for _ in range(2):
            torch.testing.assert_close(model.logits(image), seen.logits, rtol=1e-5, atol=1e-5)
    F.cross_entropy(seen.logits, torch.tensor([0, 1, 0])).backward()
    assert model.prompt_learner.ctx.grad.abs().sum() > 0
