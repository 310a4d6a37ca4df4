"""The conformance suite on this engine: nothing fails, and every name of its tables is checked.

One run in a process of its own, since the suite enters datasets and trainers into the registries; about 20 s.
"""

import json
import re
import subprocess
import sys

import pytest

from tests.conftest import ROOT

SUITE = ROOT / "engine/conformance"


def suite(*arguments, cwd=ROOT, module=False):
    command = [sys.executable, *(["-m", "conformance"] if module else [str(SUITE)]), *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """(what the whole suite printed, its JSON file)"""
    path = tmp_path_factory.mktemp("conformance") / "found.json"
    done = suite("--json", path)
    assert done.returncode in (0, 1), done.stderr
    return done, json.loads(path.read_text())


def table_lines(name):
    lines = (SUITE / "facts" / f"{name}.txt").read_text().splitlines()
    return [line for line in lines if line.strip() and not line.startswith(("# ", "["))]


def test_no_name_fails(whole):
    done, found = whole
    failed = {
        name["name"]: [f["detail"] for f in name["findings"] if f["status"] == "failed"]
        for name in found["names"]
        if name["status"] == "failed"
    }
    assert not failed
    assert done.returncode == 0


def test_every_name_of_the_tables_is_checked(whole):
    done, found = whole
    in_tables = sum(len(table_lines(name)) for name in ("names", "config", "registered", "output"))
    assert re.search(rf"^names: {in_tables}, passed: \d+, chosen differences: \d+, failed: 0 ", done.stdout, re.M)
    assert found["summary"]["names"] == in_tables == len(found["names"]) > 790
    assert all(name["findings"] for name in found["names"])


def test_every_difference_has_one_reason_and_is_seen(whole):
    _, found = whole
    reasons = {line.split(maxsplit=1)[1] for line in table_lines("differences")}
    seen = {f["detail"] for name in found["names"] for f in name["findings"] if f["status"] == "differs (chosen)"}
    assert seen == reasons


def test_the_engine_beside_the_suite_is_not_checked_instead_of_another(tmp_path):
    """A package whose import fails is reported name by name, in whichever way the suite is started."""
    package = tmp_path / "dassl"
    (package / "utils").mkdir(parents=True)
    (package / "__init__.py").write_text('__version__ = "0.5.0"\n')
    (package / "utils/__init__.py").write_text("def tolist_if_not(x):\n    return list(x)\n")
    (package / "metrics").mkdir()
    (package / "metrics/__init__.py").write_text("import a_package_that_nobody_has\n")
    for module, cwd in ((False, ROOT), (True, SUITE.parent)):
        done = suite("--dassl", tmp_path, "--only", "dassl.", cwd=cwd, module=module)
        assert done.returncode == 1 and not done.stderr
        assert f"Checking dassl 0.5.0 in {package}" in done.stdout
        assert "expected '0.6.3', found '0.5.0'" in done.stdout
        assert "FAIL dassl.metrics.compute_accuracy" in done.stdout
        assert "ModuleNotFoundError: No module named 'a_package_that_nobody_has'" in done.stdout
        assert re.search(r"FAIL dassl.utils.tolist_if_not .*\n.*\n +failed: AssertionError", done.stdout)


def test_help_teaches_and_wrong_usage_is_one_line():
    told = suite("--help")
    assert told.returncode == 0 and "python -m conformance --only dassl.utils" in told.stdout
    for arguments, named in (
        (["--only", "dassl.utilz"], "'dassl.utilz'"),
        (["--dassl", "tests/engine"], "'tests/engine'"),
        (["--json", "no/such/folder.json"], "'no/such/folder.json'"),
    ):
        wrong = suite(*arguments)
        assert wrong.returncode == 2 and wrong.stderr.count("\n") == 1 and named in wrong.stderr
    optimised = subprocess.run([sys.executable, "-O", str(SUITE)], capture_output=True, text=True)
    assert optimised.returncode == 2 and "python -O" in optimised.stderr
    listed = suite("--differences")
    assert listed.returncode == 0 and "resumes-latest: " in listed.stdout
