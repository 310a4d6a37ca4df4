"""What makes a run that is stopped, at any batch, end as one that was never stopped."""

import contextlib
import os
import time

from dassl.utils import CheckpointError, NonFiniteLossError, UserError

from . import mid_epoch
from .faults import explained
from .interrupts import Interrupted, Interrupts
from .resume_point import newest_checkpoint
from .run_state import as_data, model_state, run_state
from .steps import StepRecorder

_NAMES = {2: "Ctrl-C", 15: "SIGTERM"}
# Where a training is.
_OUTSIDE, _BETWEEN, _IN_STEPS, _AFTER_STEPS, _TRAINED = range(5)


class Continuation:
    """Saves a trainer in the middle of an epoch, and lets its next epoch begin there.

    Saves when a signal asks the run to end, when TRAIN.CHECKPOINT_BATCHES or TRAIN.CHECKPOINT_SECONDS are over, and
    when the run fails for want of data.

    Args:
        trainer (SimpleTrainer): its ``forward_backward`` is replaced by one that is recorded.

    Attributes:
        saved_epoch (int or None): finished epochs of the newest checkpoint in the trainer's output folder.
    """

    def __init__(self, trainer):
        self.trainer = trainer
        self.saved_epoch = None
        self._interrupts = Interrupts()
        self._steps = StepRecorder(trainer.forward_backward, self._after_step)
        trainer.forward_backward = self._steps.wrap()
        self._place = _OUTSIDE
        self._run = None  # the run's state at the moment to go on from, outside of steps
        self._resumed = None
        self._steps_are_all = False  # whether the running epoch's loop changes models in its steps only
        self._saved_at = time.monotonic()

    def loop_begins(self):
        """The engine's own loop over batches begins: all that it does to the models, its steps do."""
        self._steps_are_all = True

    @property
    def is_under_way(self):
        """Whether the run will go on in the middle of an epoch."""
        return self._resumed is not None

    def is_known(self, batch_idx):
        """Whether this batch of the epoch was reported before the run was resumed."""
        return self._steps.is_known(batch_idx)

    def go_on_from(self, point):
        """The next epoch begins where a :class:`ResumePoint` is, which the trainer has restored."""
        self._resumed = point if point.steps else None
        if not point.is_within and point.directory == self.trainer.output_dir:
            mid_epoch.remove(point.directory)  # older than a whole epoch that was saved since

    def train(self, train):
        """Call ``train``; a signal ends it, and an error that a user can mend says where it stopped.

        Raises:
            Interrupted: a signal came.
            UserError: with what is saved.
        """
        self._saved_at = time.monotonic()
        with self._interrupts:
            try:
                train()
            except Exception as error:
                known = explained(error)
                if known is None or self._place == _OUTSIDE:
                    raise
                kept = self._what_is_kept() if isinstance(known, NonFiniteLossError) else self._save_and_say()
                raise type(known)(f"{known} {self._stopped()}. {kept}") from error
            finally:
                self._place = _OUTSIDE

    def run_epoch(self):
        """``before_epoch``, ``run_epoch`` and ``after_epoch`` of the trainer."""
        trainer, steps, resumed = self.trainer, self._steps, self._resumed
        self._resumed = None
        self._at(_BETWEEN)
        trainer.before_epoch()
        loaders = [getattr(trainer, name, None) for name in ("train_loader_x", "train_loader_u")]
        self._steps_are_all = False
        if resumed is None:
            steps.begin(loaders)
        else:
            print(f"Epoch {trainer.epoch + 1} goes on after batch {resumed.steps['done']}")
            steps.begin(loaders, resumed.steps, resumed.run["random_states"])
        self._place = _IN_STEPS
        trainer.run_epoch()
        if steps.is_behind:
            raise CheckpointError(
                f"{resumed} does not fit this run: an epoch has {steps.done} batches. "
                "Resume with the settings it was written with, or choose a new output folder."
            )
        self._at(_AFTER_STEPS)
        trainer.after_epoch()
        if self.saved_epoch == trainer.epoch + 1:
            mid_epoch.remove(trainer.output_dir)
        self._at(_BETWEEN if trainer.epoch + 1 < trainer.max_epoch else _TRAINED, epoch_is_over=True)
        self.stop_if_asked()

    def _at(self, place, epoch_is_over=False):
        self._place = place
        self._run = {"epoch": self.trainer.epoch + epoch_is_over, **run_state(self.trainer)}

    def _after_step(self):
        self.stop_if_asked()
        train = self.trainer.cfg.TRAIN  # a config made for upstream has no such keys
        batches, seconds = train.get("CHECKPOINT_BATCHES", 0), train.get("CHECKPOINT_SECONDS", 0)
        if (batches > 0 and self._steps.done % batches == 0) or 0 < seconds <= time.monotonic() - self._saved_at:
            self._save()

    def stop_if_asked(self):
        """Save and raise :class:`Interrupted`, if a signal asked the run to end."""
        signum = self._interrupts.received
        if signum is not None:
            print(f"{self._stopped(_NAMES[signum])}. {self._save_and_say()}")
            raise Interrupted(signum)

    def _stopped(self, by=""):
        trainer, by = self.trainer, f" by {by}" if by else ""
        if self._place == _TRAINED:
            return f"Stopped{by} after the last epoch"
        if self._place == _OUTSIDE or (self._place == _BETWEEN and self._run["epoch"] == 0):
            return f"Stopped{by} before the first epoch"
        if self._place == _BETWEEN:
            return f"Stopped{by} after epoch {self._run['epoch']} of {trainer.max_epoch}"
        done, of = self._steps.done, f" of {trainer.num_batches}" if hasattr(trainer, "num_batches") else ""
        batch = f"after batch {done}{of}" if done else "before its first batch was done"
        return f"Stopped{by} in epoch {trainer.epoch + 1} of {trainer.max_epoch}, {batch}"

    def _save_and_say(self):
        if self._place == _TRAINED:
            return f"Training is finished and saved. {self._again()} for the final test."
        try:
            path = self._save()
        except UserError:  # the disk that is full, perhaps
            path = None
        return f'All of it is saved in "{path}". {self._again()} to go on.' if path else self._what_is_kept()

    def _what_is_kept(self):
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
        """Save; return the path, or None where the running step, or what steps return, does not allow it."""
        trainer, steps, run, content = self.trainer, self._steps, self._run, None
        if self._place in (_IN_STEPS, _AFTER_STEPS):
            if steps.is_computing or steps.is_behind or not steps.is_repeatable:
                return None
            if steps.done == 0 and not self._steps_are_all:
                return None  # it trains in another way
            content = steps.content() if steps.done else None
            if self._place == _IN_STEPS and steps.done:
                run = {"epoch": trainer.epoch, **run_state(trainer, as_data(steps.states))}
        elif self._place == _OUTSIDE:
            return None
        models = {name: model_state(trainer, name) for name in trainer.get_model_names()}
        with contextlib.suppress(OSError):  # whose error comes again with the next point of a curve
            trainer.flush_writer()
        path = mid_epoch.write(trainer.output_dir, {**run, "models": models, "steps": content})
        self._saved_at = time.monotonic()
        return path


def last_good(trainer):
    """Return the files from which a trainer's run would go on, as text; empty where there are none."""
    folders = (os.path.join(trainer.output_dir, name) for name in trainer.get_model_names())
    files = mid_epoch.paths(trainer.output_dir)[:1] or [newest_checkpoint(folder) for folder in folders]
    return ", ".join(path for path in files if path)
