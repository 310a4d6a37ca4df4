"""Names of learned tensors in the format: the same for every method, whatever its modules are called."""

import re

from torch import Tensor, nn

_OF_BASE = "prompt_learner."  # what a wrapping method's base has learned keeps its names


def portable_names(model: nn.Module) -> dict[str, str]:
    """Name of every learned parameter of a model -> its name in the format.

    Lists of prompts are numbered by the layer at whose input they stand: ``text.1.ctx``, ``visual.0.ctx``,
    ``proj.1.weight``. A learner says so itself (``Learner.LAYERS``, ``Learner.PORTABLE_NAMES``); all other names stay.
    """
    found = {name: _portable(name, model) for name, value in model.named_parameters() if value.requires_grad}
    if len({*found.values()}) < len(found):
        raise ValueError(f"two tensors of {type(model).__name__} have one name in the format: {sorted(found.values())}")
    return found


def _portable(name: str, model: nn.Module) -> str:
    for key, layers in getattr(model, "LAYERS", {}).items():
        if layers.portable and (found := re.fullmatch(rf"{re.escape(key)}\.(\d+)(.*)", name)):
            return layers.portable.format(int(found[1]) - layers.number + layers.first) + found[2]
    own = name.removeprefix(_OF_BASE)
    for pattern, portable in getattr(model, "PORTABLE_NAMES", {}).items():
        if found := re.fullmatch(pattern, own):
            return found.expand(portable)
    return own


def learned_tensors(model: nn.Module | None) -> dict[str, Tensor]:
    """Return the learned tensors by their names in the format, float32 on the CPU; an empty dict for None."""
    if model is None:
        return {}
    parameters = dict(model.named_parameters())
    return {
        portable: parameters[name].detach().float().cpu().contiguous()
        for name, portable in portable_names(model).items()
    }
