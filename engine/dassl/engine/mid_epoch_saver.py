"""Saves a run in the middle of an epoch and resumes it exactly."""

import contextlib
import os
import time

from dassl.utils import CheckpointError, NonFiniteLossError, UserError

from . import mid_epoch
from .faults import as_user_error
from .interrupts import Interrupted, Interrupts
from .observers import Observer
from .resume_point import newest_checkpoint
from .run_state import model_state, run_state
from .steps import StepRecorder, as_data

_NAMES = {2: "Ctrl-C", 15: "SIGTERM"}
# The parts of a training: before the first epoch, between two epochs, in the batches of an epoch, after them, and after
# the last epoch.
_OUTSIDE, _BETWEEN, _IN_STEPS, _AFTER_STEPS, _TRAINED = range(5)


class MidEpochSaver(Observer):
    """Saves a trainer in the middle of an epoch, and lets its next epoch begin there.

    Saves when a signal asks the run to end, when TRAIN.CHECKPOINT_BATCHES or TRAIN.CHECKPOINT_SECONDS are over, and
    when the run fails because data cannot be read.

    Args:
        trainer (SimpleTrainer): has its config; nothing else needs to be built.

    Attributes:
        steps (StepRecorder): runs the trainer's steps.
        saved_epoch (int or None): finished epochs of the newest checkpoint in the trainer's output folder.
    """

    def __init__(self, trainer):
        self.trainer = trainer
        self.saved_epoch = None
        self._interrupts = Interrupts()
        train = trainer.cfg.TRAIN  # a config made for upstream has no such keys
        every = train.get("CHECKPOINT_BATCHES", 0), train.get("CHECKPOINT_SECONDS", 0)
        self.steps = StepRecorder(self._interrupts, *every, save=self._stop_or_save)
        self._place = _OUTSIDE
        self._run = None  # the run's state at the moment to resume from, outside of steps
        self._resumed = None

    @property
    def is_under_way(self):
        """True if the run will resume in the middle of an epoch."""
        return self._resumed is not None

    def resume_at(self, point):
        """Let the next epoch begin at a :class:`ResumePoint` that the trainer has restored."""
        self._resumed = point if point.steps else None
        if not point.is_within and point.directory == self.trainer.output_dir:
            mid_epoch.remove(point.directory)  # older than a whole epoch that was saved after it

    @contextlib.contextmanager
    def running(self):
        """Inside this context, a signal ends the training, and a user error says where it stopped.

        Raises:
            Interrupted: a signal came.
            UserError: with the place of what is saved.
        """
        self.steps.saved_at = time.monotonic()
        with self._interrupts:
            try:
                yield
            except Exception as error:
                known = as_user_error(error)
                if known is None or self._place == _OUTSIDE:
                    raise
                raise type(known)(self._line(error, known)) from error
            finally:
                self._place = _OUTSIDE

    @contextlib.contextmanager
    def epoch(self):
        """Inside this context, the trainer goes through an epoch, its validation and its checkpoint included."""
        trainer = self.trainer
        self._at(_BETWEEN)
        yield
        if self.saved_epoch == trainer.epoch + 1:
            mid_epoch.remove(trainer.output_dir)
        self._at(_BETWEEN if trainer.epoch + 1 < trainer.max_epoch else _TRAINED, epoch_is_over=True)
        self.stop_if_asked()

    def epoch_begins(self, trainer):
        resumed, self._resumed = self._resumed, None
        loaders = [getattr(trainer, name, None) for name in ("train_loader_x", "train_loader_u")]
        if resumed is None:
            self.steps.begin(loaders)
        else:
            print(f"Epoch {trainer.epoch + 1} goes on after batch {resumed.steps['done']}")
            self.steps.begin(loaders, resumed.steps, resumed.run["random_states"])
        self._resume_point = resumed
        self._place = _IN_STEPS

    def epoch_ends(self, trainer, metrics):
        if self.steps.is_behind:
            raise CheckpointError(
                f"{self._resume_point} does not fit this run: an epoch has {self.steps.done} batches. "
                "Resume with the settings of the stopped run, or choose a new output folder."
            )
        self._at(_AFTER_STEPS)

    def batch_tested(self, trainer, batch, output, label):
        self.stop_if_asked()

    def _at(self, place, epoch_is_over=False):
        self._place = place
        self._run = {"epoch": self.trainer.epoch + epoch_is_over, **run_state(self.trainer)}

    def _stop_or_save(self):
        self.stop_if_asked()
        self._save()

    def stop_if_asked(self):
        """Save and raise :class:`Interrupted` if a signal asked the run to end."""
        signum = self._interrupts.received
        if signum is not None:
            print(f"{self._stopped(_NAMES[signum])}. {self._save_and_say()}")
            raise Interrupted(signum)

    def _line(self, error, known):
        """Return the line for an error that ended the training, after saving what can be saved."""
        if not isinstance(known, NonFiniteLossError):
            return f"{known} {self._stopped()}. {self._save_and_say()}"
        trainer, kept = self.trainer, last_good(self.trainer)
        batches = [batch for batch in self.steps.batches if isinstance(batch, dict)]
        paths = [path for batch in batches for path in batch.get("impath", [])]
        shown = ", ".join(paths[:8]) + (f" and {len(paths) - 8} more" if len(paths) > 8 else "")
        return (
            f"{error} Training stopped in epoch {trainer.epoch + 1} of {trainer.max_epoch}, "
            f"batch {self.steps.done + 1}{self._of_batches()}, on the images {shown or '(unknown)'}. "
            + (f"The last checkpoint is kept: {kept}. " if kept else "No checkpoint was saved yet. ")
            + "Look at these images, lower OPTIM.LR, or train in higher precision."
        )

    def _of_batches(self):
        return f" of {self.trainer.num_batches}" if hasattr(self.trainer, "num_batches") else ""

    def _stopped(self, by=""):
        trainer, by = self.trainer, f" by {by}" if by else ""
        if self._place == _TRAINED:
            return f"Stopped{by} after the last epoch"
        if self._place == _OUTSIDE or (self._place == _BETWEEN and self._run["epoch"] == 0):
            return f"Stopped{by} before the first epoch"
        if self._place == _BETWEEN:
            return f"Stopped{by} after epoch {self._run['epoch']} of {trainer.max_epoch}"
        done = self.steps.done
        batch = f"after batch {done}{self._of_batches()}" if done else "before its first batch was done"
        return f"Stopped{by} in epoch {trainer.epoch + 1} of {trainer.max_epoch}, {batch}"

    def _save_and_say(self):
        if self._place == _TRAINED:
            return f"Training is finished and saved. {self._again()} for the final test."
        try:
            path = self._save()
        except UserError:  # the disk that is full, perhaps
            path = None
        if path:
            return f'All of it is saved in "{path}". {self._again()} to go on.'
        kept = last_good(self.trainer)
        if not kept:
            return "No checkpoint was saved yet."
        return f"The last checkpoint is kept: {kept}. {self._again()} to go on from there."

    def _again(self):
        output, resume = self.trainer.output_dir, self.trainer.cfg.RESUME
        if resume and os.path.abspath(resume) != os.path.abspath(output):
            return f'Run it again with RESUME "{output}"'
        return "Run the same command again"

    def _save(self):
        """Save; return the path, or None if the running step, or what steps return, does not allow it."""
        trainer, steps, run, content = self.trainer, self.steps, self._run, None
        if self._place in (_IN_STEPS, _AFTER_STEPS):
            if steps.is_computing or steps.is_behind or not steps.is_repeatable:
                return None
            if steps.done == 0 and not steps.are_all:
                return None  # it trains in another way
            content = steps.content() if steps.done else None
            if self._place == _IN_STEPS and steps.done:
                run = {"epoch": trainer.epoch, **run_state(trainer, as_data(steps.states))}
        elif self._place == _OUTSIDE:
            return None
        models = {name: model_state(trainer, name) for name in trainer.get_model_names()}
        with contextlib.suppress(OSError):  # the error comes again with the next point of a curve
            trainer.flush_writer()
        path = mid_epoch.write(trainer.output_dir, {**run, "models": models, "steps": content})
        steps.saved_at = time.monotonic()
        return path


def last_good(trainer):
    """Return the files from which a trainer's run would resume, as text; empty if there are none."""
    folders = (os.path.join(trainer.output_dir, name) for name in trainer.get_model_names())
    files = mid_epoch.paths(trainer.output_dir)[:1] or [newest_checkpoint(folder) for folder in folders]
    return ", ".join(path for path in files if path)
