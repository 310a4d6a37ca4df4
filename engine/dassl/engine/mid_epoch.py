"""The state of a run in the middle of an epoch: one file for all models, in a folder beside theirs.

Clients and upstream's Dassl, which know only the models' folders and whole epochs, do not see it.
``mid_epoch/state.pth.tar`` holds ``epoch`` (finished epochs), ``models`` (name -> its
``state_dict``, ``optimizer`` and ``scheduler``), ``steps`` (see ``StepRecorder.content``) and the
run's state (see ``run_state``); the file before it is kept as ``state-previous.pth.tar``.
"""

import contextlib
import os

from dassl.utils import mkdir_if_missing
from dassl.utils.atomic import atomic_path, refuse_link, remove_left_over
from dassl.utils.checksum import save_with_checksum

FOLDER = "mid_epoch"
NEWEST = "state.pth.tar"
PREVIOUS = "state-previous.pth.tar"


def write(directory, content):
    """Write the state to an output folder, and return the file's path.

    Raises OutputError: the folder or file cannot be written; the files that were there are kept.
    """
    folder = os.path.join(directory, FOLDER)
    refuse_link(folder)
    mkdir_if_missing(folder)
    remove_left_over(folder)
    path = os.path.join(folder, NEWEST)
    with atomic_path(path) as temporary:
        save_with_checksum(content, temporary)
        if os.path.exists(path):
            os.replace(path, os.path.join(folder, PREVIOUS))
    return path


def paths(directory):
    """Return the paths of the files that are there, the newest first."""
    found = (os.path.join(directory, FOLDER, name) for name in (NEWEST, PREVIOUS))
    return [path for path in found if os.path.exists(path)]


def remove(directory):
    """Remove what :func:`write` wrote: a whole epoch is saved that is newer."""
    folder = os.path.join(directory, FOLDER)
    remove_left_over(folder)
    with contextlib.suppress(OSError):
        for path in paths(directory):
            os.remove(path)
        os.rmdir(folder)
