"""Pairwise distances between two sets of feature vectors."""

import torch
from torch.nn import functional as F


def compute_distance_matrix(input1, input2, metric="euclidean"):
    """Return the distances (B1, B2) of the rows of ``input1`` (B1, D) to the rows of ``input2`` (B2, D).

    ``metric``: ``euclidean`` (squared) or ``cosine``; ValueError for another.
    Raises AssertionError if an input is not a 2-D tensor, or the widths differ.
    """
    for name, value in (("input1", input1), ("input2", input2)):
        if not isinstance(value, torch.Tensor) or value.dim() != 2:
            raise AssertionError(f"{name} must be a 2-D tensor, but got {getattr(value, 'shape', type(value))}")
    if input1.size(1) != input2.size(1):
        raise AssertionError(f"Both inputs must have the same width, but got {input1.size(1)} and {input2.size(1)}")
    if metric == "euclidean":
        return euclidean_squared_distance(input1, input2)
    if metric == "cosine":
        return cosine_distance(input1, input2)
    raise ValueError(f'Unknown distance metric: {metric}. Please choose either "euclidean" or "cosine"')


def euclidean_squared_distance(input1, input2):
    """Return |a - b|^2 for each pair of rows, (B1, B2)."""
    squares1 = input1.square().sum(dim=1, keepdim=True)
    squares2 = input2.square().sum(dim=1)
    return torch.addmm(squares1 + squares2, input1, input2.t(), alpha=-2)


def cosine_distance(input1, input2):
    """Return 1 - cos(a, b) for each pair of rows, (B1, B2)."""
    return 1 - F.normalize(input1, dim=1) @ F.normalize(input2, dim=1).t()
