"""Random streams: their states, and the numbers that a piece of code draws from torch's."""

import random
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

_FILLING = {"normal_", "uniform_", "random_", "bernoulli_", "exponential_", "geometric_", "cauchy_", "log_normal_"}
_MAKING = {
    "rand", "randn", "randint", "randperm", "normal", "bernoulli", "multinomial", "rand_like", "randn_like",
    "randint_like", "dropout",
}  # fmt: skip
_DROPOUTS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout)


class Draws(TorchFunctionMode):
    """Inside, counts the numbers that are drawn from torch's default streams: ``count``."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_function__(self, func, types, args=(), kwargs=None) -> Any:
        result = func(*args, **(kwargs or {}))
        name = getattr(func, "__name__", "")
        if name in _FILLING | _MAKING and (kwargs or {}).get("generator") is None and isinstance(result, Tensor):
            self.count += result.numel()
        return result


def random_states() -> dict[str, Any]:
    """States of the default streams, by name."""
    name, keys, *rest = np.random.get_state()
    torch_state = torch.get_rng_state().numpy().tobytes()
    return {"random": random.getstate(), "numpy": (name, keys.tobytes(), *rest), "torch": torch_state}


def moved(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Names of the streams whose states differ."""
    return [name for name in before if before[name] != after[name]]


def declares_dropout(module: nn.Module) -> bool:
    """True if a module, or a part of it, is one of PyTorch's dropout layers."""
    return any(isinstance(part, _DROPOUTS) and part.p > 0 for part in module.modules())


def restore_torch(states: dict[str, Any]) -> None:
    """Set torch's stream to a state of ``random_states``."""
    torch.set_rng_state(torch.frombuffer(bytearray(states["torch"]), dtype=torch.uint8))
