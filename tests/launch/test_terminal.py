"""The short view of a run on a terminal. The log file and a pipe get the full text."""

import io
import re
import sys

import pytest

from clip_prompts.run.console import Console
from tests.terminal import Terminal


@pytest.fixture
def on_terminal(run, monkeypatch):
    """``on_terminal(...)`` calls ``run`` with stdout and stderr on a terminal, and gives the lines on it."""

    def call(*args, columns=80, **settings):
        terminal = Terminal(columns)
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", terminal.stream)
            patch.setattr(sys, "stderr", terminal.stream)
            call.status = run(*args, **settings)
        call.out = run.out
        return terminal.lines()

    return call


def rows(lines):
    return [line for line in lines if re.match(r" *\d+/\d+ ", line)]


def without_times(text, out):
    text = re.sub(r"(time|data) \d+\.\d+ \(\d+\.\d+\)|(eta|Elapsed:) [\d:]+", r"\1\2", text.replace(str(out), "OUT"))
    return re.sub(r"Few-shot selection (saved to|read from)", "Few-shot selection of", text)


@pytest.mark.parametrize("columns", [80, 120])
def test_a_summary_a_row_per_epoch_and_the_result(columns, on_terminal, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lines = on_terminal("CoCoOp", "--output-dir", "output/first", OPTIM__MAX_EPOCH=3, columns=columns)
    assert on_terminal.status == 0
    head = next(i for i, line in enumerate(lines) if line.split()[:3] == ["epoch", "loss", "acc"])
    assert head <= 20, "\n".join(lines)
    assert lines[0].startswith("method    CoCoOp: ")
    shown = " ".join(" ".join(lines[:head]).split())
    facts = "OxfordPets: 10 classes, 2 shots; 20 training", "OPTIM.MAX_EPOCH 3", "ctx (4 x ", "weights ", "tail -f"
    assert all(fact in shown for fact in facts), shown
    assert [line.split()[0] for line in lines[head + 1 : head + 4]] == ["1/3", "2/3", "3/3"] and len(rows(lines)) == 3
    assert all(len(line) == len(lines[head]) for line in rows(lines)) and len(lines[head]) < columns
    assert lines[head + 4] == "" and lines[head + 5].split() == ["metric", "value", "unit"]
    assert any(re.fullmatch(r"accuracy +\d+\.\d\d  %", line) for line in lines)


def test_log_and_pipe_have_the_full_text(on_terminal, run):
    assert run(OPTIM__MAX_EPOCH=2) == 0
    piped, log, out = run.stdout, (run.out / "log.txt").read_text(), run.out
    assert piped == f"Setting fixed seed: 1\n{log}"
    assert "** Config **" in log and "epoch [2/2] batch [1/1] time" in log and "* accuracy: " in log
    lines = on_terminal(OPTIM__MAX_EPOCH=2, out="other")
    assert not any("batch [" in line or "** Config **" in line for line in lines)
    assert without_times((run.out / "log.txt").read_text(), run.out) == without_times(log, out)


def test_verbose_prints_the_full_text_on_a_terminal(on_terminal):
    lines = on_terminal("CoOp", "--verbose")
    assert "** Config **" in lines and any(line.startswith("epoch [1/1] batch [1/1]") for line in lines)


def test_an_epoch_shows_its_validation(on_terminal):
    lines = on_terminal(OPTIM__MAX_EPOCH=2, TEST__FINAL_MODEL="best_val")
    assert on_terminal.status == 0
    head = next(line.split() for line in lines if " img/s" in line)
    found = [dict(zip([name for name in head if name != "%"], row.split(), strict=True)) for row in rows(lines)]
    assert [row["epoch"] for row in found] == ["1/2", "2/2"]
    assert all(0 <= float(row["val"]) <= 100 for row in found)


def test_an_evaluation_shows_what_it_loads_and_the_result(on_terminal):
    on_terminal(out="trained")
    lines = on_terminal("CoOp", "--eval-only", "--model-dir", str(on_terminal.out), out="tested")
    assert on_terminal.status == 0 and not rows(lines)
    assert "Loading weights to prompt_learner" in " ".join(lines) and any(re.match("accuracy  ", x) for x in lines)


def test_an_error_is_one_line_below_the_row(on_terminal):
    lines = on_terminal(OPTIM__MAX_EPOCH=3, OPTIM__LR=1e30, OPTIM__WARMUP_EPOCH=-1)
    assert on_terminal.status == 2
    (error,) = (i for i, line in enumerate(lines) if line.startswith("Error: "))
    assert rows(lines) and lines.index(rows(lines)[-1]) < error


def test_notes_and_prints_of_others_are_shown_details_are_not():
    shown = io.StringIO()
    console = Console(shown)
    for text in ("Note: no class has 16 images\n", "Warning: a", " thing\n", "epoch [1/2] batch [1/1]\n", "x = 1\n"):
        console.write(text)
    with console.hidden():
        console.write("** Config **\n")
    assert shown.getvalue() == "Note: no class has 16 images\nWarning: a thing\nx = 1\n"
