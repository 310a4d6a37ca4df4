"""TensorBoard's curves. Slow to import, and only training needs it."""

import contextlib
import itertools
import time

from tensorboard.compat.proto.summary_pb2 import Summary
from torch.utils.tensorboard import SummaryWriter

_SECONDS = 1.0  # between two writes


class CurveWriter(SummaryWriter):
    """A SummaryWriter that keeps scalars for up to a second, and writes those of one step together.

    Written one at a time, a thread wakes up for each, which small training steps feel. ``flush`` and ``close`` write
    what is kept.
    """

    def __init__(self, *args, **kwargs):
        self._kept = []  # (step, time, tag, value)
        self._written = time.time()
        super().__init__(*args, **kwargs)

    def add_scalar(self, tag, scalar_value, global_step=None, walltime=None, **form):
        try:
            value = float(scalar_value)
        except (TypeError, ValueError, RuntimeError):  # SummaryWriter says what is wrong
            value = None
        if value is None or form:
            super().add_scalar(tag, scalar_value, global_step, walltime, **form)
            return
        now = time.time()
        self._kept.append((global_step, now if walltime is None else walltime, tag, value))
        if now - self._written > _SECONDS:
            with self._named_errors():
                self._write()

    def flush(self):
        with self._named_errors():
            self._write()
            super().flush()

    def close(self):
        with self._named_errors():
            self._write()
            super().close()

    @contextlib.contextmanager
    def _named_errors(self):
        """Inside this context, a full disk is an error that names the folder."""
        try:
            yield
        except OSError as error:
            if error.errno is None or error.filename:
                raise
            raise OSError(error.errno, error.strerror, self.log_dir) from error

    def _write(self):
        kept, self._kept, self._written = self._kept, [], time.time()
        for step, points in itertools.groupby(kept, key=lambda point: point[0]):
            _, times, tags, values = zip(*points, strict=True)
            pairs = zip(tags, values, strict=True)
            summary = Summary(value=[Summary.Value(tag=tag, simple_value=value) for tag, value in pairs])
            self._get_file_writer().add_summary(summary, step, times[0])
