"""Trainers with their own ``run_epoch``: their steps are recorded too, so a stopped run resumes within an epoch."""

from .simple import SimpleTrainer


class OwnLoop:
    """Comes before a trainer class in the method order. Its ``forward_backward`` goes through the step recorder.

    The engine's own loop calls the recorder itself. A ``run_epoch`` that was written for Dassl calls
    ``self.forward_backward`` and knows no recorder.
    """

    def forward_backward(self, *batches, **named):
        return self._steps.run(super().forward_backward, *batches, **named)


def with_recorded_steps(trainer):
    """Return a trainer class, or a subclass of it with :class:`OwnLoop` if its ``run_epoch`` is not the engine's."""
    if not (isinstance(trainer, type) and issubclass(trainer, SimpleTrainer)):
        return trainer
    if trainer.run_epoch.__module__.startswith("dassl.engine."):
        return trainer
    described = {name: getattr(trainer, name) for name in ("__module__", "__qualname__", "__doc__")}
    return type(trainer.__name__, (OwnLoop, trainer), described)
