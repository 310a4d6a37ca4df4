"""Faults of the machine during a run, as user errors."""

import contextlib
import errno
import os
import re

from dassl.utils import ImageReadError, LoaderWorkerError, MissingFileError, NonFiniteLossError, OutputError, UserError

_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO, errno.EACCES, errno.EPERM)


def as_user_error(error):
    """Return the UserError for a fault of the machine, of the data, or of the arithmetic; None for any other error."""
    if isinstance(error, (ImageReadError, LoaderWorkerError, MissingFileError, OutputError)):
        return error
    if isinstance(error, FloatingPointError) and not isinstance(error, UserError):
        return NonFiniteLossError(f"{error} Lower OPTIM.LR, or train in higher precision.")
    text = " ".join(str(error).split())
    if isinstance(error, RuntimeError) and text.startswith("DataLoader worker"):
        how = re.sub(r"^DataLoader worker \(pid(\(s\))? [\d, ]*\) ", "", text).split(". ")[0].rstrip(".")
        return LoaderWorkerError(
            f"A process that loads images ended ({how}), possibly because memory ran out. "
            "Lower DATALOADER.NUM_WORKERS (0: none) or the batch sizes."
        )
    if isinstance(error, OSError) and error.errno in _DISK:
        place = f'"{os.fsdecode(error.filename)}"' if error.filename else "the disk"
        return OutputError(f"Cannot use {place} ({error.strerror}). Check the permissions and the free space.")
    return None


@contextlib.contextmanager
def user_errors():
    """Inside this context, a fault of the machine is raised as its UserError."""
    try:
        yield
    except Exception as error:
        known = as_user_error(error)
        if known is None or known is error:
            raise
        raise known from error
