"""Features of the training images under n random views each, computed once and reused by every epoch and run."""

import hashlib
import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from clip_prompts.common.errors import UserError
from clip_prompts.common.random_states import unchanged_random_states

from .cache import FeatureFile, transform_text


def view_loader(
    loader: DataLoader, encode: Callable[[Tensor], Tensor], file: FeatureFile, views: int, batch_size: int
) -> DataLoader:
    """A training loader of features (B, D) under ``img`` instead of images; each time a view is drawn again.

    Args:
        loader: the loader of images; its sampler, batch size and rule for the last batch stay.
        encode: images (B, 3, H, W) to features (B, D). file: where the features of all views are kept.
        views: n. batch_size: images that are encoded at once.

    Raises UserError: the loader does not give one tensor for an image.
    """
    dataset: Any = loader.dataset
    features = file.read()
    if features is None:
        images = DataLoader(
            _Views(dataset, views, _seed(dataset, views)), batch_size, num_workers=loader.num_workers,
            generator=torch.Generator(),  # the global one is the run's
        )  # fmt: skip
        with torch.no_grad():
            features = torch.cat([encode(batch).cpu() for batch in images])
        file.write(features)
    known = _Features(dataset.data_source, features.unflatten(0, (views, -1)))
    return DataLoader(known, loader.batch_size, sampler=loader.sampler, drop_last=loader.drop_last)


def _seed(dataset: Any, views: int) -> bytes:
    """Return the seed of all views. It depends on the images' names, and on nothing that differs between machines."""
    digest = hashlib.sha256(f"{views} {transform_text(dataset)}\n".encode())
    for item in dataset.data_source:
        digest.update(f"{os.path.basename(item.impath)}\t{item.label}\n".encode("utf-8", "surrogateescape"))
    return digest.digest()


class _Views(Dataset):
    """View v of image i at place v * N + i; every one has a seed of its own, whatever process makes it."""

    def __init__(self, dataset: Any, views: int, seed: bytes) -> None:
        self.dataset, self.views, self.seed = dataset, views, seed

    def __len__(self) -> int:
        return self.views * len(self.dataset)

    def __getitem__(self, place: int) -> Tensor:
        own = hashlib.sha256(self.seed + place.to_bytes(8, "little")).digest()
        with _seeded(int.from_bytes(own[:4], "little")):
            image = self.dataset[place % len(self.dataset)]["img"]
        if not isinstance(image, Tensor):
            raise UserError(
                "FEATURES.TRAIN_VIEWS needs a single transform and one view per image. Set DATALOADER.K_TRANSFORMS 1"
            )
        return image


class _Features(Dataset):
    def __init__(self, items: list, features: Tensor) -> None:
        self.items, self.features = items, features  # (n, N, D)

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> dict:
        item, view = self.items[index], int(torch.randint(len(self.features), ()))
        facts = {"label": item.label, "domain": item.domain, "impath": item.impath, "index": index}
        return facts | {"img": self.features[view, index]}


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Inside, all global generators start from a seed; afterwards they continue as if nothing had been drawn."""
    with unchanged_random_states():
        random.seed(seed)
        np.random.seed(seed)
        torch.default_generator.manual_seed(seed)
        yield
