import contextlib
import random

import torch


@contextlib.contextmanager
def drawing_from_python_random():
    """Let torch's CPU draws inside follow Python's ``random``; torch's own stream stays where it was.

    torchvision's policies draw from torch's global generator. Without loader workers that is the
    generator that shuffles the training images, and augmentation would change which images form
    a batch.
    """
    generator = torch.default_generator
    state = generator.get_state()
    generator.manual_seed(random.getrandbits(63))
    try:
        yield
    finally:
        generator.set_state(state)
