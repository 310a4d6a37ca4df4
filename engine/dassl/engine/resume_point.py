"""The newest moment of a run that its output folder holds whole."""

import os
import re
from dataclasses import dataclass

from dassl.utils import CheckpointError, UserError, load_checkpoint
from dassl.utils.checkpoint import newest_name
from dassl.utils.checkpoint_fields import check_run_fields

from . import mid_epoch
from .run_state import random_states, restore_random_states

_PERIODIC = re.compile(r"model\.pth\.tar-(\d+)")
_ANY = re.compile(r"model.*\.pth\.tar.*")


@dataclass
class ResumePoint:
    """
    Attributes:
        directory (str): the output folder.
        is_within (bool): from the file that is written in the middle of epochs.
        epoch (int): finished epochs.
        paths, models (dict): name -> path and content (state_dict, epoch, optimizer, scheduler) of each model.
        run (dict): the run's state, see ``run_state``.
        steps (dict or None): steps of the next epoch that are done, see ``StepRecorder.content``.
    """

    directory: str
    is_within: bool
    epoch: int
    paths: dict
    models: dict
    run: dict
    steps: dict | None = None

    def __str__(self):
        files = " and ".join(f'"{path}"' for path in dict.fromkeys(self.paths.values()))
        after = f", after batch {self.steps['done']} of the next one" if self.steps else ""
        return f"{files} ({self.epoch} epochs{after})"


def find_resume_point(directory, names):
    """Return the newest :class:`ResumePoint` of the models ``names`` in an output folder, or None.

    A file that is corrupt is named in a printed line, and the newest of the others is taken.

    Raises:
        MissingFileError: (a FileNotFoundError) a model's folder has no pointer file and no checkpoint.
        CheckpointError: nothing that is there is whole.
    """
    broken = []
    within = _within_an_epoch(directory, names, broken)
    point = _between_epochs(directory, names, broken)
    if within is not None and (point is None or within.epoch >= point.epoch):
        point = within
    if broken and point is None:
        raise broken[0]
    for error in broken:
        reason = re.split(r"\.\s", str(error), maxsplit=1)[0].rstrip(".")
        print(f"Warning: {reason}. Going on from {point} instead")
    return point


def _within_an_epoch(directory, names, broken):
    for path in mid_epoch.paths(directory):
        try:
            content = _read(path)
            epoch = content["epoch"]
            models = {name: {**content["models"][name], "epoch": epoch} for name in names}
            if content["steps"]:
                _check_random_states([content["random_states"], *content["steps"]["passes"]], path)
            return ResumePoint(directory, True, epoch, dict.fromkeys(names, path), models, content, content["steps"])
        except KeyError as error:
            broken.append(CheckpointError(f'"{path}" has no {error}, so it belongs to another run. Delete it.'))
        except UserError as error:
            broken.append(error)
    return None


def _between_epochs(directory, names, broken):
    folders = {name: os.path.join(directory, name) for name in names}
    if not all(os.path.exists(folder) for folder in folders.values()):
        return None
    failed = None
    try:
        paths = {name: os.path.join(folder, newest_name(folder)) for name, folder in folders.items()}
        point = _point(directory, paths)
        if point is not None:
            return point
        reason = CheckpointError(
            f'The models in "{directory}" were saved after different epochs (the run was killed between two of them). '
            "Delete it and train again."
        )
    except UserError as error:
        reason = failed = error
    broken.append(reason)
    saved = [_by_epoch(folder, getattr(failed, "path", None), broken) for folder in folders.values()]
    common = set.intersection(*(set(paths) for paths in saved))
    if not common:
        return None
    return _point(directory, {name: paths[max(common)] for name, paths in zip(names, saved, strict=True)})


def _point(directory, paths):
    """Return the point of one file for each model; None where they are of different epochs."""
    models = {name: _read(path) for name, path in paths.items()}
    epochs = {model["epoch"] for model in models.values()}
    if len(epochs) > 1:
        return None
    return ResumePoint(directory, False, epochs.pop(), paths, models, run=next(reversed(models.values())))


def _by_epoch(folder, known, broken):
    """Return epochs -> path of the whole checkpoints in a model's folder."""
    found = {}
    for name in sorted(filter(_ANY.fullmatch, os.listdir(folder))):
        path = os.path.join(folder, name)
        if path == known:
            continue
        try:
            found[_read(path)["epoch"]] = path
        except UserError as error:
            broken.append(error)
    return found


def _read(path):
    try:
        content = load_checkpoint(path)
        if not isinstance(content, dict) or "epoch" not in content:
            raise CheckpointError(f'"{path}" is not a checkpoint of a run. Delete it.')
        check_run_fields(content, path)
        return content
    except UserError as error:
        error.path = path
        raise


def _check_random_states(states, path):
    """Raise CheckpointError if the generators refuse one of these states."""
    before = random_states()
    try:
        for state in states:
            restore_random_states(state)
    except Exception as error:  # torch, NumPy and Python each have errors of their own
        raise CheckpointError(f'"{path}" has a broken state of a random generator. Delete it.') from error
    finally:
        restore_random_states(before)


def newest_checkpoint(folder):
    """Return the path of the checkpoint that was saved last in a model's folder, or None."""
    try:
        return os.path.join(folder, newest_name(folder))
    except UserError:
        return None


def saved_epochs(folder):
    """Return the rising numbers N of the files ``model.pth.tar-N`` in a folder."""
    names = os.listdir(folder) if os.path.isdir(folder) else []
    return sorted(int(match[1]) for match in map(_PERIODIC.fullmatch, names) if match)
