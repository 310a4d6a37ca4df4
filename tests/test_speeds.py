"""The speeds of ``scripts/test.sh``: a wrong word is one line, and not a run of the whole suite."""

import subprocess

from tests.conftest import ROOT


def test_a_wrong_word_is_one_line_of_usage():
    done = subprocess.run(["bash", ROOT / "scripts/test.sh", "quik"], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "'quik' is not a file. Usage: bash scripts/test.sh [quick]" in done.stderr
