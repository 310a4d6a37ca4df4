"""The package as installed: version of the interface, and quick imports."""

import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.integration

HEAVY = ["sklearn", "tensorboard", "matplotlib", "gdown", "pandas", "scipy"]
LOWER = ["dassl.config", "dassl.utils", "dassl.optim", "dassl.evaluation", "dassl.metrics"]


def test_heavy_libraries_are_imported_only_where_used():
    program = (
        f"import importlib, json, sys\nfor name in {LOWER}: importlib.import_module(name)\n"
        f"print(json.dumps([name for name in {HEAVY} if name in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []
