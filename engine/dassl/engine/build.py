from dassl.utils import Registry, check_availability

TRAINER_REGISTRY = Registry("TRAINER")


def build_trainer(cfg):
    """Return the trainer that ``cfg.TRAINER.NAME`` names, built from ``cfg``.

    Raises:
        UnknownNameError: (a ValueError) no trainer has that name.
    """
    name = cfg.TRAINER.NAME
    check_availability(name, TRAINER_REGISTRY.registered_names())
    if cfg.VERBOSE:
        print(f"Loading trainer: {name}")
    return TRAINER_REGISTRY.get(name)(cfg)
