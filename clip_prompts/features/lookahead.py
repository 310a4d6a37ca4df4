"""Features of the next training images, encoded together: a frozen encoder need not wait for the steps before."""

import itertools
import random
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from dassl.data import DatasetWrapper
from torch import Tensor
from torch.utils.data import BatchSampler, DataLoader, RandomSampler, SequentialSampler, default_collate

from clip_prompts.encoders.image_encoder import ImageEncoder

# Rows (patches and class tokens) of an image encoder at once. With fewer, calling its operators takes longer than
# computing them; with more, nothing is won, and on a CPU they no longer fit its cache.
ROWS_AT_ONCE = {"cpu": 2**8, "cuda": 2**14}
# Images at once, at least. A large encoder computes one image 8 % slower than one of eight, because all weights are
# read from memory for it alone (docs/performance.md).
IMAGES_AT_ONCE = {"cpu": 8}


class LookaheadLoader:
    """A training loader whose batches also have ``features`` (B, D), encoded for several batches at once.

    Batches, their order and all random draws are those of the loader itself, also if a step draws random numbers: then
    the images that were loaded too early are loaded again.

    Args:
        loader: of batches with images (B, 3, H, W) under ``img``.
        encode: images (B, 3, H, W) to features (B, D).
        batches: how many are encoded together.
    """

    def __init__(self, loader: DataLoader, encode: Callable[[Tensor], Tensor], batches: int) -> None:
        self.loader: Any = loader  # our engine's has before_pass
        self.encode, self.batches = encode, batches

    def __len__(self) -> int:
        return len(self.loader)

    def __getattr__(self, name: str):
        if name == "loader":  # not set yet, as in a copy that is being made
            raise AttributeError(name)
        return getattr(self.loader, name)

    @property
    def before_pass(self) -> Callable[[], None] | None:
        """Called by our engine's loaders whenever one is started, so that a resumed run can start it as it was."""
        return self.loader.before_pass

    @before_pass.setter
    def before_pass(self, call: Callable[[], None]) -> None:
        self.loader.before_pass = call

    def __iter__(self) -> Iterator[dict]:
        batches, at_once = iter(self.loader), self.batches
        if self.loader.num_workers > 0:  # images are drawn in other processes
            while group := list(itertools.islice(batches, at_once)):
                yield from self._encoded(group)
            return
        if not _can_load_again(self.loader):
            at_once = 1
        while group := [(batch, _random_states()) for batch in itertools.islice(batches, at_once)]:
            while group:
                done = 0
                encoded = self._encoded([batch for batch, _ in group])
                for batch, (_, states) in zip(encoded, group, strict=True):
                    _restore(states)
                    yield batch
                    done += 1
                    if done < len(group) and not _equal(states, _random_states()):  # the step has drawn
                        at_once = 1
                        break
                group = [(self._load_again(batch), _random_states()) for batch, _ in group[done:]]

    def _encoded(self, group: list[dict]) -> list[dict]:
        features = self.encode(torch.cat([batch["img"] for batch in group]))
        sizes = [len(batch["img"]) for batch in group]
        return [{**batch, "features": own} for batch, own in zip(group, features.split(sizes), strict=True)]

    def _load_again(self, batch: dict) -> dict:
        return default_collate([self.loader.dataset[index] for index in batch["index"].tolist()])


def _can_load_again(loader: DataLoader) -> bool:
    """True if a batch can be loaded again. Custom samplers, collate functions and datasets are left alone."""
    sampler = type(loader.batch_sampler) is BatchSampler and type(loader.sampler) in (RandomSampler, SequentialSampler)
    known = getattr(type(loader.dataset), "__getitem__", None) is DatasetWrapper.__getitem__
    return sampler and known and loader.collate_fn is default_collate


def _random_states() -> tuple:
    return torch.get_rng_state(), random.getstate(), np.random.get_state()


def _restore(states: tuple) -> None:
    torch.set_rng_state(states[0])
    random.setstate(states[1])
    np.random.set_state(states[2])


def _equal(one: tuple, other: tuple) -> bool:
    numpy = all(np.array_equal(a, b) for a, b in zip(one[2], other[2], strict=True))
    return torch.equal(one[0], other[0]) and one[1] == other[1] and numpy


def batches_at_once(encoder: ImageEncoder, device: torch.device, batch_size: int) -> int:
    """Number of batches that an encoder should be given at least, so that its arithmetic outweighs its calls."""
    by_rows = ROWS_AT_ONCE.get(device.type, 1) // encoder.tokens
    by_images = min(IMAGES_AT_ONCE.get(device.type, 0), encoder.images_at_once)
    return max(by_rows, by_images) // batch_size
