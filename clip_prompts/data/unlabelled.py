"""Unlabelled training images (``train_u``); most datasets have none."""

from collections.abc import Callable, Sequence

from yacs.config import CfgNode

from clip_prompts.common.errors import UserError, unknown

CHOICES = ("target", "rest")


def labelled_per_class(settings: CfgNode, train: Sequence) -> int:
    """Returns the labelled images per class: ``NUM_LABELED`` shared by the classes, else ``NUM_SHOTS``; below 1: all.

    Raises UserError where the classes cannot share ``NUM_LABELED`` equally.
    """
    total = settings.NUM_LABELED
    if total < 1:
        return settings.NUM_SHOTS
    classes = len({item.label for item in train})
    if total % classes:
        raise UserError(
            f"DATASET.NUM_LABELED {total} cannot be shared equally by {classes} classes. Give a multiple of {classes}."
        )
    return total // classes


def unlabelled_images(kind: str, settings: CfgNode, pool: list, labelled: list, target: Callable[[], list]) -> list:
    """Returns the list ``train_u``.

    Args:
        kind: "target": images of the target domains; "rest": those of ``pool`` that are not ``labelled``, with
            ``ALL_AS_UNLABELED`` all of it; "": none.
        settings: ``cfg.DATASET``. pool, labelled: training images before and after the labelled ones were drawn.
        target: gives the images of the target domains.

    Raises UserError for another kind.
    """
    if kind == "target":
        return target()
    if kind == "rest":
        if settings.ALL_AS_UNLABELED:
            return list(pool)
        drawn = {id(item) for item in labelled}
        return [item for item in pool if id(item) not in drawn]
    if kind:
        raise unknown("value of DATASET.UNLABELED", kind, CHOICES)
    return []
