"""Small helpers for files, names and seeds that the whole engine and its clients share."""

import difflib
import json
import os
import random
import urllib.error
import warnings

import numpy as np
import torch

from .atomic import atomic_path
from .environment import collect_env_info  # noqa: F401
from .errors import ConfigError, DownloadError, MissingFileError, OutputError, UnknownNameError
from .regular_files import read_text


def mkdir_if_missing(dirname):
    """Create a folder and its parents; an existing one is left as it is.

    Raises MissingFileError for an empty name, OutputError if the folder cannot be created.
    """
    if not os.fspath(dirname):
        raise MissingFileError("Cannot create a folder whose name is empty. Give a path, for example ./output.")
    try:
        os.makedirs(dirname, exist_ok=True)
    except OSError as error:
        reason = error.strerror or error
        raise OutputError(
            f'Cannot create the folder "{dirname}" ({reason}). Choose a folder that you may write to.'
        ) from error


def check_isfile(fpath):
    """Return whether ``fpath`` is a file; warn when it is not."""
    found = os.path.isfile(fpath)
    if not found:
        warnings.warn(f'No file found at "{fpath}"', stacklevel=2)
    return found


def read_json(fpath):
    """Return the content of a JSON file in UTF-8. Raises MissingFileError, or ConfigError if it is not JSON."""
    try:
        return json.loads(read_text(fpath))
    except FileNotFoundError as error:
        raise MissingFileError(f'File is not found at "{fpath}"') from error
    except OSError as error:
        raise ConfigError(f'"{fpath}" cannot be read ({error.strerror or error}). Give a JSON file.') from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f'"{fpath}" is not valid JSON ({error}). Delete it or restore it.') from error


def write_json(obj, fpath):
    """Write ``obj`` as JSON (indent 4), atomically; the parent folder is created."""
    parent = os.path.dirname(fpath)
    if parent:
        mkdir_if_missing(parent)
    with atomic_path(fpath) as temporary, open(temporary, "w", encoding="utf-8") as file:
        json.dump(obj, file, indent=4, separators=(",", ": "))


def set_random_seed(seed):
    """Seed Python's, NumPy's and torch's global generators, those of all CUDA devices included.

    Raises ConfigError unless the seed is from 0 to 2**32 - 1, the range that NumPy takes.
    """
    if not 0 <= seed < 2**32:
        raise ConfigError(f"SEED must be between 0 and {2**32 - 1}, but got {seed}.")
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    torch.cuda.manual_seed_all(seed)


def download_url(url, dst):
    """Fetch ``url`` into the file ``dst`` with a progress bar; a partial file never stays. Raises DownloadError."""
    print(f'* url="{url}"')
    print(f'* destination="{dst}"')
    parent = os.path.dirname(dst)
    if parent:
        mkdir_if_missing(parent)
    try:
        torch.hub.download_url_to_file(url, os.fspath(dst), progress=True)
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        reason = getattr(error, "reason", None) or error
        raise DownloadError(
            f'Cannot download "{url}" ({reason}). Download it in another way, and put it at "{dst}".'
        ) from error


def listdir_nohidden(path, sort=False):
    """Return the names in a folder that do not start with a dot, in the file system's order unless ``sort``.

    Raises MissingFileError: there is no such folder.
    """
    try:
        names = [name for name in os.listdir(path) if not name.startswith(".")]
    except (FileNotFoundError, NotADirectoryError) as error:
        raise MissingFileError(f'No folder at "{path}". Check DATASET.ROOT.') from error
    return sorted(names) if sort else names


def get_most_similar_str_to_a_from_b(a, b):
    """Return the string of the list ``b`` closest to ``a``; ties go to the last, an empty list gives None."""
    return max(reversed(list(b)), key=lambda name: difflib.SequenceMatcher(None, a, name).ratio(), default=None)


def check_availability(requested, available):
    """Raise UnknownNameError, which suggests the closest, unless ``requested`` is a string in ``available``."""
    if requested in available:
        return
    closest = get_most_similar_str_to_a_from_b(requested, available)
    raise UnknownNameError(
        f"The requested one is expected to belong to {available}, but got [{requested}] (do you mean [{closest}]?)"
    )


def tolist_if_not(x):
    """Return ``x`` if it is a list, else ``[x]``; a tuple counts as one element."""
    return x if isinstance(x, list) else [x]
