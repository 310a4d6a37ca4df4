"""Upstream's scripts, run: its folders, its log lines, and the summary of its log parser on both.

Learned on the embedded digits; the transfers are tested on some small pictures. Half a minute, mostly imports.
"""

import json
import os
import re
import subprocess
import sys

import pytest

from tests.conftest import ROOT
from tests.tools import sweeps
from tools import parse_test_res

pytestmark = pytest.mark.slow

SHORT = ("--set", "OPTIM.MAX_EPOCH", "1")
NCTX = "nctx16_cscFalse_ctpend"
STEP = (
    r"epoch \[1/1\] batch \[\d+/\d+\] time [\d.]+ \([\d.]+\) data [\d.]+ \([\d.]+\) loss [\d.]+ \([\d.]+\) "
    r"(?:acc [\d.]+ \([\d.]+\) )?lr \d\.\d{4}e[+-]\d\d eta \d+:\d\d:\d\d"
)
RESULT = (
    r"=> result", r"\* total: [\d,]+", r"\* correct: [\d,]+", r"\* accuracy: [\d.]+%", r"\* error: [\d.]+%",
    r"\* macro_f1: [\d.]+%",
)  # fmt: skip
LOADED = (r"Loading trainer: .*", r'Loading weights to prompt_learner from ".*model\.pth\.tar-1" \(epoch = 1\)')
EVALUATED = (r"Evaluate on the \*test\* set", *RESULT)
LEARNED = (
    r"Loading trainer: .*", STEP, r"Checkpoint saved to .*", r"Finish training", r"Deploy the last-epoch model",
    *EVALUATED, r"Elapsed: \d+:\d\d:\d\d",
)  # fmt: skip


@pytest.fixture
def script(tmp_path):
    """``script(NAME, *ARGUMENTS, **ENVIRONMENT)`` runs one of them into ``tmp_path``."""

    def run(name, *argv, **env):
        given = {"OUTPUT": str(tmp_path), "JOBS": "1", "OMP_NUM_THREADS": "1", "VIRTUAL_ENV": sys.prefix, **env}
        given["PATH"] = f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}"
        command = ["bash", str(ROOT / f"scripts/{name}.sh"), *argv]
        done = subprocess.run(command, env={**os.environ, **given}, cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]

    return run


@pytest.fixture
def pictures(tmp_path_factory):
    """A dataset of the user's: its YAML."""
    return sweeps.prepare(tmp_path_factory.mktemp("pictures"))[0]


def assert_lines(log, *patterns):
    """Each pattern is a whole line of the log, in this order."""
    rest = iter(log.read_text().splitlines())
    for pattern in patterns:
        assert any(re.fullmatch(pattern, line.strip()) for line in rest), f"{log} lacks, at its place: {pattern}"


def assert_summary(folder, capsys, *options):
    """Upstream's parser on the folder of the seeds gives the accuracies of the records, as logs round them."""
    seeds = sorted(f.name for f in folder.iterdir())
    found = [json.loads((folder / s / "results.json").read_text())[-1]["metrics"]["accuracy"] for s in seeds]
    shown = [round(a, 1) for a in found]
    capsys.readouterr()
    assert parse_test_res.main([str(folder), *options]) == 0
    mean = sum(shown) / len(shown)
    std = (sum((a - mean) ** 2 for a in shown) / len(shown)) ** 0.5
    assert capsys.readouterr().out.splitlines() == [
        f"Parsing files in {folder}",
        *(f"file: {folder}/{s}/log.txt. accuracy: {a:.2f}%. " for s, a in zip(seeds, shown, strict=True)),
        "===",
        f"Summary of directory: {folder}",
        f"* accuracy: {mean:.2f}% +- {std:.2f}%",
        "===",
    ]


def logs(output):
    return {str(file.parent.relative_to(output)) for file in output.rglob("log.txt")}


def test_coop(script, pictures, tmp_path, capsys):
    script("coop/main", "digits", "tiny", "end", "16", "16", "False", *SHORT, SEEDS="1 2")
    learned = tmp_path / f"digits/CoOp/tiny_16shots/{NCTX}"
    assert_lines(learned / "seed1/log.txt", *LEARNED)
    assert_summary(learned, capsys)

    script("coop/eval", pictures, "tiny", *SHORT, SEEDS="1 2", SOURCE="digits")
    tested = tmp_path / f"evaluation/digits/CoOp/tiny_16shots/{NCTX}/mine"
    assert_lines(tested / "seed2/log.txt", *LOADED, *EVALUATED)
    assert "Finish training" not in (tested / "seed2/log.txt").read_text()
    assert_summary(tested, capsys, "--test-log")

    script("coop/zeroshot", "digits", "tiny")
    assert_lines(tmp_path / "ZeroshotCLIP/tiny/digits/log.txt", "Loading trainer: ZeroshotCLIP", *EVALUATED)
    assert_summary(tmp_path / "ZeroshotCLIP/tiny", capsys, "--test-log")
    assert len(logs(tmp_path)) == 5


def test_cocoop_base_to_new(script, tmp_path, capsys):
    environment = {"CFG": "tiny", "SHOTS": "1"}
    settings = (*SHORT, "--variant", "")  # upstream's folder, whatever is set
    script("cocoop/base2new_train", "digits", "1", *settings, **environment)
    script("cocoop/base2new_test", "digits", "1", *settings, **environment)
    train, test = (tmp_path / f"base2new/{part}/digits/shots_1/CoCoOp/tiny" for part in ("train_base", "test_new"))
    assert_lines(train / "seed1/log.txt", *LEARNED)
    assert_lines(test / "seed1/log.txt", *LOADED, *EVALUATED)
    assert_summary(train, capsys)
    assert_summary(test, capsys, "--test-log")
    assert len(logs(tmp_path)) == 2


def test_cocoop_transfer(script, pictures, tmp_path, capsys):
    environment = {"CFG": "tiny", "SOURCE": "digits"}
    settings = (*SHORT, "--variant", "")
    script("cocoop/xd_train", "1", *settings, **environment)
    script("cocoop/xd_test", pictures, "1", *settings, **environment)
    assert_lines(tmp_path / "digits/CoCoOp/tiny_16shots/seed1/log.txt", *LEARNED)
    tested = tmp_path / "evaluation/digits/CoCoOp/tiny_16shots/mine"
    assert_lines(tested / "seed1/log.txt", *LOADED, *EVALUATED)
    assert_summary(tmp_path / "digits/CoCoOp/tiny_16shots", capsys)
    assert_summary(tested, capsys, "--test-log")
    assert len(logs(tmp_path)) == 2
