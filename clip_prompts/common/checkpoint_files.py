"""The files of checkpoints in an output folder."""

import os
import os.path as osp

from .errors import UserError


def find_checkpoint(directory: str, name: str, epoch: int | None = None) -> str:
    """Path of a model's checkpoint.

    Args:
        directory: an output folder. name: the registered model's name. epoch: see ``CLIPTrainer.load_model``.

    Raises:
        UserError: no folder, or no checkpoint of that epoch; names what there is.
    """
    folder = osp.join(directory, name)
    if not osp.isdir(folder):
        raise UserError(f"No checkpoint folder '{folder}'. --model-dir takes the output folder of a training run")
    stem = "model.pth.tar-"
    epochs = sorted(int(f.removeprefix(stem)) for f in os.listdir(folder) if f.removeprefix(stem).isdigit())
    best = osp.join(folder, "model-best.pth.tar")
    if epoch is None and osp.isfile(best):
        return best
    if epoch is None and epochs:
        return osp.join(folder, f"{stem}{epochs[-1]}")
    if epoch not in epochs:
        which = "" if epoch is None else f" of epoch {epoch}"
        there = ", ".join(map(str, epochs)) or "none"
        raise UserError(f"No checkpoint{which} in '{folder}'. Epochs there (--load-epoch): {there}")
    return osp.join(folder, f"{stem}{epoch}")
