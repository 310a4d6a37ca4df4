"""Checks of a config before anything is built: every setting against its range, every name against the known ones."""

import os

from dassl.data.datasets import DATASET_REGISTRY
from dassl.engine import TRAINER_REGISTRY, TrainerX
from dassl.evaluation import EVALUATOR_REGISTRY
from dassl.modeling import HEAD_REGISTRY
from yacs.config import CfgNode

from clip_prompts.common.errors import UserError, unknown
from clip_prompts.common.text import one_line
from clip_prompts.common.trees import flat
from clip_prompts.records.settings import problem


def check_config(cfg: CfgNode) -> None:
    """Check all settings of the table, the names of trainer, dataset and evaluator, and what must fit together.

    Raises:
        UserError: a value is out of range, a name is missing or unknown, or two settings contradict each other.
    """
    for kind, flag, value in (
        ("trainer", "--trainer", cfg.TRAINER.NAME),
        ("dataset", "--dataset-config-file", cfg.DATASET.NAME),
    ):
        if not value:
            raise UserError(f"No {kind} given: use {flag}")
        _check_setting(f"{kind.upper()}.NAME", value)
    _check_name("trainer", cfg.TRAINER.NAME, TRAINER_REGISTRY.registered_names())
    _check_name("dataset", cfg.DATASET.NAME, DATASET_REGISTRY.registered_names())
    for key, value in flat(cfg).items():
        _check_setting(key, value)
    _check_domains(cfg)
    _check_name("evaluator (TEST.EVALUATOR)", cfg.TEST.EVALUATOR, EVALUATOR_REGISTRY.registered_names())
    if not cfg.OUTPUT_DIR.strip():
        raise UserError("The output folder has no name. Give --output-dir FOLDER")
    if not cfg.MODEL.BACKBONE.NAME:
        raise UserError(
            "No backbone given. Use --backbone, such as tiny, or a --config-file of configs/trainers/, which sets one"
        )
    if cfg.RESUME and not os.path.isdir(cfg.RESUME):
        raise UserError(f"No folder '{cfg.RESUME}' to resume from. --resume takes the output folder of a training run")
    _check_head(cfg)
    _check_for_trainer(cfg)
    _check_optimizer(cfg.OPTIM)
    size, kernel, ddaig = tuple(cfg.INPUT.SIZE), cfg.INPUT.GB_K, cfg.TRAINER.get("DDAIG", {})
    if "gaussian_blur" in cfg.INPUT.TRANSFORMS and kernel // 2 >= min(size):
        raise UserError(
            f"INPUT.GB_K {kernel} is too large for INPUT.SIZE {size}: gaussian_blur needs a kernel of at most "
            f"{2 * min(size) - 1} pixels"
        )
    if ddaig and ddaig.CLAMP_MIN > ddaig.CLAMP_MAX:
        raise UserError(
            f"TRAINER.DDAIG.CLAMP_MIN {ddaig.CLAMP_MIN} is above TRAINER.DDAIG.CLAMP_MAX {ddaig.CLAMP_MAX}. Swap them"
        )


def _check_setting(key: str, value: object) -> None:
    if line := problem(key, value):  # a key that a plugin declares is not in the table
        raise UserError(line)


def _check_name(kind: str, value: str, known) -> None:
    if value not in known:
        raise unknown(kind, one_line(value, 80), known)


def _check_domains(cfg: CfgNode) -> None:
    """Domains of a dataset that has none have no effect: an error for our readers, a line for others."""
    reader = DATASET_REGISTRY.get(cfg.DATASET.NAME)
    for key in ("SOURCE_DOMAINS", "TARGET_DOMAINS"):
        domains = tuple(cfg.DATASET[key])
        if not domains or getattr(reader, "domains", None) or getattr(reader, "has_domains", False):
            continue
        line = (
            f"DATASET.{key} {one_line(repr(domains), 80)} has no effect: the dataset {cfg.DATASET.NAME} has no domains"
        )
        if hasattr(reader, "has_domains"):
            raise UserError(f"{line}. Remove the setting")
        print(f"Note: {line} (its class lists none in ``domains``)")


def _check_for_trainer(cfg: CfgNode) -> None:
    """Refuse settings that the trainer of the run cannot use."""
    trainer, views, count = TRAINER_REGISTRY.get(cfg.TRAINER.NAME), cfg.DATALOADER.K_TRANSFORMS, cfg.TRAIN.COUNT_ITER
    most, is_own = getattr(trainer, "MAX_VIEWS", None), trainer.__module__.split(".")[0] in ("trainers", "dassl")
    if most is not None and views > most:
        raise UserError(
            f"DATALOADER.K_TRANSFORMS is {views}, but {cfg.TRAINER.NAME} takes at most {most} view per image. "
            f"Set DATALOADER.K_TRANSFORMS {most}"
        )
    if cfg.INPUT.NO_TRANSFORM and is_own:
        raise UserError(
            f"INPUT.NO_TRANSFORM is True, but {cfg.TRAINER.NAME} takes transformed images. Set INPUT.NO_TRANSFORM False"
        )
    # TrainerX has one loader: an epoch is one pass over the labelled images, whatever the setting says.
    if count != "train_x" and is_own and issubclass(trainer, TrainerX):
        raise UserError(
            f"TRAIN.COUNT_ITER {count} has no effect: {cfg.TRAINER.NAME} trains on labelled images only. Set "
            "TRAIN.COUNT_ITER train_x"
        )


def _check_head(cfg: CfgNode) -> None:
    head = cfg.MODEL.HEAD
    if head.NAME:
        _check_name("head (MODEL.HEAD.NAME)", head.NAME, HEAD_REGISTRY.registered_names())
    has_head = getattr(TRAINER_REGISTRY.get(cfg.TRAINER.NAME), "HAS_HEAD", True)
    if (head.NAME or head.HIDDEN_LAYERS) and not has_head:
        raise UserError(
            f"MODEL.HEAD.NAME (--head) is '{head.NAME}', HIDDEN_LAYERS is {tuple(head.HIDDEN_LAYERS)}, but "
            f"{cfg.TRAINER.NAME} has no head. Remove the settings"
        )
    if bool(head.NAME) != bool(head.HIDDEN_LAYERS):
        raise UserError(
            f"MODEL.HEAD.NAME is '{head.NAME}' and MODEL.HEAD.HIDDEN_LAYERS is {tuple(head.HIDDEN_LAYERS)}, but a head "
            'needs both. Set both, such as mlp and "(512,)", or neither'
        )


def _check_optimizer(optim: CfgNode) -> None:
    if optim.NAME == "sgd" and optim.SGD_NESTEROV and not (optim.MOMENTUM > 0 and optim.SGD_DAMPNING == 0):
        raise UserError(
            f"OPTIM.SGD_NESTEROV True needs OPTIM.MOMENTUM above 0 and OPTIM.SGD_DAMPNING 0, not {optim.MOMENTUM} and "
            f"{optim.SGD_DAMPNING}"
        )
    if optim.STAGED_LR and not optim.NEW_LAYERS:
        raise UserError(
            "OPTIM.STAGED_LR True needs OPTIM.NEW_LAYERS, the names of the layers that learn at OPTIM.LR. Set both, "
            "such as \"('classifier',)\", or OPTIM.STAGED_LR False"
        )
    steps = list(optim.STEPSIZE)
    if optim.LR_SCHEDULER == "multi_step" and (min(steps) < 1 or sorted(steps) != steps):
        raise UserError(
            f"OPTIM.STEPSIZE is {tuple(steps)}, but multi_step needs the epochs of its drops: whole numbers of "
            'at least 1, rising, such as "(20, 40)"'
        )
