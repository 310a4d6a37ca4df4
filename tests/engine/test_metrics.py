"""Top-k accuracy and distances."""

import pytest
import torch
from dassl.metrics import (
    compute_accuracy,
    compute_distance_matrix,
    cosine_distance,
    euclidean_squared_distance,
)

SCORES = torch.tensor([[0.1, 0.5, 0.4], [0.9, 0.06, 0.04], [0.2, 0.3, 0.5], [0.3, 0.3001, 0.2]])
TARGET = torch.tensor([1, 2, 1, 0])


def test_accuracy_in_percent():
    (top1,) = compute_accuracy(SCORES, TARGET)
    assert top1.shape == (1,) and top1.item() == 25.0
    assert [a.item() for a in compute_accuracy(SCORES, TARGET, topk=(1, 2, 3))] == [25.0, 75.0, 100.0]


def test_first_of_several_outputs_counts():
    for several in ((SCORES, None), [SCORES, None]):
        assert compute_accuracy(several, TARGET)[0].item() == 25.0


def test_accuracy_of_a_non_contiguous_batch():
    wide = torch.stack([SCORES, -SCORES], dim=-1)[..., 0]
    assert not wide.is_contiguous()
    assert [a.item() for a in compute_accuracy(wide, TARGET, topk=(1, 2))] == [25.0, 75.0]


A = torch.tensor([[1.0, 2.0], [0.0, -1.0], [3.0, 3.0]])
B = torch.tensor([[2.0, 0.0], [-1.0, 5.0]])


def test_euclidean_is_squared():
    expected = torch.tensor([[float((a - b).pow(2).sum()) for b in B] for a in A])
    assert torch.allclose(compute_distance_matrix(A, B), expected)
    assert torch.allclose(euclidean_squared_distance(A, B), expected)


def test_cosine():
    expected = torch.tensor([[float(1 - a @ b / (a.norm() * b.norm())) for b in B] for a in A])
    assert torch.allclose(compute_distance_matrix(A, B, metric="cosine"), expected)
    assert torch.allclose(cosine_distance(A, B), expected)


def test_distance_errors():
    with pytest.raises(AssertionError, match="2-D"):
        compute_distance_matrix(A[0], B)
    with pytest.raises(AssertionError, match="2-D"):
        compute_distance_matrix(A, B.tolist())
    with pytest.raises(AssertionError, match="2 and 1"):
        compute_distance_matrix(A, B[:, :1])
    with pytest.raises(ValueError, match="manhattan"):
        compute_distance_matrix(A, B, metric="manhattan")
