"""Image features of a trainer's loaders, computed once if the image encoder cannot change."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from clip_prompts.common.errors import UserError
from clip_prompts.encoders.image_encoder import ImageEncoder

from .cache import FeatureFile, FeatureLoader, feature_folder, feature_key, has_fixed_order
from .lookahead import LookaheadLoader, batches_at_once
from .views import view_loader

# Defaults of the config node FEATURES.
FEATURES_CONFIG = {
    "CACHE": True,  # keep features of validation and test images on disk, for all later evaluations
    "DIR": "",  # where; empty: clip-prompt-toolbox/features in the user's cache folder
    "TRAIN_VIEWS": 0,  # n: train on features of n random views of each image, computed once; 0: fresh views always
}


class ImageFeatures:
    """Replaces loaders of images by loaders of their features, (B, D).

    Args:
        encoder: the image encoder. It is called without learned rows, and must be frozen.
        weights: text that identifies the weights of the encoder, such as their hash.
        precision: precision of the run, with ``description`` and ``autocast()``.
        device: where images are encoded.
        folder: where features are stored; "" is the user's cache folder.
        cache: False stores nothing on disk.
    """

    def __init__(
        self, encoder: ImageEncoder, weights: str, precision, device: torch.device, folder: str = "", cache: bool = True
    ) -> None:
        self.encoder, self.weights, self.precision, self.device = encoder, weights, precision, device
        self.folder, self.cache = folder, cache
        self._loaders: dict[DataLoader, FeatureLoader | DataLoader] = {}

    @torch.no_grad()
    def encode(self, image: Tensor) -> Tensor:
        """Encode images (B, 3, H, W) to features (B, D) on the device, not normalized."""
        with self.precision.autocast():
            return self.encoder(image.to(self.device))

    def for_testing(self, loader: DataLoader) -> FeatureLoader | DataLoader:
        """Return a loader with features under ``img``, or the same loader if its features cannot be cached."""
        if not (self.cache and self.encoder.is_frozen):
            return loader
        if loader not in self._loaders:
            file = self._file(loader) if has_fixed_order(loader) else None
            self._loaders[loader] = FeatureLoader(loader, self.encode, file) if file else loader
        return self._loaders[loader]

    def of(self, loader: DataLoader, watch: Callable = iter) -> tuple[Tensor, Tensor]:
        """Return features (N, D) in float32 and labels (N,) of all images of a loader, on the CPU.

        Args:
            loader: a loader for testing.
            watch: wraps the loop over batches, such as a progress bar.
        """
        batches = [(batch["img"], batch["label"]) for batch in watch(self.for_testing(loader))]
        features = [image if image.dim() == 2 else self.encode(image) for image, _ in batches]
        return torch.cat([f.float().cpu() for f in features]), torch.cat([label for _, label in batches])

    def of_views(self, loader: DataLoader, views: int, batch_size: int) -> DataLoader:
        """Return a training loader with features of ``views`` random views of each image under ``img``.

        Raises:
            UserError: the encoder is trained, or the features cannot be cached (see ``feature_key``).
        """
        if not self.encoder.is_frozen:
            raise UserError(
                f"FEATURES.TRAIN_VIEWS is {views}, but this method learns image features, so they change in training. "
                "Set it to 0"
            )
        file = self._file(loader, views)
        if file is None:
            raise UserError(
                f"FEATURES.TRAIN_VIEWS is {views}, but features of these images cannot be cached: an image cannot be "
                "read, or the repr() of a transform does not show its settings. Set FEATURES.TRAIN_VIEWS to 0"
            )
        return view_loader(loader, self.encode, file, views, batch_size)

    def ahead(self, loader: DataLoader, batch_size: int) -> LookaheadLoader | DataLoader:
        """Return a training loader that adds ``features``, encoded for several batches at once if this is faster."""
        batches = batches_at_once(self.encoder, self.device, batch_size)
        return LookaheadLoader(loader, self.encode, batches) if batches > 1 and self.encoder.is_frozen else loader

    @contextmanager
    def in_place_of_images(self, trainer, split: str) -> Iterator[None]:
        """Context in which the trainer's loader of a split (``val`` or ``test``) yields features."""
        name = f"{split}_loader"
        loader = getattr(trainer, name)
        setattr(trainer, name, self.for_testing(loader))
        try:
            yield
        finally:
            setattr(trainer, name, loader)

    def _file(self, loader: DataLoader, views: int = 0) -> FeatureFile | None:
        dataset: Any = loader.dataset
        key = feature_key(self.weights, self.precision.description, dataset, views)
        return None if key is None else FeatureFile(feature_folder(self.folder), key, len(dataset) * max(1, views))
