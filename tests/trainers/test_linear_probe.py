"""The linear probe: its search, its checkpoints, and the classes it knows."""

import json

import numpy as np
import pytest
import torch

from clip_prompts.common.errors import UserError
from tests.conftest import ROOT
from trainers.linear_probe import LinearHead, fit, search

TINY = ROOT / "configs/trainers/LinearProbe/tiny.yaml"


def records(folder):
    return json.loads((folder / "results.json").read_text())


def blobs(classes, per_class, width=12, spread=2.5, seed=0):
    """Features (N, width) around a centre per class, and labels (N,)."""
    draw = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(size=(classes, width))
    y = np.repeat(np.arange(classes), per_class)
    return (centres[y] + spread * draw.normal(size=(len(y), width))).astype(np.float32), y


def plain_search(x, y, x_val, y_val):
    """The published search, step by step, with scikit-learn's own predictions."""
    from sklearn.linear_model import LogisticRegression

    def score(c):
        return LogisticRegression(solver="lbfgs", C=c, max_iter=1000).fit(x, y).score(x_val, y_val)

    grid = [1e6, 1e4, 1e2, 1, 1e-2, 1e-4, 1e-6]
    scores = [score(c) for c in grid]
    peak = grid[scores.index(max(scores))]
    left, right, chosen = peak / 10, peak * 10, None
    for _ in range(8):
        a, b = score(left), score(right)
        if a < b:
            chosen = (right, b)
            left = (left * right) ** 0.5
        else:
            chosen = (left, a)
            right = (left * right) ** 0.5
    return chosen


@pytest.mark.filterwarnings("ignore:lbfgs failed to converge")
@pytest.mark.parametrize("classes, seed", [(5, 0), (5, 1), (3, 2), (2, 3)])
def test_the_search_is_the_published_one(classes, seed):
    train, val = blobs(classes, 4, seed=seed), blobs(classes, 10, seed=100 + seed)
    c, accuracy, (weight, bias) = search(*train, *val)
    expected_c, expected = plain_search(*train, *val)
    assert c == pytest.approx(expected_c, rel=1e-9) and accuracy == pytest.approx(100 * expected)
    assert weight.shape == (classes, 12) and bias.shape == (classes,)


@pytest.mark.parametrize("classes", (2, 4))
def test_probabilities_are_those_of_scikit_learn(classes):
    from sklearn.linear_model import LogisticRegression

    (x, y), (unseen, _) = blobs(classes, 8), blobs(classes, 20, seed=1)
    weight, bias = fit(x, y, 0.3)
    p = torch.softmax(torch.from_numpy(unseen @ weight.T + bias), dim=1).numpy()
    model = LogisticRegression(C=0.3, max_iter=1000).fit(x, y)
    assert np.allclose(p, model.predict_proba(unseen), atol=1e-5)


@pytest.fixture
def digits(run):
    """``train.py`` with a linear probe on the embedded digits and the embedded backbone; gives its records."""

    def call(*flags, **settings):
        flags = ("--backbone", "tiny", *flags)
        settings = {"DATASET__NUM_SHOTS": 16} | settings
        assert run("LinearProbe", *flags, dataset="digits", config=TINY, **settings) == 0, run.err
        return records(run.out)

    return call


def test_it_learns_what_zero_shot_clip_does_not_see(digits, run):
    (record,) = digits(out="one", DATASET__SUBSAMPLE_CLASSES="base")
    assert record["metrics"]["accuracy"] > 90 and record["learned"] == 5 * 128 + 5
    assert (record["epoch"], record["protocol"], record["curve"]) == (1, "base2new", [])
    one = torch.load(run.out / "linear_probe/model.pth.tar-1", weights_only=True)["state_dict"]
    digits(out="two", DATASET__SUBSAMPLE_CLASSES="base", FEATURES__CACHE=False)  # from the images themselves
    two = torch.load(run.out / "linear_probe/model.pth.tar-1", weights_only=True)["state_dict"]
    assert all(torch.equal(one[name], two[name]) for name in one) and set(one) == {"weight", "bias", "classes"}
    again = digits(out="two", DATASET__SUBSAMPLE_CLASSES="base", FEATURES__CACHE=False)  # resumed: nothing left to do
    assert len(again) == 1 and again[0]["metrics"] == record["metrics"] and again[0]["epoch"] == 1

    load = ["--eval-only", "--model-dir", str(run.out)]
    (loaded,) = digits(*load, out="eval", DATASET__SUBSAMPLE_CLASSES="base")
    assert loaded["metrics"] == record["metrics"] and loaded["source"]["recipe"] == record["recipe"]

    flags = ("--backbone", "tiny", *load)
    assert run("LinearProbe", *flags, dataset="digits", config=TINY, out="all") == 2
    assert "of its 5 classes, none is called 'five'" in run.err
    assert run("LinearProbe", *load, config=TINY, out="wide") == 2  # another backbone
    assert "the weights of the backbone were" in run.err


def test_new_classes_are_refused(run):
    assert run("LinearProbe", config=TINY, DATASET__SUBSAMPLE_CLASSES="new") == 2
    assert "LinearProbe knows only the classes of its training images" in run.err and "Traceback" not in run.err


def test_the_best_epoch_is_the_only_one(run):
    assert run("LinearProbe", config=TINY, TEST__FINAL_MODEL="best_val") == 0, run.err
    assert [r["split"] for r in records(run.out)] == ["val", "test"]


def test_a_dataset_without_validation_images(run, monkeypatch):
    from trainers.linear_probe import LinearProbe

    build = LinearProbe.build_data_loader

    def without(self):
        build(self)
        self.val_loader = None

    monkeypatch.setattr(LinearProbe, "build_data_loader", without)
    assert run("LinearProbe", config=TINY) == 2
    assert "chooses C on validation images, but OxfordPets has none" in run.err


def test_rows_are_found_by_name():
    learned = LinearHead(3, ["cat", "red fox", "owl"])
    learned.set(torch.arange(9.0).reshape(3, 3), torch.arange(3.0))
    state = learned.state_dict()
    part = LinearHead(3, ["owl", "cat"])
    part.load_state_dict(state)
    assert part.bias.tolist() == [2, 0] and part.weight[0].tolist() == [6, 7, 8]
    assert part.classnames == ["owl", "cat"] and not torch.equal(part.classes, learned.classes)
    with pytest.raises(UserError, match="none is called 'dog'"):
        LinearHead(3, ["owl", "dog"]).load_state_dict(state)
    with pytest.raises(UserError, match="no linear probe"):
        part.load_state_dict({"ctx": torch.zeros(2)})
    twice = LinearHead(3, ["crane", "crane", "owl"])
    LinearHead(3, ["crane", "crane", "owl"]).load_state_dict(twice.state_dict())  # in the same order: no question
    with pytest.raises(UserError, match="2 are called 'crane'"):
        LinearHead(3, ["crane", "owl"]).load_state_dict(twice.state_dict())


def test_c_is_not_chosen_on_the_test_images(run, monkeypatch):
    """As ImageNet has it, whose validation list is its test list."""
    from datasets.oxford_pets import OxfordPets

    load_split = OxfordPets.load_split

    def same_lists(self):
        train, _, test = load_split(self)
        return train, test, test

    monkeypatch.setattr(OxfordPets, "load_split", same_lists)
    monkeypatch.setattr(OxfordPets, "select_shots", lambda self, train, val, *_: (train, val))
    assert run("LinearProbe", DATASET__NUM_SHOTS=-1) == 2
    assert "are its test images" in run.err
