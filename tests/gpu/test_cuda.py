"""Training and testing on a GPU: every precision, and features from the cache."""

import json
import re

import pytest
import torch

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")]

METHODS = {
    "CoOp": {}, "CoCoOp": {}, "KgCoOp": {}, "ProGrad": {}, "TCP": {"LAYER": 1}, "MaPLe": {"PROMPT_DEPTH": 2},
    "VPT": {"PROMPT_DEPTH_VISION": 2}, "PromptSRC": {"PROMPT_DEPTH_VISION": 2, "PROMPT_DEPTH_TEXT": 2}, "DePT": {},
}  # fmt: skip


@pytest.fixture
def train(run, tmp_path):
    """``train(method, precision, out)``: losses of two short epochs on the small dataset, on the GPU."""

    def call(method, precision, out):
        own = {
            f"TRAINER__{method.upper()}__{key}": value for key, value in {"PREC": precision, **METHODS[method]}.items()
        }
        settings = {"OPTIM__MAX_EPOCH": 2, "DATALOADER__TRAIN_X__BATCH_SIZE": 5, "FEATURES__DIR": tmp_path / "features"}
        config = "configs/trainers/CoOp/vit_b16.yaml"
        assert run(method, out=out, config=config, USE_CUDA=True, **settings, **own) == 0, run.err
        return [float(loss) for loss in re.findall(r"^epoch .* (?:loss|xe_loss) (\S+) ", run.stdout, re.M)]

    return call


@pytest.mark.parametrize("method", METHODS)
def test_losses_of_every_precision_are_near_those_of_fp32(method, train, run):
    expected = train(method, "fp32", "fp32")
    assert len(expected) == 8
    for precision in ("fp16", "bf16", "amp"):
        assert train(method, precision, precision) == pytest.approx(expected, rel=0.1), precision
        name = next(path for path in run.out.glob("*/model.pth.tar-2"))
        saved = torch.load(name, weights_only=True, map_location="cpu")["state_dict"]
        assert {value.dtype for value in saved.values() if value.is_floating_point()} == {torch.float32}


@pytest.mark.parametrize("method", ("CoOp", "CoCoOp", "MaPLe"))
def test_a_test_on_stored_features_has_the_same_result(method, train, run):
    found = []
    for out in ("first", "second"):
        train(method, "fp32", out)
        found.append(json.loads((run.out / "results.json").read_text())[-1]["metrics"])
    assert found[0] == pytest.approx(found[1], rel=1e-4)
    assert ("Image features read" in run.stdout) == (method != "MaPLe")
