"""The part of a trainer that knows models and epochs, but neither data nor config."""

import contextlib
from collections import OrderedDict

import torch

from dassl.utils import OutputError, tolist_if_not
from dassl.utils.atomic import refuse_link

from .saved_models import SavedModels


class TrainerBase(SavedModels):
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
        from .curves import CurveWriter  # slow to import, and only training needs it

        refuse_link(log_dir)
        print(f"Initialize tensorboard (log_dir={log_dir})")
        try:
            self._writer = CurveWriter(log_dir=log_dir)
        except OSError as error:
            raise OutputError(
                f'Cannot write to "{log_dir}" ({error.strerror or error}). Choose an OUTPUT_DIR that you may write to.'
            ) from error

    def close_writer(self):
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def flush_writer(self):
        """Bring the curves to the disk, so that they reach as far as the checkpoint that is about to be saved."""
        if self._writer is not None:
            self._writer.flush()

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
            if self.start_epoch >= self.max_epoch > 0:
                self.epoch = self.max_epoch - 1  # nothing is left to train, but to test
            for self.epoch in range(self.start_epoch, self.max_epoch):  # noqa: B020
                self._run_epoch_with_hooks()
            self.after_train()
        except BaseException:
            with contextlib.suppress(OSError):  # the disk may be what failed
                self.close_writer()  # curves reach the disk although the run failed
            raise
        self.close_writer()

    def _run_epoch_with_hooks(self):
        self.before_epoch()
        self.run_epoch()
        self.after_epoch()

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
