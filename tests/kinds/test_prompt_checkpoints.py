"""Learned files of another make: wrapped and prefixed prompts load, and values that are no numbers never give one."""

import json

import pytest
import torch

pytestmark = pytest.mark.integration

PATH = "prompt_learner/model.pth.tar-1"


@pytest.fixture
def learned(run):
    """Output folder of a trained CoOp, its checkpoint's path, and its accuracy."""
    assert run("CoOp", out="learned", TRAINER__COOP__N_CTX=4, OPTIM__LR=0.1) == 0
    return run.out, torch.load(run.out / PATH, weights_only=True), accuracy(run)


def accuracy(run):
    return json.loads((run.out / "results.json").read_text())[-1]["metrics"]["accuracy"]


def evaluate(run, folder, content, trainer="CoOp", **settings):
    folder = folder.parent / "theirs"
    (folder / PATH).parent.mkdir(parents=True, exist_ok=True)
    torch.save(content, folder / PATH)
    settings = settings or {"TRAINER__COOP__N_CTX": 4}
    return run(trainer, "--eval-only", "--model-dir", str(folder), out="eval", **settings)


def prefixed(state, prefix):
    return {prefix + key: value for key, value in state.items()}


CONTENTS = {
    "module.": lambda c: {"state_dict": prefixed(c["state_dict"], "module."), "epoch": 1},
    "prompt_learner.": lambda c: {"state_dict": prefixed(c["state_dict"], "prompt_learner."), "epoch": 1},
    "both": lambda c: {"state_dict": prefixed(c["state_dict"], "module.prompt_learner.")},
    "no epoch": lambda c: {"state_dict": c["state_dict"]},
    "bare": lambda c: {"ctx": c["state_dict"]["ctx"]},
    "bare, prefixed": lambda c: {"prompt_learner.ctx": c["state_dict"]["ctx"]},
    "model": lambda c: {"model": c["state_dict"], "step": 3},
    "whole network": lambda c: {"model": prefixed(c["state_dict"], "prompt_learner.") | {"visual.proj": torch.ones(2)}},
    "one tensor": lambda c: c["state_dict"]["ctx"],
}  # fmt: skip


@pytest.mark.parametrize("form", CONTENTS)
def test_prompts_of_other_programs_load(form, learned, run):
    folder, checkpoint, expected = learned
    assert evaluate(run, folder, CONTENTS[form](checkpoint)) == 0, run.err
    assert accuracy(run) == expected and "Loading weights to prompt_learner" in run.stdout


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda s: s | {"ctx": s["ctx"] * float("nan")}, "not finite"),
        (lambda s: s | {"ctx": s["ctx"] / 0}, "not finite"),
        (lambda s: s | {"ctx": s["ctx"].to(torch.complex64)}, ""),
        (lambda s: s | {"ctx": s["ctx"].to(torch.int64)}, "int64"),
        (lambda s: s | {"ctx": s["ctx"].to(torch.float8_e4m3fn)}, "not real tensors"),
        (lambda s: s | {"module.ctx": s["ctx"]}, "several ways"),
        (lambda s: {"other": s["ctx"]}, "no context vectors"),
    ],
)
def test_values_that_are_no_prompt_are_refused(change, words, learned, run):
    folder, checkpoint, _ = learned
    for content in ({"state_dict": change(checkpoint["state_dict"]), "epoch": 1}, change(checkpoint["state_dict"])):
        assert evaluate(run, folder, content) == 2
        assert words in run.err and PATH in run.err and run.err.count("\n") == 1


@pytest.mark.parametrize("change, words", [(lambda v: v * float("nan"), "not finite"), (lambda v: v.int(), "int32")])
def test_a_run_does_not_continue_with_values_that_are_no_prompt(change, words, run):
    assert run("CoOp") == 0
    path = run.out / "prompt_learner/model.pth.tar-1"
    checkpoint = torch.load(path, weights_only=True)
    checkpoint["state_dict"] = {name: change(value) for name, value in checkpoint["state_dict"].items()}
    torch.save(checkpoint, path)
    assert run("CoOp") == 2 and words in run.err and run.err.count("\n") == 1


def test_scores_that_are_no_numbers_are_not_tested(learned, run):
    folder, checkpoint, _ = learned
    state = {name: value * 1e30 for name, value in checkpoint["state_dict"].items()}
    assert evaluate(run, folder, checkpoint | {"state_dict": state}) == 2
    assert "are not a number (NaN)" in run.err and not (run.out / "results.json").exists()


def test_a_linear_probe_of_nan_is_refused(run):
    assert run("LinearProbe", out="learned", DATASET__NUM_SHOTS=4, config="configs/trainers/LinearProbe/rn50.yaml") == 0
    path = run.out / "linear_probe/model.pth.tar-1"
    checkpoint = torch.load(path, weights_only=True)
    checkpoint["state_dict"]["weight"] *= float("nan")
    torch.save(checkpoint, path)
    flags = ("--eval-only", "--model-dir", str(run.out))
    assert run("LinearProbe", *flags, out="eval", config="configs/trainers/LinearProbe/rn50.yaml") == 2
    assert "'weight' holds values that are not finite" in run.err


@pytest.mark.parametrize(
    "content, words",
    [
        ({"ctx": torch.full((4, 64), float("nan"))}, "not finite"),
        ({"ctx": torch.ones(3, 64)}, "None of its weights fits"),
        ({"weight": torch.ones(4, 64)}, "None of its weights fits"),
        ({"module.ctx": torch.ones(4, 64)}, None),
    ],
)
def test_initial_weights(content, words, run, tmp_path):
    torch.save(content, tmp_path / "start.pt")
    status = run("CoOp", MODEL__INIT_WEIGHTS=tmp_path / "start.pt", TRAINER__COOP__N_CTX=4)
    if words is None:
        assert status == 0 and "Start from" in run.stdout
    else:
        assert status == 2 and words in run.err and "MODEL.INIT_WEIGHTS" in run.err


def test_cocoop_takes_the_context_of_coop(learned, run, tmp_path):
    path = learned[0] / PATH
    assert run("CoCoOp", MODEL__INIT_WEIGHTS=path, TRAINER__COCOOP__N_CTX=4) == 0
    assert "Start from" in run.stdout and "meta_net.linear1.weight" in run.stdout
