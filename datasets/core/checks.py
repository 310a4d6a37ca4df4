"""What must hold between the lists of a dataset, whatever they were read from."""

from collections.abc import Sequence

from common.errors import UserError


def check_splits(train: Sequence, val: Sequence, test: Sequence, source: str, unique_names: bool = True) -> None:
    """Check labels and class names of three lists of Datum; ``source`` starts the message.

    Class names and the number of classes come from the training list alone. So its labels must be 0..C-1
    without a gap, one name each, and no other list may know a class that it does not. ``unique_names``: no two
    labels may share a name.
    Raises UserError.
    """
    if not train:
        raise UserError(f"{source} has no training images.")
    if not test:
        raise UserError(f"{source} has no test images.")
    names: dict[int, str] = {}
    for part in (train, val, test):
        for item in part:
            known = names.setdefault(item.label, item.classname)
            if known != item.classname:
                raise UserError(
                    f"{source} gives label {item.label} two class names: '{known}' and '{item.classname}' "
                    f"({item.impath})."
                )
    trained = {item.label for item in train}
    for label in range(max(names) + 1):
        if label in trained:
            continue
        name = f" ('{names[label]}')" if label in names else ""
        raise UserError(
            f"{source} has an empty class: no training image for label {label}{name}. "
            f"Labels must run from 0 without a gap (the largest is {max(names)})."
        )
    if unique_names:
        _check_names(names, source)


def _check_names(names: dict[int, str], source: str) -> None:
    labels: dict[str, int] = {}
    for label, name in names.items():
        if name in labels:
            raise UserError(f"{source} gives the class name '{name}' to labels {labels[name]} and {label}.")
        labels[name] = label
