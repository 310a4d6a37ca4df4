"""The package as installed: version of the interface, and quick imports."""

import json
import subprocess
import sys

import dassl

HEAVY = ["sklearn", "tensorboard", "matplotlib", "gdown", "pandas", "scipy"]
LOWER = ["dassl.config", "dassl.utils", "dassl.optim", "dassl.evaluation", "dassl.metrics"]


def test_version_is_that_of_the_interface():
    assert dassl.__version__ == "0.6.3"
    assert dassl.__author__ and dassl.__homepage__


def test_heavy_libraries_are_imported_only_where_used():
    program = (
        f"import importlib, json, sys\nfor name in {LOWER}: importlib.import_module(name)\n"
        f"print(json.dumps([name for name in {HEAVY} if name in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []


def test_submodules_are_attributes():
    import dassl.utils

    for name in ("tools", "logger", "meters", "registry", "torchtools"):
        assert getattr(dassl.utils, name).__name__ == f"dassl.utils.{name}"
    assert dassl.utils.tools.mkdir_if_missing is dassl.utils.mkdir_if_missing
