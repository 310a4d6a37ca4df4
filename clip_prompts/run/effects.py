"""Checks of a built trainer: settings that its dataset ignores."""

import contextlib
import io

from dassl.data.datasets import build_dataset
from yacs.config import CfgNode

from clip_prompts.common.errors import UserError
from clip_prompts.common.random_states import unchanged_random_states
from clip_prompts.data import BenchmarkDataset
from clip_prompts.records.image_lists import images_per_class
from clip_prompts.records.sources import dataset_of


def check_effects(trainer, cfg: CfgNode, trains: bool) -> None:
    """Refuse settings that a dataset ignores: they would label what never happened.

    Raises:
        UserError: ``DATASET.NUM_SHOTS`` of a training, or ``DATASET.SUBSAMPLE_CLASSES``, has no effect.
    """
    dataset, own = dataset_of(trainer), cfg.DATASET
    most = images_per_class(getattr(dataset, "train_x", None) or [])["most"]
    if trains and own.NUM_LABELED < 1 and 1 <= own.NUM_SHOTS < most:
        raise UserError(
            f"DATASET.NUM_SHOTS {own.NUM_SHOTS} has no effect: {own.NAME} trains on up to {most} images per class. "
            "Set it to -1, or call generate_fewshot_dataset(train, num_shots=cfg.DATASET.NUM_SHOTS) in the dataset"
        )
    if trains and own.NUM_LABELED < 1 and own.NUM_SHOTS > most > 0:
        print(f"Note: no class has {own.NUM_SHOTS} training images; up to {most} per class are used")
    if trains and cfg.OPTIM.WARMUP_EPOCH >= cfg.OPTIM.MAX_EPOCH:
        print(
            f"Note: OPTIM.LR {cfg.OPTIM.LR:g} is never reached: the warm-up takes {cfg.OPTIM.WARMUP_EPOCH} epochs, and "
            f"the run has {cfg.OPTIM.MAX_EPOCH}. Train for more epochs, or set OPTIM.WARMUP_EPOCH 0"
        )
    if own.SUBSAMPLE_CLASSES == "all" or dataset is None or isinstance(dataset, BenchmarkDataset):
        return
    if _classes_of_all(cfg) == dataset.num_classes:
        raise UserError(
            f"DATASET.SUBSAMPLE_CLASSES {own.SUBSAMPLE_CLASSES} has no effect: {own.NAME} has {dataset.num_classes} "
            "classes with and without it. Set it to all, or call OxfordPets.subsample_classes in the dataset"
        )


def _classes_of_all(cfg: CfgNode) -> int:
    """Number of classes of the dataset without a selection; draws nothing from the random streams of the run."""
    cfg = cfg.clone()
    cfg.defrost()
    cfg.DATASET.SUBSAMPLE_CLASSES = "all"
    with unchanged_random_states(), contextlib.redirect_stdout(io.StringIO()):
        return build_dataset(cfg).num_classes
