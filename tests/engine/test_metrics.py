"""Top-k accuracy and distances."""

import pytest
import torch
from dassl.metrics import (
    compute_accuracy,
    compute_distance_matrix,
)

SCORES = torch.tensor([[0.1, 0.5, 0.4], [0.9, 0.06, 0.04], [0.2, 0.3, 0.5], [0.3, 0.3001, 0.2]])
TARGET = torch.tensor([1, 2, 1, 0])


def test_accuracy_of_a_non_contiguous_batch():
    wide = torch.stack([SCORES, -SCORES], dim=-1)[..., 0]
    assert not wide.is_contiguous()
    assert [a.item() for a in compute_accuracy(wide, TARGET, topk=(1, 2))] == [25.0, 75.0]


A = torch.tensor([[1.0, 2.0], [0.0, -1.0], [3.0, 3.0]])
B = torch.tensor([[2.0, 0.0], [-1.0, 5.0]])


def test_distance_errors():
    with pytest.raises(AssertionError, match="2-D"):
        compute_distance_matrix(A[0], B)
    with pytest.raises(AssertionError, match="2-D"):
        compute_distance_matrix(A, B.tolist())
    with pytest.raises(AssertionError, match="2 and 1"):
        compute_distance_matrix(A, B[:, :1])
    with pytest.raises(ValueError, match="manhattan"):
        compute_distance_matrix(A, B, metric="manhattan")
