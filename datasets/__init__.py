"""One file per benchmark. Every module in this folder registers its datasets by being here.

``clip_prompts/data/`` holds what the readers share, its ``folders/`` the layouts of the user's own pictures.
To add a dataset, put a file next to ``oxford_pets.py``.
"""

import importlib
import pkgutil
import traceback

from clip_prompts import legacy_imports
from clip_prompts.common.errors import UserError
from clip_prompts.data.config import add_config

__all__ = ["add_config"]

legacy_imports.install()  # before a reader is imported


def _import_readers() -> None:
    for module in pkgutil.iter_modules(__path__):
        name = f"{__name__}.{module.name}"
        try:
            importlib.import_module(name)
        except UserError:
            raise
        except Exception as error:
            last = traceback.extract_tb(error.__traceback__)[-1]
            raise UserError(
                f"The dataset module {name} cannot be imported: {type(error).__name__}: {error} "
                f"(line {last.lineno} of {last.filename}). Fix the module, or remove it from the folder."
            ) from error


_import_readers()
