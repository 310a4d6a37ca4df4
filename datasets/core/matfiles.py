"""Reading MATLAB files, with errors that say what is wrong."""

import os

from common.errors import UserError


def read_mat(path: str, key: str, remedy: str = ""):
    """The variable ``key`` of a ``.mat`` file as a flat numpy array. Raises UserError."""
    from scipy.io import loadmat  # here, because few runs need it

    if not os.path.isfile(path):
        raise UserError(f"{path} does not exist. {remedy}".rstrip())
    try:
        content = loadmat(path)
    except Exception as error:  # scipy raises many kinds for a file that is cut off or no .mat file
        reason = " ".join(str(error).split())
        raise UserError(f"{path} cannot be read as a .mat file: {reason}. {remedy}".rstrip()) from error
    if key not in content:
        known = ", ".join(name for name in content if not name.startswith("__")) or "nothing"
        raise UserError(f"{path} has no variable '{key}', it holds: {known}. {remedy}".rstrip())
    return content[key].ravel()
