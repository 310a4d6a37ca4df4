"""Prompts from checkpoints of the original programs, and from runs that wrote no prompt."""

import shutil

import pytest
import torch

from clip_prompts import load_prompt
from clip_prompts.common.errors import UserError
from tests.golden.fixture import CLASSES
from tests.trainers.test_released import CASES, learned, released

NAMES = [name.lower() for name in CLASSES]


@pytest.mark.parametrize("case", [case for case in CASES if "one layer" not in case and "text only" not in case])
def test_a_released_checkpoint_is_the_prompt_of_its_values(case, small, tmp_path):
    """Only the classes and the backbone are named: sizes are found in the file. DePT's base is a setting."""
    method, own, folder = CASES[case]
    network = torch.load(small / "tiny_clip.pt", weights_only=True)
    path = tmp_path / folder / "model.pth.tar-7"
    path.parent.mkdir()
    torch.save({"state_dict": released(case, network), "epoch": 7}, path)
    names = NAMES[:5] if method == "DePT" else NAMES
    given = {key: own[key] for key in ("BASE", "LAYER", "CTX_INIT") if key in own}
    prompt = load_prompt(path, names, backbone=str(small / "tiny_clip.pt"), method=method, settings=given)
    there = {n: v for n, v in learned(case).items() if not n.endswith(".classes")}
    found = prompt.artifact.tensors
    assert sum(v.numel() for v in found.values()) == sum(v.numel() for v in there.values())
    if method != "VPT":
        assert torch.equal(found["ctx"], there.get("ctx", there.get("prompt_learner.ctx")).float())


def coops(folder, context, **more):
    """A file as CoOp's authors have released it."""
    path = folder / "prompt_learner" / "model.pth.tar-200"
    path.parent.mkdir(parents=True)
    state = {"ctx": context, "token_prefix": torch.zeros(10, 1, 64), "token_suffix": torch.zeros(10, 60, 64), **more}
    torch.save({"state_dict": state, "epoch": 200, "optimizer": {}, "scheduler": {}, "val_result": None}, path)
    return path


def test_a_prompt_of_coops_authors_needs_only_classes_and_backbone(small, tmp_path):
    context, backbone = torch.randn(16, 64), str(small / "tiny_clip.pt")
    path = coops(tmp_path, context)
    with pytest.raises(UserError, match="stores no class names. Give them: --classes FILE"):
        load_prompt(path, backbone=backbone)
    with pytest.raises(UserError, match="does not store the name of its backbone. Give it: --backbone"):
        load_prompt(path, NAMES)
    prompt = load_prompt(path, NAMES, backbone=backbone)
    assert prompt.method == "CoOp" and torch.equal(prompt.artifact.tensors["ctx"], context)
    assert prompt.config["prompt"]["n_ctx"] == 16 and prompt.classifier().shape == (10, 64)
    shared = load_prompt(prompt.save(tmp_path / "shared"), backbone=backbone)
    torch.testing.assert_close(shared.classifier(), prompt.classifier())


def test_a_conditional_prompt_is_recognised_and_nothing_else_is_guessed(small, tmp_path):
    backbone = str(small / "tiny_clip.pt")
    net = {
        "meta_net.linear1.weight": torch.randn(4, 64), "meta_net.linear1.bias": torch.randn(4),
        "meta_net.linear2.weight": torch.randn(64, 4), "meta_net.linear2.bias": torch.randn(64),
    }  # fmt: skip
    assert load_prompt(coops(tmp_path / "a", torch.randn(4, 64), **net), NAMES, backbone=backbone).method == "CoCoOp"
    with pytest.raises(UserError, match="does not fit any known method"):
        load_prompt(coops(tmp_path / "b", torch.randn(4, 64), other=torch.ones(3)), NAMES, backbone=backbone)
    with pytest.raises(UserError, match="is not a prompt of CoOp: .* have width 96, this backbone's text width is 64"):
        load_prompt(coops(tmp_path / "c", torch.randn(4, 96)), NAMES, backbone=backbone, method="CoOp")


def test_a_run_without_a_prompt_and_one_of_its_checkpoints(run, tmp_path):
    assert run("CoOp", OPTIM__MAX_EPOCH=2, TRAIN__CHECKPOINT_FREQ=1) == 0, run.err
    expected = load_prompt(run.out).classifier()
    shutil.rmtree(run.out / "prompt")
    torch.testing.assert_close(load_prompt(run.out).classifier(), expected)
    checkpoints = run.out / "prompt_learner"
    torch.testing.assert_close(load_prompt(checkpoints / "model.pth.tar-2").classifier(), expected)
    assert not torch.equal(load_prompt(checkpoints / "model.pth.tar-1").classifier(), expected)
    with pytest.raises(UserError, match="no record of a training that has ended"):
        load_prompt(checkpoints)
    with pytest.raises(UserError, match="There is no prompt"):
        load_prompt(tmp_path / "nothing")
