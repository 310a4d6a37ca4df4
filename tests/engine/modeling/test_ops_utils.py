import copy
import math

import pytest
import torch
from dassl.modeling.ops.utils import (
    create_onehot,
    ema_model_update,
    linear_rampup,
    reverse_index,
    sharpen_prob,
    shuffle_index,
    sigmoid_rampup,
)
from torch import nn

pytestmark = pytest.mark.zoo


def test_sharpened_probabilities():
    p = torch.tensor([[0.2, 0.8], [0.5, 0.5]])
    torch.testing.assert_close(sharpen_prob(p), torch.tensor([[0.04 / 0.68, 0.64 / 0.68], [0.5, 0.5]]))
    torch.testing.assert_close(sharpen_prob(p, temperature=1), p)
    assert (sharpen_prob(p, temperature=50)[0] - torch.tensor([0.0, 1.0])).abs().max() < 1e-6


def test_reversed_batch():
    data, label = reverse_index(torch.arange(6).view(3, 2), torch.tensor([7, 8, 9]))
    assert data.tolist() == [[4, 5], [2, 3], [0, 1]] and label.tolist() == [9, 8, 7]


def test_shuffled_batch_keeps_pairs_and_draws_one_permutation():
    label = torch.arange(50)
    data = label[:, None] * 2
    torch.manual_seed(3)
    shuffled, labels = shuffle_index(data, label)
    torch.manual_seed(3)
    assert torch.equal(labels, torch.randperm(50))
    assert torch.equal(shuffled[:, 0], 2 * labels)


def test_onehot():
    rows = create_onehot(torch.tensor([2, 0], dtype=torch.int32), 3)
    assert rows.dtype == torch.float32 and rows.tolist() == [[0, 0, 1], [1, 0, 0]]


@pytest.mark.parametrize(
    "current, share", [(-3, 0.0), (0, 0.0), (1, 0.1), (5, 0.5), (10, 1.0), (11, 1.0)], ids=lambda value: str(value)
)
def test_rampups(current, share):
    assert linear_rampup(current, 10) == pytest.approx(share)
    assert sigmoid_rampup(current, 10) == pytest.approx(math.exp(-5 * (1 - share) ** 2))
    assert type(linear_rampup(current, 10)) is type(sigmoid_rampup(current, 10)) is float


@pytest.mark.parametrize("rampup", [linear_rampup, sigmoid_rampup])
def test_rampup_over_nothing(rampup):
    with pytest.raises(AssertionError, match="rampup_length must be positive, but got 0"):
        rampup(1, 0)


def test_averaged_model():
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    averaged = copy.deepcopy(model).requires_grad_(False)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(1.0)
        for parameter in averaged.parameters():
            parameter.fill_(3.0)
    model[1].running_mean.fill_(5.0)
    ema_model_update(model, averaged, alpha=0.75)
    assert all((parameter == 2.5).all() for parameter in averaged.parameters())
    assert all((parameter == 1.0).all() for parameter in model.parameters())
    assert (averaged[1].running_mean == 0).all()
    with pytest.raises(ValueError):  # another architecture
        ema_model_update(nn.Linear(2, 2), averaged, alpha=0.75)
