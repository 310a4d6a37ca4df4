"""The classification evaluator: metrics, exact printed lines, the confusion matrix."""

import numpy as np
import pytest
import torch
from dassl.config import get_cfg_default
from dassl.evaluation import EVALUATOR_REGISTRY, Classification, EvaluatorBase, build_evaluator
from dassl.utils import UserError
from sklearn.metrics import f1_score

NAMES = {0: "cat", 1: "dog", 2: "owl", 3: "yak"}


def _cfg(**test):
    cfg = get_cfg_default()
    cfg.VERBOSE = False
    for key, value in test.items():
        cfg.TEST[key] = value
    return cfg


def _scores(predicted):
    return torch.nn.functional.one_hot(torch.tensor(predicted), 4).float()


def _fill(evaluator, true, predicted, batch=2):
    for i in range(0, len(true), batch):
        evaluator.process(_scores(predicted[i : i + batch]), torch.tensor(true[i : i + batch]))


# Class 3 is never true but once predicted, class 1 is never found.
TRUE = [0, 0, 0, 1, 2, 2, 2]
PREDICTED = [0, 0, 2, 3, 2, 2, 0]


def test_builder(capsys):
    cfg = get_cfg_default()
    evaluator = build_evaluator(cfg, lab2cname=NAMES)
    assert type(evaluator) is Classification and isinstance(evaluator, EvaluatorBase)
    assert capsys.readouterr().out == "Loading evaluator: Classification\n"
    cfg.VERBOSE = False
    build_evaluator(cfg, lab2cname=NAMES, other=1)
    assert capsys.readouterr().out == ""
    cfg.TEST.EVALUATOR = "Clasification"
    with pytest.raises(ValueError, match=r"do you mean \[Classification\]"):
        build_evaluator(cfg)
    assert EVALUATOR_REGISTRY.registered_names()[0] == "Classification"


def test_metrics_and_lines(capsys):
    evaluator = Classification(_cfg())
    _fill(evaluator, TRUE, PREDICTED)
    results = evaluator.evaluate()
    assert list(results) == ["accuracy", "error_rate", "macro_f1"]
    assert results["accuracy"] == 100.0 * 4 / 7 and type(results["accuracy"]) is float
    assert results["error_rate"] == 100.0 - results["accuracy"]
    # F1 by hand: class 0: 2*2/(3+3), class 1: 0, class 2: 2*2/(3+3); class 3 does not occur.
    assert results["macro_f1"] == pytest.approx(100 * (4 / 6 + 0 + 4 / 6) / 3)
    assert results["macro_f1"] == 100.0 * f1_score(TRUE, PREDICTED, average="macro", labels=[0, 1, 2])
    assert capsys.readouterr().out == (
        "=> result\n* total: 7\n* correct: 4\n* accuracy: 57.1%\n* error: 42.9%\n* macro_f1: 44.4%\n"
    )


def test_thousands_are_separated(capsys):
    evaluator = Classification(_cfg())
    _fill(evaluator, [1] * 1234, [1] * 1234, batch=500)
    evaluator.evaluate()
    assert "* total: 1,234\n* correct: 1,234\n* accuracy: 100.0%\n" in capsys.readouterr().out


def test_reset_forgets(capsys):
    evaluator = Classification(_cfg())
    _fill(evaluator, [0], [1])
    evaluator.reset()
    _fill(evaluator, [0], [0])
    assert evaluator.evaluate()["accuracy"] == 100.0


def test_result_keeps_no_graph():
    scores = torch.randn(2, 4, requires_grad=True)
    evaluator = Classification(_cfg())
    evaluator.process(scores * 2, torch.tensor([0, 1]))
    assert evaluator.evaluate()["accuracy"] in (0.0, 50.0, 100.0)


def test_half_precision_scores():
    evaluator = Classification(_cfg())
    evaluator.process(_scores([1, 2]).half(), torch.tensor([1, 2]))
    assert evaluator.evaluate()["accuracy"] == 100.0


def test_per_class_lines(capsys):
    evaluator = Classification(_cfg(PER_CLASS_RESULT=True), lab2cname=NAMES)
    _fill(evaluator, TRUE, PREDICTED)
    results = evaluator.evaluate()
    assert list(results) == ["accuracy", "error_rate", "macro_f1", "perclass_accuracy"]
    assert results["perclass_accuracy"] == pytest.approx((200 / 3 + 0 + 200 / 3) / 3)
    assert isinstance(results["perclass_accuracy"], np.floating)
    assert capsys.readouterr().out.splitlines()[6:] == [
        "=> per-class result",
        "* class: 0 (cat)\ttotal: 3\tcorrect: 2\tacc: 66.7%",
        "* class: 1 (dog)\ttotal: 1\tcorrect: 0\tacc: 0.0%",
        "* class: 2 (owl)\ttotal: 3\tcorrect: 2\tacc: 66.7%",
        "* average: 44.4%",
    ]


def test_per_class_needs_names():
    with pytest.raises(UserError, match="lab2cname"):
        Classification(_cfg(PER_CLASS_RESULT=True))


def test_confusion_matrix(tmp_path, capsys):
    cfg = _cfg(COMPUTE_CMAT=True)
    cfg.OUTPUT_DIR = str(tmp_path / "run")
    evaluator = Classification(cfg)
    _fill(evaluator, TRUE, PREDICTED)
    evaluator.evaluate()
    path = tmp_path / "run" / "cmat.pt"
    assert capsys.readouterr().out.splitlines()[-1] == f"Confusion matrix is saved to {path}"
    matrix = torch.load(path, weights_only=True)
    third = 1 / 3
    expected = [[2 * third, 0, third, 0], [0, 0, 0, 1], [third, 0, 2 * third, 0], [0, 0, 0, 0]]
    assert torch.allclose(matrix, torch.tensor(expected, dtype=torch.float64))


@pytest.mark.parametrize("batches", [0, 1])
def test_nothing_to_evaluate(batches):
    evaluator = Classification(_cfg())
    for _ in range(batches):
        evaluator.process(torch.zeros(0, 4), torch.zeros(0, dtype=torch.long))
    with pytest.raises(ZeroDivisionError) as caught:
        evaluator.evaluate()
    assert isinstance(caught.value, UserError) and "no images" in str(caught.value)
