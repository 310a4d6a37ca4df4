"""The part of a trainer that knows models and epochs, but neither data nor config."""

import os
from collections import OrderedDict

import torch

from dassl.utils import (
    CheckpointError,
    MissingFileError,
    OutputError,
    load_checkpoint,
    resume_from_checkpoint,
    save_checkpoint,
    tolist_if_not,
)

from .run_state import newest_checkpoint, random_states, restore_random_states, saved_epochs

BEST_MODEL = "model-best.pth.tar"


class TrainerBase:
    """Holds named models with their optimisers and schedulers, saves and loads them, and runs epochs.

    Hooks, in the order of a run: ``before_train``, then ``before_epoch``, ``run_epoch``,
    ``after_epoch`` for each epoch, then ``after_train``.

    Attributes:
        epoch (int): the running epoch, from 0.
        start_epoch, max_epoch (int): first epoch, and the end (exclusive).
    """

    def __init__(self):
        self._models = OrderedDict()
        self._optims = OrderedDict()
        self._scheds = OrderedDict()
        self._writer = None

    def register_model(self, name="model", model=None, optim=None, sched=None):
        """Give a model a name, under which it is saved, switched to train or eval mode, and stepped.

        Args:
            name (str): also the name of the folder for its checkpoints.
            model (nn.Module): the model.
            optim (torch.optim.Optimizer or None): None for a model that does not learn.
            sched (torch scheduler or None): its ``step()`` is called once per epoch.

        Raises:
            AttributeError: the base constructor has not run yet.
            AssertionError: the name is taken.
        """
        for kind, storage in (("model", "_models"), ("optim", "_optims"), ("sched", "_scheds")):
            if storage not in self.__dict__:
                raise AttributeError(f"Cannot assign {kind} before super().__init__() call")
        if name in self._models:
            raise AssertionError("Found duplicate model names")
        self._models[name] = model
        self._optims[name] = optim
        self._scheds[name] = sched

    def get_model_names(self, names=None):
        """Return a list of names: all in the order of registration for None, else those given.

        Raises:
            AssertionError: a name is not registered.
        """
        if names is None:
            return list(self._models)
        names = tolist_if_not(names)
        for name in names:
            if name not in self._models:
                raise AssertionError(f"No model is registered as {name!r}. Registered: {list(self._models)}")
        return names

    # Saving and loading

    def save_model(self, epoch, directory, is_best=False, val_result=None, model_name=""):
        """Save every model to ``{directory}/{its name}/``, with all that is needed to go on.

        Args:
            epoch (int): the epoch that just ended, from 0; the file counts from 1.
            directory (str): usually the output folder.
            is_best (bool): also copy to ``model-best.pth.tar``.
            val_result (float or None): result on the validation set.
            model_name (str): file name instead of ``model.pth.tar-{epoch + 1}``.
        """
        for name in self.get_model_names():
            optim, sched = self._optims[name], self._scheds[name]
            state = {
                "state_dict": self._models[name].state_dict(),
                "epoch": epoch + 1,
                "optimizer": None if optim is None else optim.state_dict(),
                "scheduler": None if sched is None else sched.state_dict(),
                # A NumPy number would be refused by torch.load(weights_only=True).
                "val_result": None if val_result is None else float(val_result),
                **self._run_state(),
            }
            save_checkpoint(state, os.path.join(directory, name), is_best=is_best, model_name=model_name)

    def _run_state(self):
        """Return what a checkpoint holds beyond the five keys that every reader knows."""
        state = {"random_states": random_states()}
        if "best_result" in self.__dict__:
            state["best_result"] = float(self.best_result)
        scaler_state = self._scaler_state()
        if scaler_state:
            state["scaler"] = scaler_state
        return state

    def _scaler_state(self):
        scaler = getattr(self, "scaler", None)
        # A disabled GradScaler has an empty state, which it refuses to load again.
        return scaler.state_dict() if hasattr(scaler, "state_dict") else None

    def _restore_run_state(self, checkpoint):
        if "best_result" in checkpoint:
            self.best_result = checkpoint["best_result"]
        if checkpoint.get("scaler") and self._scaler_state():
            self.scaler.load_state_dict(checkpoint["scaler"])
        if "random_states" in checkpoint:
            restore_random_states(checkpoint["random_states"])

    def resume_model_if_exist(self, directory):
        """Restore all models and the run's state from ``directory``, if every model has a folder there.

        A resumed run ends as one that was never interrupted: random states, best result and the
        gradient scaler are restored too, where the checkpoint has them.

        Returns:
            int: the epoch to go on with, from 0; 0 when there is nothing to resume.
        """
        names = self.get_model_names()
        folders = {name: os.path.join(directory, name) for name in names}
        if not names or not all(os.path.exists(folder) for folder in folders.values()):
            print("No checkpoint found, train from scratch")
            return 0
        print(f"Found checkpoint at {directory} (will resume training)")
        start_epoch = 0
        for name, folder in folders.items():
            start_epoch = resume_from_checkpoint(folder, self._models[name], self._optims[name], self._scheds[name])
        # Last, so that nothing draws between here and the first batch.
        self._restore_run_state(load_checkpoint(newest_checkpoint(folder)))
        return start_epoch

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
            try:
                self._models[name].load_state_dict(checkpoint["state_dict"])
            except (RuntimeError, KeyError, TypeError) as error:
                raise CheckpointError(
                    f'"{path}" does not fit the model {name!r} ({" ".join(str(error).split())[:400]}). '
                    "Load it with the settings it was trained with."
                ) from error
            result = checkpoint.get("val_result")
            result = "None" if result is None else f"{result:.1f}"
            print(f"Load {path} to {name} (epoch={checkpoint.get('epoch')}, val_result={result})")

    # Switching and stepping all or some models

    def set_model_mode(self, mode="train", names=None):
        """Switch models to ``train``, or to ``eval`` or ``test``, which are the same.

        Raises:
            KeyError: another mode.
        """
        names = self.get_model_names(names)
        if mode not in ("train", "eval", "test"):
            raise KeyError(mode)
        for name in names:
            self._models[name].train(mode == "train")

    def update_lr(self, names=None):
        """Step the schedulers, once per epoch; models without one are left out."""
        for name in self.get_model_names(names):
            if self._scheds[name] is not None:
                self._scheds[name].step()

    def get_current_lr(self, names=None):
        """Return the rate of the first parameter group of the first name; 0 without an optimiser."""
        names = self.get_model_names(names)
        optim = self._optims[names[0]] if names else None
        return 0.0 if optim is None else optim.param_groups[0]["lr"]

    def detect_anomaly(self, loss):
        """Raise FloatingPointError if ``loss`` (a tensor) is infinite or not a number."""
        if not torch.isfinite(loss).all():
            raise FloatingPointError("Loss is infinite or NaN!")

    def model_zero_grad(self, names=None):
        for name in self.get_model_names(names):
            if self._optims[name] is not None:
                self._optims[name].zero_grad()

    def model_backward(self, loss):
        self.detect_anomaly(loss)
        loss.backward()

    def model_update(self, names=None):
        for name in self.get_model_names(names):
            if self._optims[name] is not None:
                self._optims[name].step()

    def model_backward_and_update(self, loss, names=None):
        """One optimisation step: clear the gradients, check the loss, go backward, update."""
        self.model_zero_grad(names)
        self.model_backward(loss)
        self.model_update(names)

    # TensorBoard

    def init_writer(self, log_dir):
        """Open the TensorBoard writer, unless one is open.

        Raises:
            OutputError: (an OSError) the folder cannot be written.
        """
        if self._writer is not None:
            return
        from torch.utils.tensorboard import SummaryWriter  # slow to import, and only training needs it

        print(f"Initialize tensorboard (log_dir={log_dir})")
        try:
            self._writer = SummaryWriter(log_dir=log_dir)
        except OSError as error:
            raise OutputError(
                f'Cannot write to "{log_dir}" ({error.strerror or error}). Choose an OUTPUT_DIR that you may write to.'
            ) from error

    def close_writer(self):
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def write_scalar(self, tag, scalar_value, global_step=None):
        """Write one point of a curve; does nothing while no writer is open."""
        if self._writer is not None:
            self._writer.add_scalar(tag, scalar_value, global_step)

    # The run

    def train(self, start_epoch, max_epoch):
        """Run epochs ``start_epoch`` to ``max_epoch - 1``; ``before_train`` may move the start."""
        self.start_epoch = start_epoch
        self.max_epoch = max_epoch
        try:
            self.before_train()
            for self.epoch in range(self.start_epoch, self.max_epoch):  # noqa: B020
                self.before_epoch()
                self.run_epoch()
                self.after_epoch()
            self.after_train()
        finally:
            self.close_writer()  # curves reach the disk although the run failed

    def before_train(self):
        pass

    def after_train(self):
        pass

    def before_epoch(self):
        pass

    def after_epoch(self):
        pass

    def run_epoch(self):
        raise NotImplementedError

    def test(self):
        raise NotImplementedError

    def parse_batch_train(self, batch):
        raise NotImplementedError

    def parse_batch_test(self, batch):
        raise NotImplementedError

    def forward_backward(self, batch):
        raise NotImplementedError

    def model_inference(self, input):
        raise NotImplementedError


def _no_model_line(path):
    folder = os.path.dirname(path)
    epochs = saved_epochs(folder)
    if epochs:
        return f'No model at "{path}". Saved epochs: {", ".join(map(str, epochs))}. Choose one with --load-epoch.'
    if os.path.exists(os.path.join(folder, BEST_MODEL)):
        return f'No model at "{path}". Only the best model is there; leave --load-epoch out.'
    return f'No model at "{path}". Check --model-dir: it is the output folder of a training run.'
