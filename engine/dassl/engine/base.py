"""The part of a trainer that handles models, epochs and batches, without data or config."""

import contextlib
from collections import OrderedDict

import torch

from dassl.utils import OutputError, tolist_if_not
from dassl.utils.atomic import refuse_link
from dassl.utils.meters import EpochProgress, naming_folder

from .saved_models import load_models, restore_newest, save_models
from .steps import StepRecorder


class TrainerBase:
    """Holds named models with their optimisers and schedulers, saves and loads them, and runs epochs and batches.

    Hooks, in the order of a run: ``before_train``, then ``before_epoch``, ``run_epoch``,
    ``after_epoch`` for each epoch, then ``after_train``.

    Attributes:
        epoch (int): the running epoch, from 0.
        start_epoch, max_epoch (int): first epoch, and the end (exclusive).
        num_batches, batch_idx (int): batches of the running epoch, and the running batch; set by ``run_epoch``.
        observers (list): objects that the loops report to, see :class:`Observer`.
        STATE (tuple): names of attributes, besides the registered models, that determine how a run continues: objects
            with ``state_dict`` and ``load_state_dict`` (an averaged network), or numbers (a count). They are saved
            and restored with the models. The names in STATE of the classes above count too.
        identity: None, or an object of the launch script that says what determines the run's result: ``content``
            (plain data, saved with every checkpoint) and ``check_resumed(content, place)``, which raises a UserError
            for a checkpoint of another run; ``content`` is None for a checkpoint that has none.
        writes_tensorboard (bool): False: ``init_writer`` opens nothing.
    """

    STATE = ()
    identity = None
    writes_tensorboard = True

    def __init__(self):
        self._models = OrderedDict()
        self._optims = OrderedDict()
        self._scheds = OrderedDict()
        self._writer = None
        self._steps = StepRecorder()
        self.observers = []

    def register_model(self, name="model", model=None, optim=None, sched=None):
        """Give a model a name, under which it is saved (the folder's name), switched to train or eval, and stepped.

        ``optim``: None for a model that does not learn. ``sched``: its ``step()`` is called once per epoch.
        Raises AttributeError before the base constructor has run, AssertionError for a name that is taken.
        """
        if "_models" not in self.__dict__:
            raise AttributeError("Cannot assign model before super().__init__() call")
        if name in self._models:
            raise AssertionError("Found duplicate model names")
        self._models[name] = model
        self._optims[name] = optim
        self._scheds[name] = sched

    def get_model_names(self, names=None):
        """Return a list of names: all in the order of registration for None, else those given.

        Raises AssertionError for a name that is not registered.
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
        """Save every model to ``{directory}/{its name}/``, with all that is needed to resume.

        Args:
            epoch (int): the epoch that just ended, from 0; the file counts from 1.
            directory (str): usually the output folder.
            is_best (bool): also copy to ``model-best.pth.tar``.
            val_result (float or None): result on the validation set.
            model_name (str): file name instead of ``model.pth.tar-{epoch + 1}``.

        Raises OutputError: a file cannot be written; the earlier ones are kept.
        """
        save_models(self, epoch, directory, is_best, val_result, model_name)

    def resume_model_if_exist(self, directory):
        """Restore all models and the run's state from ``directory``, if every model was saved there.

        A resumed run ends as one that was never interrupted: random states, best result, gradient scaler and what
        ``STATE`` names are restored too, if the checkpoint has them, and a run that stopped within an epoch resumes at
        its batch. A corrupt checkpoint is named, and the newest whole one before it is taken.

        Returns:
            int: the epoch to resume at, from 0; 0 if there is nothing to resume.

        Raises:
            MissingFileError: (a FileNotFoundError) a model's folder is there, but no checkpoint in it.
            CheckpointError: no checkpoint is whole, or it does not fit the models.
        """
        point = restore_newest(self, directory)
        return 0 if point is None else point.epoch

    def load_model(self, directory, epoch=None):
        """Load the weights of every model; the key names and shapes must fit exactly.

        Args:
            directory (str): output folder of a run; empty: nothing is loaded.
            epoch (int or None): finished epochs; None loads the best model on validation data.

        Raises:
            MissingFileError: (a FileNotFoundError) no such model; the line lists the epochs that exist.
            CheckpointError: the file is corrupt, or is of another model.
        """
        load_models(self, directory, epoch)

    # Switching and stepping all or some models

    def set_model_mode(self, mode="train", names=None):
        """Switch models to ``train``, or to ``eval`` or ``test``, which are the same. Raises KeyError for others."""
        names = self.get_model_names(names)
        if mode not in ("train", "eval", "test"):
            raise KeyError(mode)
        for name in names:
            self._models[name].train(mode == "train")

    def update_lr(self, names=None):
        """Step the schedulers, once per epoch; models without one are skipped."""
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
        """Open the TensorBoard writer, unless one is open. Raises OutputError: the folder cannot be written."""
        if self._writer is not None or not self.writes_tensorboard:
            return
        from torch.utils.tensorboard import SummaryWriter  # slow to import, and only training needs it

        refuse_link(log_dir)
        print(f"Initialize tensorboard (log_dir={log_dir})")
        try:
            self._writer = SummaryWriter(log_dir=log_dir)
        except OSError as error:
            raise OutputError(
                f'Cannot write to "{log_dir}" ({error.strerror or error}). Choose an OUTPUT_DIR that you may write to.'
            ) from error

    def close_writer(self):
        if self._writer is not None:
            self.flush_writer()
            self._writer.close()
            self._writer = None

    def flush_writer(self):
        """Write the curves to the disk, so that they reach as far as the checkpoint that is about to be saved."""
        if self._writer is not None:
            with naming_folder(self._writer):
                self._writer.flush()

    def write_scalar(self, tag, scalar_value, global_step=None):
        """Write one point of a curve; does nothing while no writer is open."""
        if self._writer is not None:
            with naming_folder(self._writer):
                self._writer.add_scalar(tag, scalar_value, global_step)

    # The run

    def train(self, start_epoch, max_epoch):
        """Run epochs ``start_epoch`` to ``max_epoch - 1``; ``before_train`` may move the start."""
        self.start_epoch = start_epoch
        self.max_epoch = max_epoch
        try:
            for observer in self.observers:
                observer.run_begins(self)
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
        for observer in self.observers:
            observer.epoch_begins(self)
        self.run_epoch()
        means = self._steps.means()
        for observer in self.observers:
            observer.epoch_ends(self, means)
        self.after_epoch()

    def _run_batches(self, batches, print_freq):
        """Train on each batch, print lines and draw curves.

        Args:
            batches (iterable): of tuples, the arguments of ``forward_backward``; ``num_batches`` of them.
            print_freq (int): see :class:`EpochProgress`.
        """
        progress = EpochProgress(self.epoch, self.max_epoch, self.num_batches, print_freq)
        self._steps.are_all = True
        for self.batch_idx, batch in enumerate(batches):
            progress.batch_loaded()
            metrics = self._steps.run(self.forward_backward, *batch)
            progress.batch_done(metrics)
            if not self._steps.was_reported(self.batch_idx):
                lr = self.get_current_lr()  # after the last batch the next epoch's, because the scheduler has stepped
                if progress.is_line_due(self.batch_idx):
                    print(progress.line(self.batch_idx, lr))
                step = self.epoch * self.num_batches + self.batch_idx
                for name, meter in progress.metrics.meters.items():
                    self.write_scalar(f"train/{name}", meter.avg, step)
                self.write_scalar("train/lr", lr, step)
            for observer in self.observers:
                observer.step_ends(self, metrics)
            progress.start_clock()

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
