"""The classification evaluator: metrics, exact printed lines, the confusion matrix."""

import pytest
import torch
from dassl.config import get_cfg_default
from dassl.evaluation import Classification
from dassl.utils import UserError


def _cfg(**test):
    cfg = get_cfg_default()
    cfg.VERBOSE = False
    for key, value in test.items():
        cfg.TEST[key] = value
    return cfg


def _scores(predicted):
    return torch.nn.functional.one_hot(torch.tensor(predicted), 4).float()


def test_result_keeps_no_graph():
    scores = torch.randn(2, 4, requires_grad=True)
    evaluator = Classification(_cfg())
    evaluator.process(scores * 2, torch.tensor([0, 1]))
    assert evaluator.evaluate()["accuracy"] in (0.0, 50.0, 100.0)


def test_half_precision_scores():
    evaluator = Classification(_cfg())
    evaluator.process(_scores([1, 2]).half(), torch.tensor([1, 2]))
    assert evaluator.evaluate()["accuracy"] == 100.0


def test_per_class_needs_names():
    with pytest.raises(UserError, match="lab2cname"):
        Classification(_cfg(PER_CLASS_RESULT=True))


@pytest.mark.parametrize("batches", [0, 1])
def test_nothing_to_evaluate(batches):
    evaluator = Classification(_cfg())
    for _ in range(batches):
        evaluator.process(torch.zeros(0, 4), torch.zeros(0, dtype=torch.long))
    with pytest.raises(ZeroDivisionError) as caught:
        evaluator.evaluate()
    assert isinstance(caught.value, UserError) and "no images" in str(caught.value)
