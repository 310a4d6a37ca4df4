"""Checks the fields of a checkpoint: a file from elsewhere may hold anything under their names."""

import json
import math
from collections import Counter
from collections.abc import Mapping
from itertools import islice

import numpy as np
import torch

from .errors import CheckpointError
from .safe_load import InertRecord

MAX_EPOCH = 10**6
_PLAIN = {
    torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.bool, torch.uint8, torch.int8, torch.int16,
    torch.int32, torch.int64,
}  # fmt: skip
_ADVICE = "Load another epoch, or train again"
# State that the optimizers of torch and of this package keep in the shape of the parameter.
_LIKE_PARAMETER = {
    "momentum_buffer", "exp_avg", "exp_avg_sq", "max_exp_avg_sq", "square_avg", "grad_avg", "sum",
}  # fmt: skip


def check_fields(content, path):
    """Raise CheckpointError if a field that every checkpoint may have is not of its type or range.

    Missing fields are fine. A plain state dict, whose values are all tensors, has no fields.
    """
    if not isinstance(content, Mapping):
        return
    if not all(isinstance(value, torch.Tensor) for value in content.values()):
        _check(content, path, _FIELDS)
    elif not all(map(_is_plain, content.values())):
        raise CheckpointError(f'"{path}" holds {shown(content)}, not real tensors. {_ADVICE}.')


def check_values(state_dict, model, path):
    """Raise CheckpointError if a tensor for a parameter of ``model`` holds no, NaN or infinite fractions."""
    for name, parameter in model.named_parameters():
        value = state_dict.get(name) if isinstance(state_dict, Mapping) else None
        if not isinstance(value, torch.Tensor):
            continue
        if parameter.is_floating_point() and not value.is_floating_point():
            raise CheckpointError(
                f'"{path}" has numbers of type {value.dtype} in {name}, which must be real numbers. {_ADVICE}.'
            )
        if value.is_floating_point() and not torch.isfinite(value).all():
            raise CheckpointError(f'"{path}" has values in {name} that are not finite (NaN or infinite). {_ADVICE}.')


def check_run_fields(content, path):
    """Raise CheckpointError if a field that a resumed run needs has the wrong type or range. Fields may be missing."""
    _check(content, path, _RUN_FIELDS)


def _check(content, path, fields):
    for name, (expected, is_fine) in fields.items():
        if name in content and not is_fine(content[name]):
            raise CheckpointError(f'"{path}" has {name} = {shown(content[name])}, not {expected}. {_ADVICE}.')


def shown(value):
    """Return an untrusted value in no more than 80 characters. Lists that hold each other many times have no end."""
    try:
        text = "".join(islice(json.JSONEncoder(skipkeys=True, default=_kind).iterencode(value), 100))
    except (ValueError, RecursionError):  # a number of more than 4,300 digits, or a list that holds itself
        text = _kind(value)
    return text if len(text) <= 80 else f"{text[:76]} ..."


def _kind(value):
    return f"{type(value).__name__} {tuple(value.shape)}" if isinstance(value, torch.Tensor) else type(value).__name__


def is_whole(value, most=MAX_EPOCH):
    """Return whether a value is a whole number of 0 to ``most``; True and False are none."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool) and 0 <= value <= most


def is_number(value):
    return isinstance(value, int | float | np.generic) and not isinstance(value, np.character)


def _is_one_number(value):
    return is_number(value) or (isinstance(value, torch.Tensor) and value.numel() == 1)


def _is_state_dict(value):
    return _is_dict_of_names(value) and all(
        _is_plain(tensor) if isinstance(tensor, torch.Tensor) else name.endswith("_extra_state")
        for name, tensor in value.items()
    )


def _is_plain(tensor):
    """Return whether a tensor holds real numbers of a type that torch can compute with: no float8, sparse or meta.

    A large tensor must have all of them in the file: a few that are repeated could fill the memory.
    """
    if tensor.layout != torch.strided or tensor.is_meta or tensor.dtype not in _PLAIN:
        return False
    return tensor.numel() * tensor.element_size() <= tensor.untyped_storage().nbytes() + 2**20


def _is_dict_of_names(value):
    return isinstance(value, Mapping) and all(isinstance(name, str) for name in value)


def _is_models(value):
    return _is_dict_of_names(value) and all(
        isinstance(model, Mapping) and _is_state_dict(model.get("state_dict")) for model in value.values()
    )


def _is_steps(value):
    if value is None:
        return True
    if not isinstance(value, Mapping):
        return False
    done, losses, passes = (value.get(name) for name in ("done", "losses", "passes"))
    return (
        is_whole(done, 10**9)
        and isinstance(losses, list)
        and len(losses) == done
        and all(loss is None or (_is_dict_of_names(loss) and all(map(is_number, loss.values()))) for loss in losses)
        and isinstance(passes, list)
        and all(map(_is_random_states, passes))
    )


def _is_random_states(value):
    """Return whether a value is what ``dassl.engine.run_state.random_states`` makes."""
    if not isinstance(value, Mapping):
        return False
    python, numpy = value.get("python"), value.get("numpy")
    return (
        isinstance(python, Mapping)
        and is_whole(python.get("version"))
        and _is_tensor(python.get("words"), 625)
        and (python.get("gauss") is None or is_number(python["gauss"]))
        and isinstance(numpy, Mapping)
        and _is_tensor(numpy.get("words"), 624)
        and is_whole(numpy.get("position"), 624)
        and is_whole(numpy.get("has_gauss"), 1)
        and is_number(numpy.get("gauss"))
        and _is_bytes(value.get("torch"))
        and isinstance(value.get("cuda", []), list)
        and all(map(_is_bytes, value.get("cuda", [])))
    )


def _is_tensor(value, size):
    return isinstance(value, torch.Tensor) and value.shape == (size,) and not value.is_floating_point()


def _is_bytes(value):
    """Return whether a value is a generator's state, as torch gives it: some 5,000 bytes at most."""
    return isinstance(value, torch.Tensor) and value.dtype == torch.uint8 and value.dim() == 1 and len(value) < 10**5


def _is_none_or_dict(value):
    return value is None or isinstance(value, Mapping)


# Name -> (words for the message, test).
_FIELDS = {
    "epoch": (f"a whole number of 0 to {MAX_EPOCH:,}", is_whole),
    "val_result": ("a number or None", lambda value: value is None or _is_one_number(value)),
    "state_dict": ("real tensors by name", _is_state_dict),
}
_RUN_FIELDS = {
    "models": ("a state dict per model", _is_models),
    "optimizer": ("a dict or None", _is_none_or_dict),
    "scheduler": ("a dict or None", _is_none_or_dict),
    "best_result": ("a number", is_number),
    "batch": ("a whole number", lambda value: is_whole(value, 10**9)),
    "scaler": ("a dict or None", _is_none_or_dict),
    "state": ("a dict", _is_dict_of_names),
    "steps": ("the steps of an epoch", _is_steps),
    "random_states": ("states of random generators", _is_random_states),
}


def check_optimizer(saved, optimizer):
    """Raise ValueError if a saved state does not fit an optimizer: its hyperparameters, and its state per parameter.

    torch compares only the sizes of the groups; the first step would fail.
    """
    groups = saved.get("param_groups") if isinstance(saved, Mapping) else None
    if not isinstance(groups, list) or not all(isinstance(group, Mapping) for group in groups):
        raise ValueError("the optimizer has no list of parameter groups")
    for group, own in zip(groups, optimizer.param_groups, strict=False):
        for name in own.keys() - {"params"}:
            if name in group:
                _check_like(group[name], own[name], f"the optimizer's {name}")
            elif type(own[name]) in (int, float, tuple) and name != "initial_lr":  # flags differ by torch's version
                raise ValueError(f"the optimizer's {name} is missing")
        _check_indices(group.get("params"), own["params"])
    indices = [index for group in groups for index in group["params"]]
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    states = saved.get("state")
    if not isinstance(states, Mapping):
        raise ValueError("the optimizer has no state per parameter")
    for index, parameter in zip(indices, parameters, strict=False):
        state = states.get(index, {})
        if not _is_dict_of_names(state):
            raise ValueError(f"the optimizer's state of parameter {index} is {shown(state)}")
        for name, value in state.items():
            _check_state(name, value, parameter)


def _check_indices(indices, parameters):
    if not isinstance(indices, list) or not all(is_whole(index, 10**9) for index in indices):
        raise ValueError("the optimizer's parameters are not numbered")
    if len(indices) != len(parameters):
        raise ValueError(f"the optimizer has {len(indices)} parameters in a group, and this run {len(parameters)}")


def _check_state(name, value, parameter):
    if name in _LIKE_PARAMETER and value is not None:
        if not isinstance(value, torch.Tensor) or value.shape != parameter.shape:
            found = tuple(value.shape) if isinstance(value, torch.Tensor) else shown(value)
            raise ValueError(f"the optimizer's {name} is {found} for a parameter of shape {tuple(parameter.shape)}")
    elif name == "step" and not _is_one_number(value):
        raise ValueError(f"the optimizer's step is {shown(value)}, not a number")


def check_scheduler(saved, scheduler):
    """Raise ValueError if a saved state does not fit a scheduler, whose attributes torch sets from it unseen."""
    saved, own = attributes_of(saved), scheduler.state_dict()
    for key in saved:
        if not isinstance(key, str) or (key not in own and hasattr(scheduler, key)):
            raise ValueError(f"the scheduler's state has the key {shown(key)}")
    check_like(saved, own, "the scheduler")


def attributes_of(saved):
    """Return a saved state as a dict. Upstream's Dassl pickles a scheduler as an object, with its optimizer."""
    if isinstance(saved, InertRecord):
        return {key: value for key, value in vars(saved).items() if key != "optimizer"}
    return saved


def check_like(saved, own, name):
    """Raise ValueError if a saved state holds, under a key of the object's own state, a value of another kind.

    Args:
        saved (dict): the state from a file.
        own (dict): ``state_dict()`` of the object that will load it.
        name (str): the object, for the message.
    """
    if not isinstance(saved, Mapping):
        raise ValueError(f"{name}'s state is {shown(saved)}")
    if isinstance(own, Counter) and not all(map(is_number, (*saved, *saved.values()))):
        raise ValueError(f"{name} is {shown(dict(saved))}, not numbers by number")
    for key in own.keys() & saved.keys():
        _check_like(attributes_of(saved[key]), own[key], f"{name}'s {key}")


def _check_like(saved, own, what):
    if isinstance(own, bool | None):
        # Unset in this version of torch, set in another.
        is_fine = saved is None or isinstance(saved, bool) or is_number(saved)
    elif isinstance(own, int | float):
        is_fine = is_number(saved) and math.isfinite(saved)
    elif isinstance(own, torch.Tensor):
        is_fine = is_number(saved) or (isinstance(saved, torch.Tensor) and saved.shape == own.shape)
    elif isinstance(own, list | tuple):
        is_fine = isinstance(saved, list | tuple) and len(saved) == len(own)
        for ours, theirs in zip(own, saved, strict=True) if is_fine else ():
            _check_like(theirs, ours, what)
    elif isinstance(own, Mapping):
        is_fine = True
        check_like(saved, own, what)
    else:
        is_fine = isinstance(saved, type(own))
    if not is_fine:
        raise ValueError(f"{what} is {shown(saved)}, and this run has {shown(own)}")
