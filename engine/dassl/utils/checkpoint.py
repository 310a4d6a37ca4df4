"""Writing and reading the checkpoint files of a run.

A checkpoint is a dict with ``state_dict``, ``epoch`` (finished epochs), ``optimizer``,
``scheduler`` and ``val_result``. Next to the files of a model is ``checkpoint``, a text file
with the name of the one saved last.
"""

import os
import shutil
from collections import OrderedDict

import torch

from .atomic import atomic_folder, atomic_path, remove_left_over
from .checkpoint_fields import check_fields, check_optimizer, check_scheduler, check_values
from .checksum import check_checksum, save_with_checksum
from .errors import CheckpointError, ConfigError, MissingFileError
from .regular_files import read_text
from .safe_load import load_data

_POINTER = "checkpoint"
_BEST = "model-best.pth.tar"


def save_checkpoint(state, save_dir, is_best=False, remove_module_from_keys=True, model_name=""):
    """Write ``state`` to ``save_dir`` and point the file ``checkpoint`` there at it.

    All files are written atomically, with a checksum, the pointer last, and a new folder appears with
    both of them, so that a run killed at any moment can be resumed.

    Args:
        state (dict): the checkpoint; its ``epoch`` gives the name ``model.pth.tar-{epoch}``.
        save_dir (str): the folder, created when missing.
        is_best (bool): also copy to ``model-best.pth.tar``.
        remove_module_from_keys (bool): strip a leading ``module.`` from the names of parameters.
        model_name (str): file name to use instead.

    Raises OutputError: the folder or file cannot be written.
    """
    if remove_module_from_keys:
        weights = OrderedDict((key.removeprefix("module."), value) for key, value in state["state_dict"].items())
        state = {**state, "state_dict": weights}
    model_name = model_name or f"model.pth.tar-{state['epoch']}"
    if os.path.isdir(save_dir):
        remove_left_over(save_dir)
        _write(state, save_dir, model_name, is_best)
    else:
        parent, name = os.path.split(os.path.abspath(save_dir))
        remove_left_over(parent, name)
        with atomic_folder(save_dir) as folder:
            _write(state, folder, model_name, is_best)
    print(f"Checkpoint saved to {os.path.join(save_dir, model_name)}")


def _write(state, folder, model_name, is_best):
    path = os.path.join(folder, model_name)
    with atomic_path(path) as temporary:
        save_with_checksum(state, temporary)
    if is_best:
        with atomic_path(os.path.join(folder, _BEST)) as temporary:
            shutil.copyfile(path, temporary)
    with atomic_path(os.path.join(folder, _POINTER)) as temporary, open(temporary, "w", encoding="utf-8") as file:
        file.write(f"{model_name}\n")


def load_checkpoint(fpath):
    """Read a checkpoint; nothing in the file is executed.

    Tensors go to the device they were saved from, or to the CPU when there is no CUDA.

    Raises:
        ConfigError: (a ValueError) the path is None.
        MissingFileError: (a FileNotFoundError) there is no such file.
        CheckpointError: the file is corrupt (also where only its checksum tells), holds objects that
            are not plain data, or a field of another type than it should have.
    """
    if fpath is None:
        raise ConfigError("File path is None")
    if not os.path.exists(fpath):
        raise MissingFileError(f'File is not found at "{fpath}"')
    map_location = None if torch.cuda.is_available() else "cpu"
    try:
        check_checksum(fpath)
        try:
            content = load_data(fpath, map_location)
        except UnicodeDecodeError:
            # Written by Python 2, whose strings have no encoding.
            content = load_data(fpath, map_location, encoding="latin1")
        check_fields(content, fpath)
        return content
    except Exception as error:
        print(f'Unable to load checkpoint from "{fpath}"')
        if isinstance(error, CheckpointError):
            raise
        reason = getattr(error, "strerror", None) or (str(error) or type(error).__name__).splitlines()[0][:200]
        if "weights_only" in reason:  # torch goes on to advise how to read it all the same
            reason = "it is not whole, or of another kind"
        raise CheckpointError(
            f'"{fpath}" is not a readable checkpoint ({reason}). Delete it and train again, or load another epoch.'
        ) from error


def resume_from_checkpoint(fdir, model, optimizer=None, scheduler=None):
    """:func:`restore` from the newest checkpoint in a folder that ``save_checkpoint`` wrote.

    Returns the number of finished epochs, which is the epoch to continue with, from 0.
    Raises MissingFileError without one, CheckpointError for a corrupt one.
    """
    fpath = os.path.join(fdir, newest_name(fdir))
    return restore(load_checkpoint(fpath), fpath, model, optimizer, scheduler)


def restore(checkpoint, fpath, model, optimizer=None, scheduler=None):
    """Put what a checkpoint holds into the model, and into the optimiser and scheduler if given.

    Args:
        checkpoint (dict): content of ``fpath``, or of the part of it that belongs to the model.
        fpath (str): where it comes from, for the printed lines.

    Returns:
        int: the number of finished epochs.

    Raises CheckpointError: it does not fit the model.
    """
    print(f'Loading checkpoint from "{fpath}"')
    check_values(checkpoint.get("state_dict"), model, fpath)
    try:
        model.load_state_dict(checkpoint["state_dict"])
        print("Loaded model weights")
        for name, target, check in (
            ("optimizer", optimizer, check_optimizer),
            ("scheduler", scheduler, check_scheduler),
        ):
            if target is not None and checkpoint.get(name) is not None:
                check(checkpoint[name], target)
                target.load_state_dict(checkpoint[name])
                print(f"Loaded {name}")
        start_epoch = checkpoint["epoch"]
    except Exception as error:  # whatever a file may hold in the place of tensors and numbers
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise CheckpointError(
            f'"{fpath}" does not fit this run ({reason}). Resume with the settings of the stopped run, '
            "or choose a new output folder."
        ) from error
    print(f"Previous epoch: {start_epoch}")
    return start_epoch


def newest_name(fdir):
    """Return the name of the file that was saved last in a model's folder, as its pointer file tells.

    Raises:
        MissingFileError: (a FileNotFoundError) there is no pointer file.
        CheckpointError: the pointer file cannot be read or names no file of its folder.
    """
    pointer = os.path.join(fdir, _POINTER)
    try:
        name = read_text(pointer, limit=2**16).partition("\n")[0].strip()
    except FileNotFoundError as error:
        raise MissingFileError(
            f'File is not found at "{pointer}". The folder holds no complete checkpoint; choose another to resume.'
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise CheckpointError(f'Cannot read "{pointer}" ({reason}). Write the name of a checkpoint into it.') from error
    if not name or os.path.basename(name) != name:
        raise CheckpointError(
            f'"{pointer}" should hold the name of a file in its folder, but holds "{name}". Write the name of a '
            "checkpoint into it."
        )
    return name
