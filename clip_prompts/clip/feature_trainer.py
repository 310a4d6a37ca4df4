"""A trainer that sees features instead of images, wherever the image encoder is frozen."""

from dassl.engine import TrainerX
from torch import Tensor
from torch.utils.data import DataLoader

from clip_prompts.common.errors import UserError
from clip_prompts.encoders.image_encoder import ImageEncoder
from clip_prompts.features.cache import FeatureFile, FeatureLoader, feature_folder, feature_key, has_fixed_order
from clip_prompts.features.views import view_loader

from .model import encode_images
from .precision import Precision

# Defaults of the config node FEATURES.
FEATURES_CONFIG = {
    "CACHE": True,  # keep features of validation and test images on disk, for all later evaluations
    "DIR": "",  # where; empty: clip-prompt-toolbox/features in the user's cache folder
    "TRAIN_VIEWS": 0,  # n: train on features of n random views of each image, computed once; 0: fresh views always
}


class FeatureTrainer(TrainerX):
    """Evaluates on cached features (``FEATURES.CACHE``), and on request trains on them (``FEATURES.TRAIN_VIEWS``).

    The batches of ``parse_batch_test`` then hold features (B, D) under ``img``, so ``model_inference`` takes images
    (B, 3, H, W) or features; all other hooks of Dassl stay as they are. An encoder with trainable parameters is never
    cached. A method whose image features depend on what is learned elsewhere sets ``CACHEABLE`` to False.

    A subclass sets ``image_encoder``, ``precision`` and ``backbone_sha256``.
    """

    CACHEABLE = True
    image_encoder: ImageEncoder
    precision: Precision
    backbone_sha256: str
    backbone_reading = ""  # heads and activation, where they are not CLIP's own

    def __init__(self, cfg) -> None:
        self._feature_loaders: dict[DataLoader, FeatureLoader | DataLoader] = {}
        super().__init__(cfg)

    def encode_images(self, image: Tensor) -> Tensor:
        """Images (B, 3, H, W) to features (B, D), in the precision of the run, not normalised."""
        with self.precision.autocast():
            return encode_images(self.image_encoder, image.to(self.device))

    def test(self, split: str | None = None) -> float:
        """As Dassl's; the loader of the split is replaced for the time by one of features."""
        is_val = (split or self.cfg.TEST.SPLIT) == "val" and self.val_loader is not None
        name = "val_loader" if is_val else "test_loader"
        loader = getattr(self, name)
        setattr(self, name, self._on_features(loader))
        try:
            return super().test(split)
        finally:
            setattr(self, name, loader)

    def before_train(self) -> None:
        if self._features("TRAIN_VIEWS"):
            self.train_loader_x = self._on_views(self.train_loader_x, self._features("TRAIN_VIEWS"))
        super().before_train()

    def _features(self, name: str):
        # A config made for upstream has no such node.
        return self.cfg.get("FEATURES", FEATURES_CONFIG)[name]

    def _is_cacheable(self) -> bool:
        return self.CACHEABLE and self.image_encoder.is_frozen

    def _file(self, loader: DataLoader, views: int = 0) -> FeatureFile | None:
        weights = self.backbone_sha256 + self.backbone_reading
        key = feature_key(weights, self.precision.description, loader.dataset, views)
        rows = len(loader.dataset) * max(1, views)
        return None if key is None else FeatureFile(feature_folder(self._features("DIR")), key, rows)

    def _on_features(self, loader: DataLoader) -> FeatureLoader | DataLoader:
        if not (self._features("CACHE") and self._is_cacheable()):
            return loader
        if loader not in self._feature_loaders:
            file = self._file(loader) if has_fixed_order(loader) else None
            self._feature_loaders[loader] = FeatureLoader(loader, self.encode_images, file) if file else loader
        return self._feature_loaders[loader]

    def _on_views(self, loader: DataLoader, views: int) -> DataLoader:
        if views < 0:
            raise UserError(f"FEATURES.TRAIN_VIEWS {views} is below 0. Give a number of views, or 0 for fresh ones")
        if self.cfg.DATALOADER.K_TRANSFORMS != 1:  # before the file: its key does not know of it
            raise UserError("FEATURES.TRAIN_VIEWS needs one view of an image at a time. Set DATALOADER.K_TRANSFORMS 1")
        if not self._is_cacheable():
            raise UserError(f"FEATURES.TRAIN_VIEWS: {type(self).__name__} learns image features. Set it to 0")
        file = self._file(loader, views)
        if file is None:
            raise UserError(
                "FEATURES.TRAIN_VIEWS needs images that can be read and transforms whose repr() says what they do. "
                "Set it to 0"
            )
        return view_loader(loader, self.encode_images, file, views, self.cfg.DATALOADER.TEST.BATCH_SIZE)
