import datetime
import time

from dassl.utils import AverageMeter, MetricMeter


class EpochProgress:
    """Clocks and losses of one epoch, and the line that reports them.

    Args:
        epoch, max_epoch (int): the running epoch from 0, and the number of all.
        num_batches (int): batches per epoch.
        print_freq (int): batches per line; an epoch of fewer batches has a line for each; 0: none.

    Attributes:
        losses (MetricMeter): running averages over the batches of this epoch.
    """

    def __init__(self, epoch, max_epoch, num_batches, print_freq):
        self.epoch = epoch
        self.max_epoch = max_epoch
        self.num_batches = num_batches
        self.print_freq = print_freq
        self.losses = MetricMeter()
        self._batch_time = AverageMeter()
        self._data_time = AverageMeter()
        self.start_clock()

    def start_clock(self):
        """The time of the next batch, its loading included, counts from here."""
        self._start = time.time()

    def batch_loaded(self):
        self._data_time.update(time.time() - self._start)

    def batch_done(self, losses):
        """``losses``: dict of name -> number, or None."""
        self._batch_time.update(time.time() - self._start)
        self.losses.update(losses)

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
            f"{self.losses} lr {lr:.4e} eta {eta}"
        )
