"""The two rules that split CoOp's datasets if there is no split file (CoOp, appendix A).

``rng`` is anything with ``shuffle``: the module ``random`` (its global generator) or an own ``random.Random``.
"""

import random
from collections.abc import Callable, Sequence
from operator import attrgetter

from clip_prompts.common.errors import UserError


def _groups(items: Sequence, label: Callable) -> dict:
    groups: dict = {}
    for item in items:
        groups.setdefault(label(item), []).append(item)
    return groups


def split_trainval(trainval: Sequence, p_val: float = 0.2, rng=random) -> tuple[list, list]:
    """Split an official training list per class into train and val, ``round(p_val * n)`` images for val.

    Classes in order of first appearance. Returns (train, val). Raises UserError for a class too small to split.
    """
    train, val = [], []
    for label, group in _groups(trainval, attrgetter("label")).items():
        n_val = round(len(group) * p_val)
        if not 0 < n_val < len(group):
            raise UserError(
                f"Class '{group[0].classname}' (label {label}) has {len(group)} training images: too few to take "
                f"{p_val:.0%} for validation."
            )
        order = list(range(len(group)))
        rng.shuffle(order)
        val += [group[i] for i in order[:n_val]]
        train += [group[i] for i in order[n_val:]]
    return train, val


def split_per_class(
    items: Sequence, p_train: float = 0.5, p_val: float = 0.2, rng=random, label: Callable = attrgetter("label")
) -> tuple[list, list, list]:
    """Split all images per class into train, val and test (50/20/30 by default; Python's rounding).

    ``label`` gives an item's class. Returns (train, val, test). Raises UserError for a class too small to split.
    """
    train, val, test = [], [], []
    for name, group in _groups(items, label).items():
        group = list(group)
        n_train, n_val = round(len(group) * p_train), round(len(group) * p_val)
        if min(n_train, n_val, len(group) - n_train - n_val) <= 0:
            raise UserError(
                f"Class {name} has {len(group)} images: too few to split into train, val and test. Add images "
                "of it, or write the split yourself: a split_*.json, or test/<class>/ folders for your own pictures"
            )
        rng.shuffle(group)
        train += group[:n_train]
        val += group[n_train : n_train + n_val]
        test += group[n_train + n_val :]
    return train, val, test
