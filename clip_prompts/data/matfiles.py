"""MATLAB files, read with clear errors."""

import os
from numbers import Real

from clip_prompts.common.errors import UserError


def read_mat(path: str, key: str, hint: str = "") -> list:
    """Returns the values of the variable ``key`` of a ``.mat`` file; a record is a dict. Raises UserError."""
    import numpy as np
    from scipy.io import loadmat  # here, because few runs need it

    if not os.path.isfile(path):
        raise UserError(f"{path} does not exist. {hint}".rstrip())
    try:
        content = loadmat(path, simplify_cells=True)
    except Exception as error:  # scipy raises many kinds for a file that is cut off or no .mat file
        reason = " ".join(str(error).split())
        raise UserError(f"{path} cannot be read as a .mat file: {reason}. {hint}".rstrip()) from error
    if key not in content:
        known = ", ".join(name for name in content if not name.startswith("__")) or "nothing"
        raise UserError(f"{path} has no variable '{key}', it holds: {known}. {hint}".rstrip())
    return list(np.asarray(content[key], dtype=object).ravel())


def mat_text(value, where: str) -> str:
    """Returns the text in a cell or field; ``where`` starts the message. Raises UserError."""
    if not isinstance(value, str) or not value.strip():
        raise UserError(f"{where} is {_shown(value)}, not one text.")
    return value


def mat_number(value, where: str) -> int:
    """Returns the whole number in a cell or field; ``where`` starts the message. Raises UserError."""
    if isinstance(value, bool) or not isinstance(value, Real) or not float(value).is_integer():
        raise UserError(f"{where} is {_shown(value)}, not one whole number.")
    return int(float(value))


def _shown(value) -> str:
    return " ".join(repr(value).split())[:80]
