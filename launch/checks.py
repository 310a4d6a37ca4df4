"""Names in a config, checked before anything is built: an unknown one is answered with the known ones."""

import os

from dassl.data.datasets import DATASET_REGISTRY
from dassl.data.transforms.transforms import AVAI_CHOICES
from dassl.engine import TRAINER_REGISTRY
from dassl.evaluation import EVALUATOR_REGISTRY
from dassl.optim.lr_scheduler import AVAI_SCHEDS
from dassl.optim.optimizer import AVAI_OPTIMS
from yacs.config import CfgNode

from common.errors import UserError, unknown


def check_names(cfg: CfgNode) -> None:
    """Check trainer, dataset, transforms, optimizer, scheduler, evaluator and fixed choices.

    Raises:
        UserError: a name that is missing or unknown.
    """
    for kind, flag, value in (
        ("trainer", "--trainer", cfg.TRAINER.NAME),
        ("dataset", "--dataset-config-file", cfg.DATASET.NAME),
    ):
        if not value:
            raise UserError(f"No {kind} given: use {flag}")
    _check("trainer", cfg.TRAINER.NAME, TRAINER_REGISTRY.registered_names())
    _check("dataset", cfg.DATASET.NAME, DATASET_REGISTRY.registered_names())
    for name in cfg.INPUT.TRANSFORMS:
        _check("transform", name, AVAI_CHOICES)
    _check("optimizer (OPTIM.NAME)", cfg.OPTIM.NAME, AVAI_OPTIMS)
    _check("scheduler (OPTIM.LR_SCHEDULER)", cfg.OPTIM.LR_SCHEDULER, AVAI_SCHEDS)
    _check("evaluator (TEST.EVALUATOR)", cfg.TEST.EVALUATOR, EVALUATOR_REGISTRY.registered_names())
    _check("interpolation (INPUT.INTERPOLATION)", cfg.INPUT.INTERPOLATION, ("bilinear", "bicubic", "nearest"))
    _check("class subset (DATASET.SUBSAMPLE_CLASSES)", cfg.DATASET.SUBSAMPLE_CLASSES, ("all", "base", "new"))
    if cfg.RESUME and not os.path.isdir(cfg.RESUME):
        raise UserError(f"No folder '{cfg.RESUME}' to resume from. --resume takes the output folder of a training run")
    if cfg.OPTIM.WARMUP_EPOCH > 0:
        _check("warm-up (OPTIM.WARMUP_TYPE)", cfg.OPTIM.WARMUP_TYPE, ("constant", "linear"))


def _check(kind: str, value: str, known) -> None:
    if value not in known:
        raise unknown(kind, value, known)
