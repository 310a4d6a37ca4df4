from dassl.utils import Registry, check_availability

from .own_loop import with_recorded_steps

TRAINER_REGISTRY = Registry("TRAINER")


def build_trainer(cfg):
    """Return the trainer that ``cfg.TRAINER.NAME`` names, built from ``cfg``.

    A trainer with its own ``run_epoch`` is built from a subclass, see ``own_loop``.
    Raises UnknownNameError: (a ValueError) no trainer has that name.
    """
    name = cfg.TRAINER.NAME
    check_availability(name, TRAINER_REGISTRY.registered_names())
    if cfg.VERBOSE:
        print(f"Loading trainer: {name}")
    return with_recorded_steps(TRAINER_REGISTRY.get(name))(cfg)
