"""One file per benchmark. Every module in this folder registers its datasets by being here.

``datasets/core/`` holds what the readers share. To add a dataset, put a file beside ``oxford_pets.py``.
"""

import importlib
import pkgutil
import traceback

from common.errors import UserError


def add_config(cfg) -> None:
    """Add the config keys that the datasets read, with their defaults. Call it before merging files.

    ``DATASET.SUBSAMPLE_CLASSES``: ``all`` classes, the ``base`` (first) or the ``new`` (second) half.
    """
    if "SUBSAMPLE_CLASSES" not in cfg.DATASET:
        cfg.DATASET.SUBSAMPLE_CLASSES = "all"


def _import_readers() -> None:
    for module in pkgutil.iter_modules(__path__):
        if module.ispkg:  # core, rendering: libraries, not readers
            continue
        name = f"{__name__}.{module.name}"
        try:
            importlib.import_module(name)
        except UserError:
            raise
        except Exception as error:
            last = traceback.extract_tb(error.__traceback__)[-1]
            raise UserError(
                f"The dataset module {name} cannot be imported: {type(error).__name__}: {error} "
                f"(line {last.lineno} of {last.filename}). Mend it or take it out of the folder."
            ) from error


_import_readers()
