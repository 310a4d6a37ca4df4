"""The global random streams, kept as they are around code that may draw from them. Imports nothing heavy."""

import random
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def unchanged_random_states() -> Iterator[None]:
    """Inside, code may draw or seed; afterwards Python's, NumPy's and torch's CPU streams are as before."""
    import numpy as np
    import torch

    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])
