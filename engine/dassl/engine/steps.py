"""The training steps of an epoch: remembered, and after a resume passed over."""

import functools

import torch

from .run_state import random_states, raw_random_states, restore_random_states


class StepRecorder:
    """Stands before a trainer's ``forward_backward``, whoever calls it.

    It remembers what each step of the running epoch returned. When a run goes on in the middle of an epoch, the
    epoch's loop runs from its start: loaders are started with the random states of then and give the same batches,
    meters get the same losses, but the steps that are done return what is remembered and compute nothing. After the
    last of them, the random states are those of the moment at which the run stopped.

    Args:
        step (callable): the trainer's ``forward_backward``.
        after_step (callable): called after each step that was computed.

    Attributes:
        done (int): steps of the running epoch so far.
        states: raw random states after the last step that was computed.
        is_computing (bool): inside of a step, or a step failed.
        is_repeatable (bool): every step returned a flat dict of numbers, or None.
    """

    def __init__(self, step, after_step):
        self._step = step
        self._after_step = after_step
        self.is_computing = False
        self._clear()

    def _clear(self):
        self._losses = []
        self._passes = []  # [steps done, random states] at each start of a loader, the epoch's start first
        self._known = {}
        self.states = None
        self.is_repeatable = True

    @property
    def done(self):
        return len(self._losses)

    @property
    def is_behind(self):
        """Whether steps that were done before the resume are still to be passed over."""
        return self.done < len(self._known.get("losses", ()))

    def is_known(self, index):
        """Whether a line was due for step ``index`` before the resume. The last one's may not have been printed."""
        return index < len(self._known.get("losses", ())) - 1

    def begin(self, loaders, resumed=None, states=None):
        """An epoch begins.

        Args:
            loaders (list): its loaders; those that have ``before_pass`` will tell when they are started.
            resumed (dict or None): ``content()`` of the run that stopped in this epoch.
            states (dict or None): its random states then.
        """
        self._clear()
        self._known, self._states_then = resumed or {}, states
        for loader in loaders:
            if hasattr(loader, "before_pass"):
                loader.before_pass = self._before_pass
        self._before_pass()

    def _before_pass(self):
        if self.is_behind and len(self._passes) < len(self._known["passes"]):
            restore_random_states(self._known["passes"][len(self._passes)])
        self._passes.append(random_states())

    def wrap(self):
        """Return the function that takes the place of ``forward_backward``."""

        @functools.wraps(self._step)
        def forward_backward(*batches, **named):
            return self._pass_over() if self.is_behind else self._compute(*batches, **named)

        return forward_backward

    def _pass_over(self):
        losses = self._known["losses"][self.done]
        self._losses.append(losses)
        if not self.is_behind:
            restore_random_states(self._states_then)
        return None if losses is None else dict(losses)

    def _compute(self, *batches, **named):
        self.is_computing = True
        losses = self._step(*batches, **named)
        self._remember(losses)
        self.states = raw_random_states()
        self.is_computing = False
        self._after_step()
        return losses

    def content(self):
        """Return what is done of the running epoch, as plain data: ``done``, ``losses``, ``passes``."""
        return {"done": self.done, "losses": list(self._losses), "passes": list(self._passes)}

    def _remember(self, losses):
        try:
            self._losses.append(None if losses is None else {name: _number(value) for name, value in losses.items()})
        except (AttributeError, TypeError, ValueError, RuntimeError):
            self._losses.append(None)
            self.is_repeatable = False


def _number(value):
    return value.item() if isinstance(value, torch.Tensor) else float(value)
