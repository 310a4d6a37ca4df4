"""Saving, resuming and loading the registered models of a trainer, each in a folder of its name."""

import os

from dassl.utils import CheckpointError, MissingFileError, load_checkpoint, save_checkpoint
from dassl.utils.atomic import refuse_link
from dassl.utils.checkpoint import restore
from dassl.utils.checkpoint_fields import check_values

from .resume_point import find_resume_point, saved_epochs
from .run_state import model_state, restore_run_state, run_state

BEST_MODEL = "model-best.pth.tar"


def save_models(trainer, epoch, directory, is_best=False, val_result=None, model_name=""):
    """Save every registered model of a trainer, see ``TrainerBase.save_model``."""
    trainer.flush_writer()
    for name in trainer.get_model_names():
        refuse_link(os.path.join(directory, name))
        state = {
            **model_state(trainer, name),
            "epoch": epoch + 1,
            # A NumPy number would be refused by torch.load(weights_only=True).
            "val_result": None if val_result is None else float(val_result),
            **run_state(trainer),
        }
        save_checkpoint(state, os.path.join(directory, name), is_best=is_best, model_name=model_name)


def restore_newest(trainer, directory):
    """Restore a trainer from the newest :class:`ResumePoint` of a folder and return the point, or None."""
    names = trainer.get_model_names()
    point = find_resume_point(directory, names) if names else None
    if point is None:
        print("No checkpoint found, train from scratch")
        return None
    if trainer.identity is not None:
        trainer.identity.check_resumed(point.run.get("identity"), f"Checkpoint {point}")
    print(f"Found checkpoint at {directory} (will resume training)")
    for name in names:
        parts = trainer._models[name], trainer._optims[name], trainer._scheds[name]
        restore(point.models[name], point.paths[name], *parts)
    # Last, so that nothing draws between here and the first batch.
    restore_run_state(trainer, point.run)
    return point


def load_models(trainer, directory, epoch=None):
    """Load the weights of every registered model of a trainer, see ``TrainerBase.load_model``."""
    if not directory:
        print("Note that load_model() is skipped as no pretrained model is given")
        return
    file_name = BEST_MODEL if epoch is None else f"model.pth.tar-{epoch}"
    for name in trainer.get_model_names():
        path, model = os.path.join(directory, name, file_name), trainer._models[name]
        if not os.path.exists(path):
            raise MissingFileError(_no_model_line(path))
        checkpoint = load_checkpoint(path)
        check_values(checkpoint.get("state_dict"), model, path)
        try:
            model.load_state_dict(checkpoint["state_dict"])
        except (RuntimeError, KeyError, TypeError) as error:
            raise CheckpointError(
                f'"{path}" does not fit the model {name!r} ({" ".join(str(error).split())[:400]}). '
                "Load it with the settings of its training."
            ) from error
        result = checkpoint.get("val_result")
        result = "None" if result is None else f"{float(result):.1f}"
        print(f"Load {path} to {name} (epoch={checkpoint.get('epoch')}, val_result={result})")


def _no_model_line(path):
    folder = os.path.dirname(path)
    epochs = saved_epochs(folder)
    if epochs:
        return f'No model at "{path}". Saved epochs: {", ".join(map(str, epochs))}. Choose one with --load-epoch.'
    if os.path.exists(os.path.join(folder, BEST_MODEL)):
        return f'No model at "{path}". Only the best model is there; leave --load-epoch out.'
    return f'No model at "{path}". Check --model-dir: it is the output folder of a training run.'
