"""Training images that come twice: weakly and strongly augmented."""

from dassl.data import DataManager
from dassl.data.transforms import build_transform


def use_weak_and_strong_views(trainer, strong_transforms):
    """Set the trainer's data; training batches then hold a weak view ``img`` and a strong one ``img2``.

    Args:
        trainer (SimpleTrainer): one that is in its ``build_data_loader``.
        strong_transforms (list of str): names as in INPUT.TRANSFORMS, which makes the weak view.
    """
    weak = build_transform(trainer.cfg, is_train=True)
    strong = build_transform(trainer.cfg, is_train=True, choices=strong_transforms)
    trainer.use_data(DataManager(trainer.cfg, custom_tfm_train=[weak, strong]))


def views_of(trainer, batch):
    """Return the K views of a batch (DATALOADER.K_TRANSFORMS) as a list of images (B, 3, H, W) on the device."""
    views = batch["img"] if isinstance(batch["img"], list) else [batch["img"]]
    return [view.to(trainer.device, non_blocking=True) for view in views]
