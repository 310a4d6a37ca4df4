"""Linear classifiers of features that know the names of their classes."""

import json
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from clip_prompts.common.errors import UserError


class OtherClasses(UserError):
    """A head lacks a class."""


class ClassHead(nn.Linear):
    """W f + b for C named classes: features (..., D) to scores (..., C).

    A checkpoint stores the names, so the rows of this run's classes are found in it, in any order.

    Args:
        width: D. classnames: C names, by rising label.
    """

    def __init__(self, width: int, classnames: list[str]) -> None:
        super().__init__(width, len(classnames))
        self.classnames = list(classnames)
        self.register_buffer("classes", stored_names(classnames))

    def _load_from_state_dict(self, state_dict, prefix, *args):
        """Pick this run's classes among those of a checkpoint.

        Raises UserError: the checkpoint holds no such head, is of another backbone, or lacks a class.
        """
        keys = [prefix + name for name in ("weight", "bias", "classes")]
        if not all(key in state_dict for key in keys):
            raise UserError(f"It holds no linear probe ({', '.join(map(repr, keys))})")
        weight, bias, classes = (state_dict[key] for key in keys)
        if weight.shape[1] != self.in_features:
            raise UserError(
                f"Its features have width {weight.shape[1]}, this backbone's have {self.in_features}: use the "
                "backbone of its training"
            )
        rows = rows_of(self.classnames, json.loads(bytes(classes.tolist())))
        own = dict(zip(keys, (weight[rows], bias[rows], self.classes), strict=True))
        super()._load_from_state_dict({**state_dict, **own}, prefix, *args)


def stored_names(classnames: Sequence[str]) -> Tensor:
    """Class names as a checkpoint of a head stores them (n,), bytes of JSON."""
    return torch.tensor(list(json.dumps(list(classnames)).encode()), dtype=torch.uint8)


class ChannelScaling(nn.Module):
    """a * f + b per channel of features (..., D); starts as the identity."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.scale, self.bias = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))

    def forward(self, f: Tensor) -> Tensor:
        return self.scale * f.float() + self.bias


class OptionalClassHead(ClassHead):
    """A head that is used only on classes that it was trained on.

    Args:
        width, classnames: as of ``ClassHead``.
        is_for_training_classes: whether this run's classes are those of the training, for checkpoints without names.

    Attributes:
        fits: whether the loaded head was trained on this run's classes; True before any is loaded.
    """

    def __init__(self, width: int, classnames: list[str], is_for_training_classes: bool) -> None:
        super().__init__(width, classnames)
        self.is_for_training_classes, self.fits = is_for_training_classes, True

    def _load_from_state_dict(self, state_dict, prefix, *args):
        weight, names = state_dict.get(prefix + "weight"), self.classes
        if self.is_for_training_classes and weight is not None and len(weight) == len(self.classnames):
            state_dict.setdefault(prefix + "classes", names)
        own = {prefix + name: value for name, value in self.state_dict().items()}
        try:
            self.fits = prefix + "classes" in state_dict
            super()._load_from_state_dict(state_dict if self.fits else own, prefix, *args)
        except OtherClasses:
            self.fits = False
            super()._load_from_state_dict(own, prefix, *args)
        if not self.fits:
            print("The head was trained on other classes: only the prompt classifies")


def rows_of(wanted: list[str], learned: list[str]) -> list[int]:
    """Return the rows of the wanted classes. Raises UserError for the first one that is not learned exactly once."""
    if wanted == learned:  # also where two classes share a name
        return list(range(len(wanted)))
    for name in wanted:
        if (count := learned.count(name)) != 1:
            found = f"{count} are" if count else "none is"
            raise OtherClasses(
                f"A linear probe classifies only what it learned: of its {len(learned)} classes, {found} called "
                f"'{name}'. Evaluate it on its own classes"
            )
    return [learned.index(name) for name in wanted]
