"""The option ``--dassl`` of ``engine/conformance``: another engine is checked instead of the one in this repository."""

import subprocess
import sys

import pytest

from tests.conftest import ROOT

pytestmark = pytest.mark.slow


def check(folder, *names):
    tests = [str(ROOT / "engine/conformance" / name) for name in names]
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *tests, "--dassl", str(folder)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def test_another_engine_is_checked_name_by_name(tmp_path):
    package = tmp_path / "dassl"
    (package / "config").mkdir(parents=True)
    (package / "__init__.py").write_text('__version__ = "0.5.0"\n')
    (package / "config/__init__.py").write_text("def get_cfg_default():\n    return {'VERSION': 1}\n")
    (package / "metrics").mkdir()
    (package / "metrics/__init__.py").write_text("import a_package_that_nobody_has\n")
    done = check(tmp_path, "test_names.py")
    assert done.returncode == 1
    assert "assert '0.5.0' == '0.6.3'" in done.stdout
    assert "ModuleNotFoundError: No module named 'a_package_that_nobody_has'" in done.stdout
    assert "test_config_key[VERSION-1]" not in done.stdout
    assert "FAILED engine/conformance/test_names.py::test_config_key[SEED--1]" in done.stdout


def test_a_folder_without_dassl_is_one_line(tmp_path):
    done = check(tmp_path, "test_names.py")
    assert done.returncode == 4
    assert f"there is no folder 'dassl' in '{tmp_path}'" in done.stderr and done.stderr.count("\n") <= 2
