"""The methods, one file each. Every module in this folder is imported, and registers its trainers."""

import importlib
import pkgutil

from clip_prompts import legacy_imports

legacy_imports.install()  # before a method is imported

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")
