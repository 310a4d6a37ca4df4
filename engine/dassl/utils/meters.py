"""Running averages for the lines that a run prints."""

from collections import defaultdict

import torch


class AverageMeter:
    """Latest value and running average of one number.

    Args:
        ema (bool): average exponentially (0.9 old + 0.1 new) instead of arithmetically.
    """

    def __init__(self, ema=False):
        self.ema = ema
        self.reset()

    def reset(self):
        self.val = 0
        self.avg = 0
        self.sum = 0
        self.count = 0

    def update(self, val, n=1):
        """Add ``val`` (a number or a one-element tensor), counted ``n`` times."""
        if isinstance(val, torch.Tensor):
            val = val.item()
        self.val = val
        self.sum += val * n
        self.count += n
        self.avg = 0.9 * self.avg + 0.1 * val if self.ema else self.sum / self.count


class MetricMeter:
    """One :class:`AverageMeter` for each named metric, printed as ``name val (avg)``.

    Args:
        delimiter (str): stands between the metrics in ``str(meter)``.
    """

    def __init__(self, delimiter=" "):
        self.meters = defaultdict(AverageMeter)
        self.delimiter = delimiter

    def update(self, input_dict):
        """Add a dict of name -> number or one-element tensor. None is ignored.

        Raises:
            TypeError: the input is neither a dict nor None.
        """
        if input_dict is None:
            return
        if not isinstance(input_dict, dict):
            raise TypeError("Input to MetricMeter.update() must be a dictionary")
        for name, value in input_dict.items():
            self.meters[name].update(value)

    def __str__(self):
        return self.delimiter.join(f"{name} {meter.val:.4f} ({meter.avg:.4f})" for name, meter in self.meters.items())
