"""MATLAB files, read with clear errors."""

import os
from numbers import Real

from clip_prompts.common.errors import UserError


def read_mat(path: str, key: str, hint: str = ""):
    """Returns the variable ``key`` of a ``.mat`` file as a flat numpy array. Raises UserError."""
    import numpy as np
    from scipy.io import loadmat  # here, because few runs need it

    if not os.path.isfile(path):
        raise UserError(f"{path} does not exist. {hint}".rstrip())
    try:
        content = loadmat(path)
    except Exception as error:  # scipy raises many kinds for a file that is cut off or no .mat file
        reason = " ".join(str(error).split())
        raise UserError(f"{path} cannot be read as a .mat file: {reason}. {hint}".rstrip()) from error
    if key not in content:
        known = ", ".join(name for name in content if not name.startswith("__")) or "nothing"
        raise UserError(f"{path} has no variable '{key}', it holds: {known}. {hint}".rstrip())
    return np.asarray(content[key]).ravel()  # a sparse matrix, which has no such method, is then a single value


def mat_text(value, where: str) -> str:
    """Returns the one text in a cell or field; ``where`` starts the message. Raises UserError."""
    text = _only(value)
    if not isinstance(text, str) or not text.strip():
        raise UserError(f"{where} is {_shown(value)}, not one text.")
    return text


def mat_number(value, where: str) -> int:
    """Returns the one whole number in a cell or field; ``where`` starts the message. Raises UserError."""
    number = _only(value)
    if isinstance(number, bool) or not isinstance(number, Real) or not float(number).is_integer():
        raise UserError(f"{where} is {_shown(value)}, not one whole number.")
    return int(float(number))


def _only(value):
    """Returns the element of a numpy array of one element; None for any other size."""
    while hasattr(value, "item") and hasattr(value, "size"):
        if value.size != 1:
            return None
        inner = value.item()
        if inner is value:
            return None
        value = inner
    return value


def _shown(value) -> str:
    return " ".join(repr(value).split())[:80]
