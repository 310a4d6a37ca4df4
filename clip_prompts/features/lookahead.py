"""Features of the next training images, encoded together: a frozen encoder need not wait for the steps before."""

import copy
import itertools
from collections.abc import Callable, Iterable, Iterator

import torch
from dassl.data import DatasetWrapper
from torch import Tensor
from torch.utils.data import BatchSampler, DataLoader, default_collate

from clip_prompts.encoders.image_encoder import ImageEncoder

# Rows (patches and class tokens) of an image encoder at once. With fewer, calling its operators takes longer than
# computing them; with more, nothing is won, and on a CPU they no longer fit its cache.
ROWS_AT_ONCE = {"cpu": 2**8, "cuda": 2**14}


class LookaheadLoader:
    """Stands in for a training loader: the same batches in the same order, with features (B, D) under ``img``.

    Images are loaded and encoded for several batches at once. What a loader without workers draws for them, it draws
    before the steps on them: in the same order, as long as steps draw nothing themselves.

    Args:
        loader: of batches with images (B, 3, H, W) under ``img``.
        encode: images (B, 3, H, W) to features (B, D).
        batches: how many are encoded together.
    """

    def __init__(self, loader: DataLoader, encode: Callable[[Tensor], Tensor], batches: int) -> None:
        self.loader, self.encode, self.batches = loader, encode, batches

    def __len__(self) -> int:
        return len(self.loader)

    def __getattr__(self, name: str):
        if name == "loader":  # not set yet, as in a copy that is being made
            raise AttributeError(name)
        return getattr(self.loader, name)

    @property
    def before_pass(self) -> Callable[[], None] | None:
        """Of our engine's loaders: called whenever one is started, so that a resumed run can start it as it was."""
        return self.loader.before_pass

    @before_pass.setter
    def before_pass(self, call: Callable[[], None]) -> None:
        self.loader.before_pass = call

    def __iter__(self) -> Iterator[dict]:
        return self._load_together() if _can_load_together(self.loader) else self._load_each()

    def _load_each(self) -> Iterator[dict]:
        for group in _groups(self.loader, self.batches):
            features = self._features(torch.cat([batch["img"] for batch in group]))
            sizes = [len(batch["img"]) for batch in group]
            for batch, own in zip(group, features.split(sizes), strict=True):
                yield {**batch, "img": own}

    def _load_together(self) -> Iterator[dict]:
        """The same from a loader of larger batches, which draws the same in the same order."""
        size, twin = self.loader.batch_size, copy.copy(self.loader)
        groups = _groups(self.loader.batch_sampler, self.batches)
        vars(twin)["batch_sampler"] = (list(itertools.chain.from_iterable(group)) for group in groups)
        for batch in twin:
            batch["img"] = self._features(batch["img"])
            for start in range(0, len(batch["img"]), size):
                yield {name: values[start : start + size] for name, values in batch.items()}

    def _features(self, images: Tensor) -> Tensor:
        with torch.no_grad():
            return self.encode(images).detach()


def _groups(batches: Iterable, size: int) -> Iterator[list]:
    rest = iter(batches)
    while group := list(itertools.islice(rest, size)):
        yield group


def _can_load_together(loader: DataLoader) -> bool:
    """Whether that draws the same and its batches can be told apart: parts of others' making may not be as they seem.

    Workers draw by themselves, so it matters which of them has a batch.
    """
    usual = type(loader.batch_sampler) is BatchSampler and loader.collate_fn is default_collate
    known = getattr(type(loader.dataset), "__getitem__", None) is DatasetWrapper.__getitem__
    return usual and known and loader.num_workers == 0


def images_at_once(image_encoder: ImageEncoder, device: torch.device) -> int:
    """Return the fewest images per call for which arithmetic, not calling the operators, takes most of the time."""
    return max(1, ROWS_AT_ONCE.get(device.type, 1) // image_encoder.tokens)
