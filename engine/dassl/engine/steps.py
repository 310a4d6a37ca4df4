"""The training steps of an epoch, recorded so that a resumed run can skip them, and states of random generators."""

import random
import time

import numpy as np
import torch


class StepRecorder:
    """Runs the steps of an epoch and remembers what each of them returned.

    A run that resumes within an epoch repeats the loop of that epoch from its start. Loaders start with the random
    states of the first time and give the same batches, and meters get the same metrics, but a finished step returns
    what is remembered and computes nothing. After the last finished step, the random states are those of the moment at
    which the run stopped.

    Args:
        interrupts: has ``received``, not None if the run was asked to end.
        every_batches (int), every_seconds (float): how often to save; 0: never.
        save (callable): called after a step if the run was asked to end or a save is due.

    Attributes:
        done (int): steps of the running epoch so far.
        batches (tuple): the batches of the running step; after a step that failed, those of that step.
        states: raw random states after the last step that was computed.
        is_computing (bool): inside of a step, or a step failed.
        is_repeatable (bool): every step returned a flat dict of numbers, or None.
        are_all (bool): the running epoch changes models in these steps only.
        saved_at (float): monotonic time of the last save.
    """

    def __init__(self, interrupts=None, every_batches=0, every_seconds=0.0, save=None):
        self._interrupts, self._save = interrupts, save
        self._every_batches, self._every_seconds = every_batches, every_seconds
        self.is_computing = self._is_inside = False
        self.saved_at = time.monotonic()
        self._clear()

    def _clear(self):
        self._metrics = []
        self._passes = []  # random states at each start of a loader, the epoch's start first
        self._known = {}
        self.states = None
        self.batches = ()
        self.is_repeatable, self.are_all = True, False

    @property
    def done(self):
        return len(self._metrics)

    @property
    def is_behind(self):
        """True while steps that were finished before the resume are still to be skipped."""
        return len(self._metrics) < len(self._known.get("losses", ()))

    def was_reported(self, index):
        """True if step ``index`` was reported before the resume. The last one's line may not have been printed."""
        return index < len(self._known.get("losses", ())) - 1

    def begin(self, loaders, resumed=None, states=None):
        """Start an epoch.

        Args:
            loaders (list): its loaders. Those that have ``before_pass`` report when they are started.
            resumed (dict or None): ``content()`` of the run that stopped in this epoch.
            states (dict or None): random states at which that run stopped.
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

    def run(self, step, *batches, **named):
        """Return what ``step`` returns for its batches, or what it returned before the resume."""
        if self._is_inside:  # a loop inside of a loop: the outer call is recorded
            return step(*batches, **named)
        if self.is_behind:
            return self._skip()
        self.batches, self.is_computing, self._is_inside = batches, True, True
        try:
            metrics = step(*batches, **named)
        finally:
            self._is_inside = False
        self._remember(metrics)
        self.states = raw_random_states()
        self.batches, self.is_computing = (), False
        if self._is_save_due():
            self._save()
        return metrics

    def _skip(self):
        metrics = self._known["losses"][self.done]
        self._metrics.append(metrics)
        if not self.is_behind:
            restore_random_states(self._states_then)
        return None if metrics is None else dict(metrics)

    def _is_save_due(self):
        if self._interrupts is not None and self._interrupts.received is not None:
            return True
        if self._every_batches > 0 and self.done % self._every_batches == 0:
            return True
        return 0 < self._every_seconds <= time.monotonic() - self.saved_at

    def _remember(self, metrics):
        try:
            numbers = None if metrics is None else {name: _number(value) for name, value in metrics.items()}
        except (AttributeError, TypeError, ValueError, RuntimeError):
            numbers, self.is_repeatable = None, False
        self._metrics.append(numbers)

    def content(self):
        """Return the finished steps of the running epoch, as plain data: ``done``, ``losses``, ``passes``."""
        return {"done": self.done, "losses": list(self._metrics), "passes": list(self._passes)}

    def means(self):
        """Return name -> mean over the steps of the running epoch that returned the name."""
        sums = {}
        for metrics in self._metrics:
            for name, value in (metrics or {}).items():
                total, count = sums.get(name, (0.0, 0))
                sums[name] = total + value, count + 1
        return {name: total / count for name, (total, count) in sums.items()}


def _number(value):
    return value.item() if isinstance(value, torch.Tensor) else float(value)


def random_states():
    """Return the states of Python's, NumPy's and torch's global generators, CUDA's included."""
    return as_data(raw_random_states())


def raw_random_states():
    """Return the states as the generators give them: taken at every step, few are saved."""
    has_cuda = torch.cuda.is_available() and torch.cuda.is_initialized()
    cuda = torch.cuda.get_rng_state_all() if has_cuda else None
    return random.getstate(), np.random.get_state(), torch.get_rng_state(), cuda


def as_data(raw):
    """Return raw states as tensors and numbers."""
    python, numpy, on_cpu, cuda = raw
    version, words, gauss = python
    _, keys, position, has_gauss, cached_gauss = numpy
    states = {
        "python": {"version": version, "words": torch.tensor(words), "gauss": gauss},
        "numpy": {
            "words": torch.from_numpy(keys.astype(np.int64)),
            "position": int(position),
            "has_gauss": int(has_gauss),
            "gauss": float(cached_gauss),
        },
        "torch": on_cpu,
    }
    if cuda is not None:
        states["cuda"] = cuda
    return states


def restore_random_states(states):
    """Undo everything that was drawn since ``states`` was taken.

    CUDA states are restored if the number of devices is the same.
    """
    python, numpy = states["python"], states["numpy"]
    random.setstate((python["version"], tuple(python["words"].tolist()), python["gauss"]))
    words = numpy["words"].numpy().astype(np.uint32)
    np.random.set_state(("MT19937", words, numpy["position"], numpy["has_gauss"], numpy["gauss"]))
    torch.set_rng_state(states["torch"].cpu())
    cuda = states.get("cuda", [])
    if cuda and torch.cuda.is_available() and torch.cuda.device_count() == len(cuda):
        torch.cuda.set_rng_state_all([state.cpu() for state in cuda])
