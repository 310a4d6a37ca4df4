"""Running averages of metrics, and the lines that report them during a run."""

import contextlib
import datetime
import time
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
        delimiter (str): text between the metrics in ``str(meter)``.
    """

    def __init__(self, delimiter=" "):
        self.meters = defaultdict(AverageMeter)
        self.delimiter = delimiter

    def update(self, input_dict):
        """Add a dict of name -> number or one-element tensor. None is ignored.

        Raises TypeError: the input is neither a dict nor None.
        """
        if input_dict is None:
            return
        if not isinstance(input_dict, dict):
            raise TypeError("Input to MetricMeter.update() must be a dictionary")
        for name, value in input_dict.items():
            self.meters[name].update(value)

    def __str__(self):
        return self.delimiter.join(f"{name} {meter.val:.4f} ({meter.avg:.4f})" for name, meter in self.meters.items())


class EpochProgress:
    """Clocks and metrics of one epoch, and the line that reports them.

    Args:
        epoch, max_epoch (int): the running epoch from 0, and the number of all.
        num_batches (int): batches per epoch.
        print_freq (int): batches per line; an epoch with fewer batches has a line for each; 0: none.

    Attributes:
        metrics (MetricMeter): running averages over the batches of this epoch.
    """

    def __init__(self, epoch, max_epoch, num_batches, print_freq):
        self.epoch = epoch
        self.max_epoch = max_epoch
        self.num_batches = num_batches
        self.print_freq = print_freq
        self.metrics = MetricMeter()
        self._batch_time = AverageMeter()
        self._data_time = AverageMeter()
        self.start_clock()

    def start_clock(self):
        """Start the clock of the next batch, its loading included."""
        self._start = time.time()

    def batch_loaded(self):
        self._data_time.update(time.time() - self._start)

    def batch_done(self, metrics):
        """``metrics``: dict of name -> number, or None."""
        self._batch_time.update(time.time() - self._start)
        self.metrics.update(metrics)

    def is_line_due(self, batch_idx):
        if self.print_freq <= 0:
            return False
        return (batch_idx + 1) % self.print_freq == 0 or self.num_batches < self.print_freq

    def line(self, batch_idx, lr):
        left = self.num_batches - batch_idx - 1 + (self.max_epoch - self.epoch - 1) * self.num_batches
        eta = datetime.timedelta(seconds=int(self._batch_time.avg * left))
        return (
            f"epoch [{self.epoch + 1}/{self.max_epoch}] batch [{batch_idx + 1}/{self.num_batches}] "
            f"time {self._batch_time.val:.3f} ({self._batch_time.avg:.3f}) "
            f"data {self._data_time.val:.3f} ({self._data_time.avg:.3f}) "
            f"{self.metrics} lr {lr:.4e} eta {eta}"
        )


@contextlib.contextmanager
def naming_folder(writer):
    """Inside this context, a full disk is an error that names the folder of a SummaryWriter."""
    try:
        yield
    except OSError as error:
        if error.errno is None or error.filename:
            raise
        raise OSError(error.errno, error.strerror, writer.log_dir) from error
