"""The files of checkpoints in an output folder."""

import os

from .errors import UserError

STEM, BEST = "model.pth.tar-", "model-best.pth.tar"


def saved_epochs(folder: str | os.PathLike) -> list[int]:
    """Returns the epochs of the checkpoints in a model's folder, in order; [] if there is no folder."""
    names = os.listdir(folder) if os.path.isdir(folder) else []
    return sorted(int(name.removeprefix(STEM)) for name in names if name.removeprefix(STEM).isdigit())


def find_checkpoint(directory: str, name: str, epoch: int | None = None) -> str:
    """Returns the path of a model's checkpoint.

    Args:
        directory: an output folder. name: the registered model's name. epoch: see ``CLIPTrainer.load_model``.

    Raises UserError: no folder, or no checkpoint of that epoch; names the existing ones.
    """
    folder = os.path.join(directory, name)
    if not os.path.isdir(folder):
        raise UserError(f"No checkpoint folder '{folder}'. --model-dir takes the output folder of a training run")
    epochs, best = saved_epochs(folder), os.path.join(folder, BEST)
    if epoch is None and os.path.isfile(best):
        return best
    if epoch is None and epochs:
        epoch = epochs[-1]
    if epoch not in epochs:
        which = "" if epoch is None else f" of epoch {epoch}"
        there = ", ".join(map(str, epochs)) or "none"
        raise UserError(f"No checkpoint{which} in '{folder}'. Epochs there (--load-epoch): {there}")
    return os.path.join(folder, f"{STEM}{epoch}")
