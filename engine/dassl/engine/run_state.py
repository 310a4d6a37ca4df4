"""The state of a run besides its models: all that it needs to resume as if it had never stopped.

Everything is kept as tensors, numbers and lists, so that a checkpoint can be read without
executing anything.
"""

import numpy as np

from dassl.utils import CheckpointError
from dassl.utils.checkpoint_fields import check_like, check_run_fields, is_number, shown

from .steps import random_states, restore_random_states


def model_state(trainer, name):
    """Return what a checkpoint holds of a registered model: ``state_dict``, ``optimizer``, ``scheduler``."""
    optim, sched = trainer._optims[name], trainer._scheds[name]
    return {
        "state_dict": trainer._models[name].state_dict(),
        "optimizer": None if optim is None else optim.state_dict(),
        "scheduler": None if sched is None else sched.state_dict(),
    }


def run_state(trainer, states=None):
    """Return what a checkpoint holds beyond the five keys that every reader knows.

    Args:
        trainer: its best result, its gradient scaler (``scaler``) and what its ``STATE`` names are taken.
        states (dict or None): of the random generators; None: those of now.
    """
    state = {"random_states": random_states() if states is None else states}
    if getattr(trainer, "identity", None) is not None:
        state["identity"] = trainer.identity.content
    if "best_result" in trainer.__dict__:
        state["best_result"] = float(trainer.best_result)
    scaler_state = _scaler_state(trainer)
    if scaler_state:
        state["scaler"] = scaler_state
    own = {name: _saved(trainer, name) for name in state_names(trainer)}
    if own:
        state["state"] = own
    return state


def restore_run_state(trainer, checkpoint):
    """Put the result of :func:`run_state` back; what an older checkpoint lacks stays as it is.

    Raises CheckpointError: a part does not fit the trainer.
    """
    check_run_fields(checkpoint, "the checkpoint")
    try:
        if "best_result" in checkpoint:
            trainer.best_result = float(checkpoint["best_result"])
        if checkpoint.get("scaler") and _scaler_state(trainer):
            check_like(checkpoint["scaler"], _scaler_state(trainer), "the gradient scaler")
            trainer.scaler.load_state_dict(checkpoint["scaler"])
        own = checkpoint.get("state", {})
        for name in state_names(trainer):
            if name in own:
                _restore(trainer, name, own[name])
        if "random_states" in checkpoint:
            restore_random_states(checkpoint["random_states"])
    except CheckpointError:
        raise
    except Exception as error:  # whatever a file may hold in the place of a state
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise CheckpointError(
            f"The checkpoint's state of the run is broken ({reason}). Load another epoch, or train again."
        ) from error


def state_names(trainer):
    """Return the names in ``STATE`` of all classes that the trainer is made of, and of the trainer itself."""
    owners = [*reversed(type(trainer).__mro__), trainer]
    return list(dict.fromkeys(name for owner in owners for name in vars(owner).get("STATE", ())))


def _saved(trainer, name):
    if not hasattr(trainer, name):
        raise AttributeError(f"{type(trainer).__name__}.STATE names {name!r}, but the trainer has no such attribute")
    value = getattr(trainer, name)
    if hasattr(value, "state_dict"):
        return {"state_dict": value.state_dict()}
    # A NumPy number would be refused by torch.load(weights_only=True).
    return {"value": value.item() if isinstance(value, np.generic) else value}


def _restore(trainer, name, saved):
    if "state_dict" not in saved:
        value, own = saved["value"], getattr(trainer, name)
        numbers = is_number(own) and is_number(value)
        if own is not None and not numbers and not isinstance(value, type(own)):
            raise CheckpointError(f"The checkpoint holds {shown(value)} for {name!r}. Load another epoch.")
        setattr(trainer, name, value)
        return
    try:
        getattr(trainer, name).load_state_dict(saved["state_dict"])
    except (RuntimeError, ValueError, KeyError, TypeError, AttributeError) as error:
        reason = " ".join(str(error).split())[:300]
        raise CheckpointError(
            f"The checkpoint does not fit {name!r} of {type(trainer).__name__} ({reason}). "
            "Resume with the settings of the stopped run, or choose a new output folder."
        ) from error


def _scaler_state(trainer):
    scaler = getattr(trainer, "scaler", None)
    # A disabled GradScaler has an empty state, which it refuses to load again.
    return scaler.state_dict() if hasattr(scaler, "state_dict") else None
