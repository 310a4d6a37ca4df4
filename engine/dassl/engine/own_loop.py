"""Trainers with their own ``run_epoch``: their steps are recorded too, so a stopped run resumes within an epoch."""


class OwnLoop:
    """Comes before a trainer class in the method order. Its ``forward_backward`` goes through the step recorder.

    The engine's own loop calls the recorder itself. A ``run_epoch`` that was written for Dassl calls
    ``self.forward_backward`` and knows no recorder.
    """

    def forward_backward(self, *batches, **named):
        return self._steps.run(super().forward_backward, *batches, **named)


def with_recorded_steps(trainer_class):
    """Return a trainer class, or a subclass with :class:`OwnLoop` if its ``run_epoch`` is not the engine's."""
    is_ours = trainer_class.run_epoch.__module__.startswith("dassl.engine.")
    if is_ours or issubclass(trainer_class, OwnLoop):
        return trainer_class
    names = ("__module__", "__qualname__", "__doc__")
    described = {name: getattr(trainer_class, name) for name in names}
    return type(trainer_class.__name__, (OwnLoop, trainer_class), described)
