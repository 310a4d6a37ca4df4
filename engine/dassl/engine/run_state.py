"""What a run needs, beside its models, to go on as if it had never stopped.

Everything is kept as tensors, numbers and lists, so that a checkpoint can be read without
executing anything.
"""

import os
import random
import re

import numpy as np
import torch

from dassl.utils import UserError
from dassl.utils.checkpoint import newest_name

_PERIODIC = re.compile(r"model\.pth\.tar-(\d+)")


def random_states():
    """Return the states of Python's, NumPy's and torch's global generators, CUDA's included."""
    version, words, gauss = random.getstate()
    _, keys, position, has_gauss, cached_gauss = np.random.get_state()
    states = {
        "python": {"version": version, "words": torch.tensor(words), "gauss": gauss},
        "numpy": {
            "words": torch.from_numpy(keys.astype(np.int64)),
            "position": int(position),
            "has_gauss": int(has_gauss),
            "gauss": float(cached_gauss),
        },
        "torch": torch.get_rng_state(),
    }
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        states["cuda"] = torch.cuda.get_rng_state_all()
    return states


def restore_random_states(states):
    """Undo everything that was drawn since ``states`` was taken.

    CUDA states are restored where there are as many devices as then.
    """
    python, numpy = states["python"], states["numpy"]
    random.setstate((python["version"], tuple(python["words"].tolist()), python["gauss"]))
    words = numpy["words"].numpy().astype(np.uint32)
    np.random.set_state(("MT19937", words, numpy["position"], numpy["has_gauss"], numpy["gauss"]))
    torch.set_rng_state(states["torch"].cpu())
    cuda = states.get("cuda", [])
    if cuda and torch.cuda.is_available() and torch.cuda.device_count() == len(cuda):
        torch.cuda.set_rng_state_all([state.cpu() for state in cuda])


def newest_checkpoint(folder):
    """Return the path of the checkpoint that was saved last in a model's folder, or None."""
    try:
        return os.path.join(folder, newest_name(folder))
    except UserError:
        return None


def saved_epochs(folder):
    """Return the rising numbers N of the files ``model.pth.tar-N`` in a folder."""
    names = os.listdir(folder) if os.path.isdir(folder) else []
    return sorted(int(match[1]) for match in map(_PERIODIC.fullmatch, names) if match)
