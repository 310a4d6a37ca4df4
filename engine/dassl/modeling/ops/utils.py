"""Small functions on batches, on ramp-ups of loss weights, and on averaged models."""

import math

import torch
from torch.nn import functional as F


def sharpen_prob(p, temperature=2):
    """Return p^temperature, scaled to sum to 1 in each row.

    The exponent is the temperature itself, so values above 1 sharpen; MixMatch (NeurIPS 2019, eq. 7)
    calls its inverse T.

    Args:
        p (Tensor): probabilities, (B, C).
        temperature (float): the exponent.

    Returns:
        Tensor: (B, C).
    """
    powered = p.pow(temperature)
    return powered / powered.sum(dim=1, keepdim=True)


def reverse_index(data, label):
    """Return data (B, ...) and label (B, ...) with the rows in reverse order."""
    return data.flip(0), label.flip(0)


def shuffle_index(data, label):
    """Return data (B, ...) and label (B, ...) with the rows in one random order, drawn by torch's generator."""
    order = torch.randperm(data.size(0))
    return data[order.to(data.device)], label[order.to(label.device)]


def create_onehot(label, num_classes):
    """Return classes (B,) as rows of floats with a single 1, (B, num_classes), on the same device."""
    return F.one_hot(label.long(), num_classes).float()


def sigmoid_rampup(current, rampup_length):
    """Return exp(-5 (1 - t)^2) as a float, where t = current / rampup_length is kept within 0 and 1.

    The ramp-up of Temporal Ensembling (ICLR 2017). It starts at exp(-5) and ends at 1.

    Raises:
        AssertionError: rampup_length is not positive.
    """
    remaining = 1 - linear_rampup(current, rampup_length)
    return math.exp(-5 * remaining * remaining)


def linear_rampup(current, rampup_length):
    """Return current / rampup_length, kept within 0 and 1, as a float.

    Raises:
        AssertionError: rampup_length is not positive.
    """
    if not rampup_length > 0:
        raise AssertionError(f"rampup_length must be positive, but got {rampup_length}")
    return float(min(max(current / rampup_length, 0.0), 1.0))


@torch.no_grad()
def ema_model_update(model, ema_model, alpha):
    """Move each parameter of ``ema_model`` in place: alpha * its value + (1 - alpha) * the model's.

    Buffers, such as the statistics of batch normalisation, stay: the averaged model collects its own.

    Args:
        model (nn.Module): the model that is trained.
        ema_model (nn.Module): a network of the same architecture.
        alpha (float): share of the old value, from 0 to 1.
    """
    for averaged, current in zip(ema_model.parameters(), model.parameters(), strict=True):
        averaged.mul_(alpha).add_(current, alpha=1 - alpha)
