"""Checkpoint files with a checksum, so that damage is noticed.

``torch.save`` writes a zip archive, and ``torch.load`` does not look at its checksums: a flipped bit
in a weight goes unnoticed. The SHA-256 of the archive is stored in the archive's comment, which every
reader of such files ignores, ``torch.load`` of any version included.
"""

import hashlib
import io
import os

import torch

from .errors import CheckpointError
from .regular_files import open_regular

_MARK = b"sha256:"
_LENGTH = len(_MARK) + 64  # of the comment
_SIZE = _LENGTH.to_bytes(2, "little")  # the last field of an archive is the length of its comment, then comes that


def save_with_checksum(state, path):
    """``torch.save`` to a path, with a checksum.

    Raises OSError: the file cannot be written.
    """
    buffer = io.BytesIO()  # torch.save into a file says only that writing failed, and not why
    torch.save(state, buffer)
    archive = buffer.getbuffer()
    with open(path, "wb") as file:
        file.write(archive[:-2])
        file.write(_SIZE + _MARK + hashlib.sha256(archive).hexdigest().encode())


def check_checksum(path):
    """Return whether a file has a checksum; files of upstream and of ``torch.save`` have none.

    Raises:
        CheckpointError: it has one, and the content is another.
        OSError: the file cannot be read.
    """
    with open_regular(path) as file:
        size = file.seek(0, os.SEEK_END) - _LENGTH - len(_SIZE)
        if size < 0:
            return False
        file.seek(size)
        tail = file.read()
        # One of both is enough: the other may be what is damaged.
        if not tail.startswith(_SIZE) and not tail[len(_SIZE) :].startswith(_MARK):
            return False
        file.seek(0)
        digest = hashlib.sha256()
        while size > 0 and (block := file.read(min(size, 2**20))):
            digest.update(block)
            size -= len(block)
    digest.update(b"\0\0")
    if tail != _SIZE + _MARK + digest.hexdigest().encode():
        raise CheckpointError(
            f'"{path}" is corrupt: its content does not match its checksum. Delete it and train again, '
            "or load another epoch."
        )
    return True
