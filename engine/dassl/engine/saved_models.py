"""The part of a trainer that saves and loads its models."""

import os

from dassl.utils import CheckpointError, MissingFileError, load_checkpoint, save_checkpoint
from dassl.utils.atomic import refuse_link
from dassl.utils.checkpoint import restore
from dassl.utils.checkpoint_fields import check_values

from .resume_point import find_resume_point, saved_epochs
from .run_state import model_state, restore_run_state, run_state

BEST_MODEL = "model-best.pth.tar"


class SavedModels:
    """Saves the registered models of a trainer, each in a folder of its name, and loads them.

    Attributes:
        STATE (tuple): names of attributes, beside the registered models, that determine how a run goes on: objects
            with ``state_dict`` and ``load_state_dict`` (an averaged network), or numbers (a count). They are saved
            and restored with the models. What the classes above say in theirs counts too.
        identity: None, or an object of the launch script that says what determines the run's result: ``content``
            (plain data, saved with every checkpoint) and ``check_resumed(content, place)``, which raises a UserError
            for a checkpoint of another run; ``content`` is None for a checkpoint that has none.
    """

    STATE = ()
    identity = None

    def save_model(self, epoch, directory, is_best=False, val_result=None, model_name=""):
        """Save every model to ``{directory}/{its name}/``, with all that is needed to go on.

        Args:
            epoch (int): the epoch that just ended, from 0; the file counts from 1.
            directory (str): usually the output folder.
            is_best (bool): also copy to ``model-best.pth.tar``.
            val_result (float or None): result on the validation set.
            model_name (str): file name instead of ``model.pth.tar-{epoch + 1}``.

        Raises:
            OutputError: a file cannot be written; the earlier ones are kept.
        """
        self.flush_writer()
        for name in self.get_model_names():
            refuse_link(os.path.join(directory, name))
            state = {
                **model_state(self, name),
                "epoch": epoch + 1,
                # A NumPy number would be refused by torch.load(weights_only=True).
                "val_result": None if val_result is None else float(val_result),
                **run_state(self),
            }
            save_checkpoint(state, os.path.join(directory, name), is_best=is_best, model_name=model_name)
        self._models_saved(epoch + 1, directory)

    def _models_saved(self, epochs_done, directory):
        """Called when a whole epoch is on the disk."""

    def _goes_on_from(self, point):
        """Called when a ``ResumePoint`` is restored."""

    def resume_model_if_exist(self, directory):
        """Restore all models and the run's state from ``directory``, if every model was saved there.

        A resumed run ends as one that was never interrupted: random states, best result, gradient scaler and what
        ``STATE`` names are restored too, where the checkpoint has them, and an epoch that was under way goes on at
        its batch. A corrupt checkpoint is named, and the newest whole one before it is taken.

        Returns:
            int: the epoch to go on with, from 0; 0 when there is nothing to resume.

        Raises:
            MissingFileError: (a FileNotFoundError) a model's folder is there, but no checkpoint in it.
            CheckpointError: no checkpoint is whole, or it does not fit the models.
        """
        names = self.get_model_names()
        point = find_resume_point(directory, names) if names else None
        if point is None:
            print("No checkpoint found, train from scratch")
            return 0
        if self.identity is not None:
            self.identity.check_resumed(point.run.get("identity"), f"Checkpoint {point}")
        print(f"Found checkpoint at {directory} (will resume training)")
        for name in names:
            restore(point.models[name], point.paths[name], self._models[name], self._optims[name], self._scheds[name])
        # Last, so that nothing draws between here and the first batch.
        restore_run_state(self, point.run)
        self._goes_on_from(point)
        return point.epoch

    def load_model(self, directory, epoch=None):
        """Load the weights of every model; the key names and shapes must fit exactly.

        Args:
            directory (str): output folder of a run; empty: nothing is loaded.
            epoch (int or None): finished epochs; None loads the best model on validation data.

        Raises:
            MissingFileError: (a FileNotFoundError) no such model; the line lists the epochs that exist.
            CheckpointError: the file is corrupt, or belongs to another model.
        """
        if not directory:
            print("Note that load_model() is skipped as no pretrained model is given")
            return
        file_name = BEST_MODEL if epoch is None else f"model.pth.tar-{epoch}"
        for name in self.get_model_names():
            path = os.path.join(directory, name, file_name)
            if not os.path.exists(path):
                raise MissingFileError(_no_model_line(path))
            checkpoint = load_checkpoint(path)
            check_values(checkpoint.get("state_dict"), self._models[name], path)
            try:
                self._models[name].load_state_dict(checkpoint["state_dict"])
            except (RuntimeError, KeyError, TypeError) as error:
                raise CheckpointError(
                    f'"{path}" does not fit the model {name!r} ({" ".join(str(error).split())[:400]}). '
                    "Load it with the settings it was trained with."
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
