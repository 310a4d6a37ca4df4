"""The checkpoints that an evaluation loads: which files, of which run, learned on what."""

import os

from dassl.utils import load_checkpoint

from clip_prompts.common.checkpoint_files import BEST, STEM, find_checkpoint, saved_epochs
from clip_prompts.common.contents import content_hashes
from clip_prompts.common.errors import UserError
from clip_prompts.common.files import LIST, read_text

from .facts import OWN_PICTURES
from .identity import TRAINED_IMAGES, Identity
from .stored_identity import determines_of, facts_of, read_identity

LAST_EPOCH, BEST_EPOCH, NOTHING = "last epoch", "best epoch on the validation set", "nothing learned"


def loaded_models(trainer, model_dir: str, epoch: int | None, identity: Identity) -> list[dict]:
    """Find and check the checkpoints that ``trainer.load_model(model_dir, epoch)`` will load.

    Returns:
        Per registered model ``{"model", "file", "sha256", "epoch", "identity"}``; ``file``: relative to the folder;
        ``epoch``: finished epochs.

    Raises:
        UserError: no model folder is given, a checkpoint is missing, two runs are mixed in the folder, the model was
            learned under circumstances that do not fit, or on images that this run tests.
    """
    names = trainer.get_model_names()
    if not names:
        return []
    if not model_dir:
        raise UserError(
            f"--eval-only of {type(trainer).__name__} needs --model-dir, the output folder of a training run: "
            "without it there is nothing to evaluate"
        )
    found = []
    for name in names:
        path = find_checkpoint(model_dir, name, epoch)
        content = load_checkpoint(path)
        stored = _identity_in(content, model_dir)
        if epoch is None and os.path.basename(path) == BEST:
            _check_is_of_newest(path, stored, model_dir, name)
        identity.check_loaded(stored, f"Checkpoint '{path}'")
        facts = {"file": os.path.relpath(path, model_dir), "sha256": content_hashes([path])[0]}
        found.append({"model": name, **facts, "epoch": _epoch_of(content), "identity": stored})
    _check_images(model_dir, facts_of(found[0]["identity"]), identity)
    return found


def check_resume(trainer, folder: str, identity: Identity, again: bool) -> None:
    """Raise UserError if ``--resume`` names a folder from which this run cannot be continued."""
    if not folder:
        return
    if again and os.path.realpath(folder) == os.path.realpath(trainer.output_dir):
        raise UserError(f"--again would move aside '{folder}', which --resume continues. Remove one of the two")
    if (stored := read_identity(folder)) is not None:
        identity.check_resumed(stored, f"The run in '{folder}'")
    if os.path.isdir(os.path.join(folder, "mid_epoch")):
        return
    for name in trainer.get_model_names():
        if not os.path.isfile(os.path.join(folder, name, "checkpoint")):
            raise UserError(
                f"--resume: '{folder}' holds no checkpoint of {name} to continue from. Name the output folder of the "
                "run that was stopped, or remove --resume to train from the start"
            )


def selection_of(weights: list[dict], epoch: int | None, planned: int | None) -> str:
    """Describes how the tested model of a trainer that learns was selected.

    Args:
        weights: as :func:`loaded_models` gives; [] for a run that trains. epoch: of a model that was just trained;
            None for the best one. planned: epochs of the training.
    """
    if weights and os.path.basename(weights[0]["file"]) != BEST:
        epoch = weights[0]["epoch"]
    elif weights or epoch is None:
        return BEST_EPOCH
    return LAST_EPOCH if planned is None or epoch == planned else f"epoch {epoch} of {planned}"


def best_of(folder: str, name: str) -> dict:
    """File, hash and epoch of the best checkpoint of a model in its run's own folder; nulls if there is none."""
    path = os.path.join(folder, name, BEST)
    if not os.path.isfile(path):
        return {"file": None, "sha256": None, "epoch": None}
    epoch = _epoch_of(load_checkpoint(path))
    return {"file": os.path.join(name, BEST), "sha256": content_hashes([path])[0], "epoch": epoch}


def _epoch_of(checkpoint: object) -> int | None:
    """Finished epochs, as a checkpoint says."""
    epoch = checkpoint.get("epoch") if isinstance(checkpoint, dict) else None
    return epoch if type(epoch) is int else None


def _identity_in(content: object, model_dir: str) -> object:
    """The identity in a checkpoint's content, or next to it (upstream's engine stores none in the checkpoint)."""
    stored = content.get("identity") if isinstance(content, dict) else None
    return read_identity(model_dir) if stored is None else stored


def _check_is_of_newest(best: str, stored: object, model_dir: str, name: str) -> None:
    """Raise UserError if the best and the newest checkpoint in a folder are of different runs."""
    folder = os.path.join(model_dir, name)
    if not (epochs := saved_epochs(folder)):
        return
    newest = _identity_in(load_checkpoint(os.path.join(folder, f"{STEM}{epochs[-1]}")), model_dir)
    if determines_of(newest) != determines_of(stored):
        raise UserError(
            f"'{best}' and '{STEM}{epochs[-1]}' next to it are of different runs. Name the epoch to load: "
            f"--load-epoch {epochs[-1]}, or remove {BEST}"
        )


def _check_images(model_dir: str, trained: dict, identity: Identity) -> None:
    """Look for test images that the model was trained on, by their content.

    In the training's own dataset, or wherever pictures are the user's own, they mean that pictures or the split have
    changed since. Elsewhere they are a warning, and so are those that were on the test list of the training as well:
    datasets hold some images twice.
    Raises UserError: the model was trained on images that are tested now.
    """
    try:
        known = set(read_text(os.path.join(model_dir, TRAINED_IMAGES), LIST, "ascii", lines=True).split())
    except (OSError, UnicodeDecodeError):
        return
    tested = identity.test_images
    files, contents = sum(i.file in known for i in tested), sum(i.content in known for i in tested)
    if files and trained.get("label") == identity.facts.get("label"):
        raise UserError(
            f"{files} of {len(tested)} test images were trained on by the model in '{model_dir}': the split has "
            "changed since. Restore the split that it was trained on, or train again"
        )
    both_own = trained.get("dataset") == identity.facts.get("dataset") == OWN_PICTURES
    if contents and both_own and trained.get("test") != identity.facts.get("test"):
        raise UserError(
            f"{contents} of {len(tested)} test images are copies of images that the model in '{model_dir}' was "
            "trained on. Remove them from the test images, restore the split that it was trained on, or train again"
        )
    if contents:
        print(f"Warning: {contents} of {len(tested)} test images are copies of images that the model learned from")
