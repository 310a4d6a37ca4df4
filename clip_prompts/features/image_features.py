"""Image features of a trainer's loaders: computed once where the image encoder cannot change."""

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
        encoder: of images; handed nothing, so it must be frozen. weights: what identifies its weights.
        precision: of the run, with ``description`` and ``autocast()``. device: where images are encoded.
        folder: where features are kept; "" is the user's cache folder. cache: False keeps nothing on disk.
    """

    def __init__(
        self, encoder: ImageEncoder, weights: str, precision, device: torch.device, folder: str = "", cache: bool = True
    ) -> None:
        self.encoder, self.weights, self.precision, self.device = encoder, weights, precision, device
        self.folder, self.cache = folder, cache
        self._loaders: dict[DataLoader, FeatureLoader | DataLoader] = {}

    @torch.no_grad()
    def encode(self, image: Tensor) -> Tensor:
        """Images (B, 3, H, W) to features (B, D) on the device, not normalized."""
        with self.precision.autocast():
            return self.encoder(image.to(self.device))

    def for_testing(self, loader: DataLoader) -> FeatureLoader | DataLoader:
        """A loader with features under ``img``; the same loader if its features cannot be kept."""
        if not (self.cache and self.encoder.is_frozen):
            return loader
        if loader not in self._loaders:
            file = self._file(loader) if has_fixed_order(loader) else None
            self._loaders[loader] = FeatureLoader(loader, self.encode, file) if file else loader
        return self._loaders[loader]

    def of(self, loader: DataLoader, watch: Callable = iter) -> tuple[Tensor, Tensor]:
        """Features (N, D) in float32 and labels (N,) of all images of a loader, on the CPU: for loops of one's own.

        ``watch``: yields what it is given, the batches; a progress bar.
        """
        batches = [(batch["img"], batch["label"]) for batch in watch(self.for_testing(loader))]
        features = [image if image.dim() == 2 else self.encode(image) for image, _ in batches]
        return torch.cat([f.float().cpu() for f in features]), torch.cat([label for _, label in batches])

    def of_views(self, loader: DataLoader, views: int, batch_size: int) -> DataLoader:
        """A training loader with features of ``views`` random views of each image under ``img``.

        Raises UserError: the encoder learns, or the features have no key (see ``feature_key``).
        """
        if not self.encoder.is_frozen:
            raise UserError("FEATURES.TRAIN_VIEWS: this method learns image features. Set it to 0")
        file = self._file(loader, views)
        if file is None:
            raise UserError(
                "FEATURES.TRAIN_VIEWS needs images that can be read and transforms whose repr() says what they do. "
                "Set it to 0"
            )
        return view_loader(loader, self.encode, file, views, batch_size)

    def ahead(self, loader: DataLoader, batch_size: int) -> LookaheadLoader | DataLoader:
        """A training loader that also has ``features``, encoded for several batches at once where that pays."""
        batches = batches_at_once(self.encoder, self.device, batch_size)
        return LookaheadLoader(loader, self.encode, batches) if batches > 1 and self.encoder.is_frozen else loader

    @contextmanager
    def in_place_of_images(self, trainer, split: str) -> Iterator[None]:
        """Inside, the trainer's loader of a split (``val`` or ``test``) yields features."""
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
