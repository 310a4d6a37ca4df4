"""Outcomes of checks, and comparisons of numbers."""

from collections.abc import Mapping

import torch
from torch import Tensor

SAME = 1e-5  # difference of scores that are the same up to rounding, relative to the largest


class NotApplicable(Exception):
    """The method has no such part; ``str(error)`` says which."""


class Failed(Exception):
    """A check that fails: the reason, and the next step."""

    def __init__(self, reason: str, hint: str) -> None:
        super().__init__(reason, hint)
        self.reason, self.hint = reason, hint


def difference_of(found: Tensor, expected: Tensor) -> float:
    """Largest difference of two tensors of scores, relative to the largest score; infinite for other shapes."""
    if found.shape != expected.shape:
        return float("inf")
    return float((found.float() - expected.float()).abs().max() / expected.abs().max().clamp_min(1e-12))


def compare(found: Tensor, expected: Tensor, what: str, hint: str) -> None:
    """Raise Failed unless two tensors of scores are the same up to rounding."""
    difference = difference_of(found, expected)
    if not difference <= SAME:
        raise Failed(f"{what} differ by {difference:.2g} of the largest", hint)


def compare_steps(
    found: tuple[dict, Mapping[str, Tensor]], expected: tuple[dict, Mapping[str, Tensor]], how: str, hint: str
) -> None:
    """Raise Failed unless two steps have the same metrics, and the same learned tensors after them."""
    for name, value in expected[0].items():
        if abs(found[0][name] - value) > SAME * max(1.0, abs(value)):
            raise Failed(f"{how}, a step has {shown(found[0])}, else {shown(expected[0])}", hint)
    ends = expected[1]
    if different := [name for name, p in found[1].items() if not torch.allclose(p, ends[name], 1e-4, 1e-6)]:
        raise Failed(f"{how}, a step leaves another {some(different)}", hint)


def shown(metrics: dict) -> str:
    """Metrics in one line."""
    return ", ".join(f"{name} {value:.6g}" for name, value in metrics.items())


def some(names: list[str]) -> str:
    """The first names of a list, and how many more there are."""
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
