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
