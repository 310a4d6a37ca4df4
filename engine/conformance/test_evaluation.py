"""Section 7 and 1.8: the evaluator, accuracies and distances."""

import contextlib
import io

import numpy as np
import pytest
import torch
from dassl import metrics
from dassl.config import get_cfg_default
from dassl.evaluation import EVALUATOR_REGISTRY, EvaluatorBase, build_evaluator
from dassl.metrics import compute_accuracy
from sklearn.metrics import f1_score

from . import tiny
from .support import differs, or_user_error

NAMES = {0: "red", 1: "green", 2: "blue"}


def evaluator(lab2cname=None, per_class=False, cmat=False):
    cfg = get_cfg_default()
    cfg.OUTPUT_DIR = str(tiny.folder())
    cfg.TEST.PER_CLASS_RESULT, cfg.TEST.COMPUTE_CMAT = per_class, cmat
    with contextlib.redirect_stdout(io.StringIO()) as text:
        made = build_evaluator(cfg, lab2cname=lab2cname)
    assert text.getvalue().splitlines() == ["Loading evaluator: Classification"]
    return made


def evaluate(made, true, predicted):
    """(results, lines) for these labels, in two batches."""
    scores = torch.nn.functional.one_hot(torch.tensor(predicted), 4).float()
    true = torch.tensor(true)
    made.process(scores[:2], true[:2])
    made.process(scores[2:], true[2:])
    with contextlib.redirect_stdout(io.StringIO()) as text:
        results = made.evaluate()
    return results, text.getvalue().splitlines()


def test_results():
    """accuracy, error_rate and macro_f1 (over the classes of the ground truth), in percent, ordered; six lines."""
    true, predicted = [0, 0, 1, 2], [0, 1, 1, 3]
    found, lines = evaluate(evaluator(), true, predicted)
    assert list(found) == ["accuracy", "error_rate", "macro_f1"]
    f1 = 100 * f1_score(true, predicted, labels=[0, 1, 2], average="macro")
    assert list(found.values()) == pytest.approx([50.0, 50.0, f1])
    assert type(found["accuracy"]) is float
    assert lines == [
        "=> result", "* total: 4", "* correct: 2", "* accuracy: 50.0%", "* error: 50.0%", f"* macro_f1: {f1:.1f}%",
    ]  # fmt: skip


def test_thousands():
    """Counts have thousands separators."""
    assert evaluate(evaluator(), [0] * 1500, [0] * 1500)[1][1:3] == ["* total: 1,500", "* correct: 1,500"]


def test_per_class():
    """PER_CLASS_RESULT: a line for each label that occurs, ascending, with tabs; the unweighted average."""
    found, lines = evaluate(evaluator(NAMES, per_class=True), [2, 0, 0, 2, 2], [2, 0, 1, 2, 0])
    assert found["perclass_accuracy"] == pytest.approx((50.0 + 200 / 3) / 2)
    assert lines[6:] == [
        "=> per-class result",
        "* class: 0 (red)\ttotal: 2\tcorrect: 1\tacc: 50.0%",
        "* class: 2 (blue)\ttotal: 3\tcorrect: 2\tacc: 66.7%",
        "* average: 58.3%",
    ]  # fmt: skip


def test_per_class_without_names():
    """PER_CLASS_RESULT without lab2cname is an AssertionError at construction."""
    with pytest.raises(or_user_error(AssertionError)):
        evaluator(None, per_class=True)


def test_confusion():
    """COMPUTE_CMAT: a matrix normalised by true class, over the labels seen, in {OUTPUT_DIR}/cmat.pt; a NumPy array."""
    made = evaluator(cmat=True)
    _, lines = evaluate(made, [0, 0, 2], [0, 3, 2])
    path = f"{made.cfg.OUTPUT_DIR}/cmat.pt"
    assert lines[-1] == f"Confusion matrix is saved to {path}"
    matrix = torch.load(path, weights_only=False)  # written by this very run
    assert np.asarray(matrix).ravel().tolist() == pytest.approx([0.5, 0.0, 0.5, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0])
    differs(isinstance(matrix, torch.Tensor), "tensor-cmat")
    assert isinstance(matrix, np.ndarray)


def test_reset_and_nothing():
    """reset() clears everything; nothing to evaluate is a ZeroDivisionError."""
    made = evaluator()
    evaluate(made, [0, 1, 2], [3, 3, 3])
    made.reset()
    assert evaluate(made, [0, 1, 2], [0, 1, 2])[0]["accuracy"] == 100.0
    made.reset()
    with pytest.raises(ZeroDivisionError):
        made.evaluate()


def test_own_evaluator(capsys):
    """A custom evaluator is built by name with (cfg, lab2cname=..., **kwargs)."""

    class ConformanceEvaluator(EvaluatorBase):
        def __init__(self, cfg, lab2cname=None, **kwargs):
            super().__init__(cfg)
            self.given = lab2cname, kwargs

    EVALUATOR_REGISTRY.register(ConformanceEvaluator, force=True)
    cfg = get_cfg_default()
    cfg.TEST.EVALUATOR, cfg.VERBOSE = "ConformanceEvaluator", False
    made = build_evaluator(cfg, lab2cname=NAMES, extra=1)
    assert not capsys.readouterr().out
    assert (made.given, made.cfg) == ((NAMES, {"extra": 1}), cfg)
    for call in (made.reset, made.evaluate, lambda: made.process(None, None)):
        with pytest.raises(NotImplementedError):
            call()


def test_accuracy():
    """A list of 1-element tensors in percent; of a tuple or list the first element counts; topk."""
    scores = torch.tensor([[3.0, 2.0, 1.0], [1.0, 3.0, 2.0], [1.0, 2.0, 3.0], [3.0, 1.0, 2.0]])
    target = torch.tensor([0, 2, 2, 1])
    (top1,) = compute_accuracy(scores, target)
    assert (top1.tolist(), tuple(top1.shape)) == ([50.0], (1,))
    assert compute_accuracy((scores, None), target)[0].tolist() == [50.0]
    assert [a.item() for a in compute_accuracy(scores, target, topk=(1, 2, 3))] == [50.0, 75.0, 100.0]


def test_distances():
    """euclidean is the squared distance; cosine is 1 - cos; 2-D tensors only (asserts); another metric: ValueError."""
    a, b = torch.tensor([[0.0, 1.0], [3.0, 4.0]]), torch.tensor([[0.0, 0.0], [3.0, 0.0], [0.0, 2.0]])
    squared = [[1.0, 10.0, 1.0], [25.0, 16.0, 13.0]]
    for found in (metrics.compute_distance_matrix(a, b), metrics.euclidean_squared_distance(a, b)):
        assert found.flatten().tolist() == pytest.approx(sum(squared, []), rel=1e-5)
    b = b[1:]
    for found in (metrics.compute_distance_matrix(a, b, metric="cosine"), metrics.cosine_distance(a, b)):
        assert found.flatten().tolist() == pytest.approx([1.0, 0.0, 0.4, 0.2], rel=1e-4)
    with pytest.raises(AssertionError):
        metrics.compute_distance_matrix(a[0], b)
    with pytest.raises(ValueError):
        metrics.compute_distance_matrix(a, b, metric="manhattan")
