"""Pictures of a dataset and their classes, from folders of classes and from lists of paths."""

import os
import re
from typing import NamedTuple

from dassl.utils import ConfigError, MissingFileError, listdir_nohidden
from dassl.utils.regular_files import read_text

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".ppm", ".webp", ".tif", ".tiff", ".gif")


class Picture(NamedTuple):
    """One picture. ``key``: its class, a label from 0 or the name of its folder; ``name``: the class in words."""

    path: str
    key: int | str
    name: str


def plain(name):
    """Return a folder's name in one spelling: "Real World" and "real_world" are the same."""
    return re.sub(r"[\s_-]+", "_", name).lower()


def find_inside(folder, name):
    """Return the folder ``name`` in ``folder``, in whatever spelling it is there; the expected path if it is not."""
    path = os.path.join(folder, name)
    if not os.path.isdir(path) and os.path.isdir(folder):
        for found in listdir_nohidden(folder, sort=True):
            if plain(found) == plain(name):
                return os.path.join(folder, found)
    return path


def image_names(folder):
    """Return the names of the images in a folder, sorted."""
    return [name for name in listdir_nohidden(folder, sort=True) if name.lower().endswith(SUFFIXES)]


def read_class_folders(folder, class_name=plain):
    """Return the pictures of ``folder/<class>/``: classes sorted by name, then pictures.

    Args:
        folder (str): holds a folder for each class.
        class_name (callable): from a folder's name to the class in words.

    Raises:
        MissingFileError: there is no such folder, or no class folder in it.
        ConfigError: a class folder without pictures.
    """
    classes = [name for name in listdir_nohidden(folder, sort=True) if os.path.isdir(os.path.join(folder, name))]
    if not classes:
        raise MissingFileError(f'"{folder}" holds no class folders. Unpack the archive again.')
    found = []
    for key in classes:
        names = image_names(os.path.join(folder, key))
        if not names:
            raise ConfigError(f'The class folder "{os.path.join(folder, key)}" holds no picture. Fill or remove it.')
        found += [Picture(os.path.join(folder, key, name), key, class_name(key)) for name in names]
    return found


def read_list(path, image_dir, first_label=0):
    """Return the pictures that the lines ``relative/path label`` of a file name; a class is called as its folder.

    Args:
        path (str): the file.
        image_dir (str): what its paths start from.
        first_label (int): number of the first class in the file.

    Raises:
        MissingFileError: there is no such file.
        ConfigError: a line of another form, or a path that leads outside of ``image_dir``.
    """
    try:
        lines = read_text(path).splitlines()
    except FileNotFoundError as error:
        raise MissingFileError(f'The list "{path}" does not exist. Get it with the dataset.') from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f'The list "{path}" cannot be read ({error}). Get it again.') from error
    found = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        where = f'The list "{path}", line {number},'
        parts = line.rsplit(maxsplit=1)
        if len(parts) != 2 or not parts[1].isascii() or not parts[1].isdecimal() or int(parts[1]) < first_label:
            raise ConfigError(f"{where} is not a path and a label from {first_label}: '{line[:80]}'.")
        inner = parts[0].strip().replace("\\", "/")
        if leads_outside(inner):
            raise ConfigError(f"{where} has a path outside of the image folder: '{inner[:80]}'.")
        folders = inner.split("/")[:-1]
        found.append(
            Picture(
                os.path.join(image_dir, *inner.split("/")), int(parts[1]) - first_label, plain((folders or [""])[-1])
            )
        )
    if not found:
        raise ConfigError(f'The list "{path}" is empty. Get it again.')
    return found


def leads_outside(path):
    """Return whether a path that should be relative to a folder (with ``/``) is absolute or climbs out of it."""
    return os.path.isabs(path) or path.startswith("/") or path[1:2] == ":" or ".." in path.split("/")


def find_dataset(name, root, inner, where_to_get):
    """Return the dataset's folder ``root/inner``.

    Raises:
        MissingFileError: it does not exist; the line says what is expected and where it comes from.
    """
    folder = os.path.join(os.path.abspath(os.path.expanduser(root)), inner)
    if not os.path.isdir(folder):
        hint = "" if root else " (DATASET.ROOT is empty)"
        raise MissingFileError(f'{name} expects the folder "{folder}", which does not exist{hint}. {where_to_get}')
    return folder
