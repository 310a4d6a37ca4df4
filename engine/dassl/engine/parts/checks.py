"""Checks of the settings that a trainer cannot do without."""

import os
from functools import reduce

from dassl.utils import ConfigError


def require(trainer, cfg, key, holds, rule, example):
    """Check one setting.

    Args:
        trainer (SimpleTrainer): the one that needs it.
        cfg: the config tree.
        key (str): dotted name of the setting.
        holds (callable): value -> whether it will do.
        rule (str): what the value must be, in words.
        example: a value that will do.

    Raises:
        ConfigError: it does not hold; the line names the trainer, the setting, its value and a good one.
    """
    value = reduce(lambda node, name: node[name], key.split("."), cfg)
    if not holds(value):
        raise ConfigError(
            f"{type(trainer).__name__} needs {key} to be {rule}, but it is {value!r}. Set {key} {example}."
        )


def require_views(trainer, cfg, number):
    """Each training image must come in ``number`` views (DATALOADER.K_TRANSFORMS). Raises ConfigError."""
    require(trainer, cfg, "DATALOADER.K_TRANSFORMS", lambda k: k == number, number, number)


def require_strong_transforms(trainer, cfg, node):
    """TRAINER.<node>.STRONG_TRANSFORMS must name transforms. Raises ConfigError."""
    example = "\"('random_flip', 'randaugment_fixmatch', 'normalize')\""
    require(trainer, cfg, f"TRAINER.{node}.STRONG_TRANSFORMS", len, "a list of transforms", example)


def require_source_domains(trainer, cfg):
    """There must be two source domains or more. Raises ConfigError."""
    example = "\"('art_painting', 'cartoon')\" or other domains of the dataset"
    require(trainer, cfg, "DATASET.SOURCE_DOMAINS", lambda d: len(d) > 1, "two domains or more", example)


def require_domain_sampler(trainer, cfg, part="TRAIN_X"):
    """Batches of a loader (TRAIN_X or TRAIN_U) must hold equal shares of the domains. Raises ConfigError."""
    name = "RandomDomainSampler"
    require(trainer, cfg, f"DATALOADER.{part}.SAMPLER", lambda sampler: sampler == name, name, name)


def require_own_target_loader(trainer, cfg):
    """The loader of the target must not take its settings from that of the sources. Raises ConfigError."""
    example = "False, with DATALOADER.TRAIN_U.SAMPLER and BATCH_SIZE for the target"
    require(trainer, cfg, "DATALOADER.TRAIN_U.SAME_AS_X", lambda same: not same, False, example)


def require_source_weights(trainer, cfg):
    """MODEL.INIT_WEIGHTS must be a file: the weights of a model that was trained on the source. Raises ConfigError."""
    rule = "a file with the weights of a model trained on the source"
    example = "DIR/model/model.pth.tar-EPOCHS after training one with --trainer SourceOnly --output-dir DIR"
    require(trainer, cfg, "MODEL.INIT_WEIGHTS", os.path.isfile, rule, example)
