"""Cross entropy with smoothed labels."""

from torch.nn import functional as F

_REDUCTIONS = ("mean", "sum", "none")


def cross_entropy(input, target, label_smooth=0, reduction="mean"):
    """Return the cross entropy of softmax(input) and the smoothed classes.

    The smoothed target is 1 - s + s / C for the true class and s / C for the others, s = ``label_smooth``
    (Rethinking the Inception Architecture, CVPR 2016, section 7).

    Args:
        input (Tensor): logits, (B, C).
        target (Tensor): true classes, (B,), integers.
        label_smooth (float): s, from 0 to 1.
        reduction (str): ``mean``, ``sum``, or ``none`` for the loss of each row, (B,).

    Raises:
        ValueError: another reduction.
    """
    if reduction not in _REDUCTIONS:
        raise ValueError(f"Unknown reduction '{reduction}'. Known: {', '.join(_REDUCTIONS)}")
    return F.cross_entropy(input, target.long(), reduction=reduction, label_smoothing=label_smooth)
