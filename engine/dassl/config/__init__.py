"""The default config tree and the tools to take a copy of it and to trim that copy."""

from .defaults import _C as cfg_default


def get_cfg_default():
    """Return a fresh deep copy of the default config, not frozen."""
    return cfg_default.clone()


def clean_cfg(cfg, trainer):
    """Drop, in place, the settings of all other trainers: every child of ``cfg.TRAINER``
    except ``NAME`` and ``trainer.upper()``. Call it before ``cfg.freeze()``.
    """
    keep = {"NAME", trainer.upper()}
    for key in list(cfg.TRAINER):
        if key not in keep:
            cfg.TRAINER.pop(key)
