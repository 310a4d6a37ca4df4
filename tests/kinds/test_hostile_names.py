"""Names from files are one line that acts nowhere: on a terminal, in a log, LaTeX, Markdown, CSV or HTML."""

import csv
import io
import os
import re

import pytest
import torch
from dassl.config import get_cfg_default
from dassl.evaluation import Classification
from dassl.utils import setup_logger
from PIL import Image

from clip_prompts.common.text import csv_cell, markdown, one_line, printable, shown
from clip_prompts.records.metrics import PredictionLog
from clip_prompts.records.predictions import write_predictions
from clip_prompts.report.reading import ReportError, collect
from tests.kinds.limits import is_one_line, limited
from tests.tools.records import record, write
from tools import report

pytestmark = pytest.mark.integration

NAMES = {
    "escape": "\x1b]0;pwn\x07\x1b[2J cat",
    "C1": "a\x9b2Jb",
    "bidi": "a\u202eb\u2066c",
    "zero width": "a\u200bb\ufeffc",
    "tags": "a\U000e0041b",
    "newline": "dog\r\n=> result\n* accuracy: 100.0%",
    "line separator": "a\u2028b\u2029c\x85d",
    "surrogate": "\ud800x",
    "NUL": "a\0b",
    "form feed": "a\x0cb\x0bc",
    "TeX": "t\n\\input{/etc/hostname}",
    "TeX, write18": "y\n\\immediate\\write18{touch x}",
    "TeX, characters": "50% & $x_1^2$ #{~}\\",
    "own mark": "a\ue000b\ue001c",
    "script": "<script>alert(1)</script>",
    "link": "[a](javascript:alert(1))",
    "image": "![a](http://x/y.png)",
    "code": "`a` *b* _c_ | d",
    "entity": "&lt;b&gt; &#60;",
    "formula": "=cmd|'/C calc'!A0",
    "formula, at": "@SUM(1)",
    "formula, plus": "+1+1",
    "formula, minus": "-1+1",
    "formula, tab": "\t=1+1",
    "formula, return": "\r=1+1",
    "formula, space": " =1+1",
}
# All of Unicode's controls, marks of direction, surrogates and separators, but the joiners that some scripts need.
ACTS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff\U000e0041]"
)


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_a_printable_name_is_one_line_that_can_be_written(name):
    for made in (printable(name), one_line(name), markdown(name), csv_cell(name), shown(name)):
        assert not ACTS.search(made) and "\n" not in made and "\t" not in made
        made.encode()


@pytest.mark.parametrize("text", ["a cat", "Katze, grün", "café", "猫", "می‌خواهم", "dog's bed", "a-b_c (d)", "3.5"])
def test_plain_names_stay_as_they_are(text):
    assert printable(text) == one_line(text) == text
    assert csv_cell(text) == text and markdown(text) == text


def test_numbers_in_csv_stay_numbers():
    for value in (-1.5, 3, None, "-1.5", "+2", "-3e-5", "1", ".5"):
        assert csv_cell(value) == value


def reported(tmp_path, form, **fields):
    write(tmp_path / "runs/a", record(60.0) | fields)
    write(tmp_path / "runs/b", record(50.0, seed=2) | fields)
    out = tmp_path / "table"
    with limited():
        status = report.main([str(tmp_path / "runs"), "--format", form, "--output", str(out)])
    assert status == 0
    return out.read_text(encoding="utf-8")


FIELDS = ("trainer", "dataset", "backbone", "protocol", "selection", "precision")


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
@pytest.mark.parametrize("field", FIELDS)
def test_reports_escape_names(name, field, tmp_path):
    folder = tmp_path
    texts = {form: reported(folder / form, form, **{field: name}) for form in ("terminal", "markdown", "latex", "csv")}
    for text in texts.values():
        assert not ACTS.search(text)
    latex = [line for line in texts["latex"].splitlines() if not line.startswith("%")]
    assert all(re.match(r"\\(begin|end|toprule|midrule|bottomrule|hline)|.*\\\\$", line) for line in latex)
    assert not any(re.search(r"(?<!\\textbackslash)\\(input|immediate|write)", line) for line in latex)
    lines = texts["markdown"].splitlines()
    assert "<script" not in texts["markdown"] and not re.search(r"(?<!\\)\]\(", texts["markdown"])
    widths = {len(re.findall(r"(?<!\\)\|", line)) for line in lines if line.startswith("|")}
    assert len(widths) == 1
    for row in csv.reader(io.StringIO(texts["csv"])):
        assert not any(re.match(r"\s*[=+@-]", cell) and not re.fullmatch(r"[+-]?[\d.]+", cell) for cell in row)


def test_settings_and_sources_are_escaped_too(tmp_path):
    name = NAMES["escape"] + NAMES["TeX"]
    more = {"source": {"dataset": name, "classes": "all", "config": name}, "config": name, "protocol": "cross_dataset"}
    for i, setting in enumerate((name, "other")):
        write(tmp_path / f"runs/{i}", record(60.0, settings={"TRAINER.COOP.CTX_INIT": setting}, **more))
    for form in report.FORMATS:
        assert not report.main([str(tmp_path / "runs"), "--format", form, "--output", str(tmp_path / form)])
        text = (tmp_path / form).read_text()
        assert not ACTS.search(text) and "\n\\input" not in text


def test_the_page_holds_no_control_characters(tmp_path):
    name = NAMES["escape"] + NAMES["bidi"] + NAMES["script"]
    classes = [{"label": 0, "name": name, "total": 3, "correct": 2}]
    write(tmp_path / "runs/a", record(60.0, trainer=name, per_class=classes, versions={"code": name}))
    assert not report.main([str(tmp_path / "runs"), "--html", str(tmp_path / "page.html")])
    page = (tmp_path / "page.html").read_text()
    assert not ACTS.search(page) and "<script>alert" not in page


@pytest.mark.parametrize(
    "field,value",
    [
        ("shots", 10**30), ("seed", True), ("seed", 1.5), ("trainer", "x" * 50_000), ("trainer", ["CoOp"]),
        ("dataset", {"a": 1}), ("versions", "x"), ("time", 3), ("epoch", "5"), ("learned", [1]), ("settings", []),
        ("hashes", {"test": 3}), ("metrics", {"accuracy": "60"}), ("metrics", {"accuracy": 10**6}), ("source", "x"),
        ("loaded", {"load_epoch": "x"}), ("classes", "\x1b[2J"),
    ],
)  # fmt: skip
def test_fields_of_records_have_types_and_ranges(field, value, tmp_path):
    write(tmp_path / "a", record(60.0) | {field: value})
    with limited(), pytest.raises(ReportError) as caught:
        collect([tmp_path])
    assert is_one_line(str(caught.value)) and field in str(caught.value) and len(str(caught.value)) < 500


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_results_per_class_are_a_line_per_class(name, capsys, tmp_path):
    import torch

    cfg = get_cfg_default()
    cfg.TEST.PER_CLASS_RESULT = True
    evaluator = Classification(cfg, {0: name, 1: "other"})
    evaluator.process(torch.eye(2), torch.arange(2))
    evaluator.evaluate()
    printed = capsys.readouterr().out
    assert not ACTS.search(printed) and len([line for line in printed.splitlines() if line.startswith("* class")]) == 2
    assert printed.count("=> result") == 1 + ("=> result" in name) and printed.count("\n=> result") == 0


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_what_is_printed_reaches_terminal_and_log_escaped(name, capsys, tmp_path):
    """The last guard, for programs of others that print a name as it is."""
    import sys

    console = sys.stdout
    try:
        setup_logger(str(tmp_path))
        print(f"Class {name}")
        sys.stdout.close()
    finally:
        sys.stdout = console
    for text in (capsys.readouterr().out, (tmp_path / "log.txt").read_text(encoding="utf-8")):
        assert not ACTS.search(text.replace("\r", ""))


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_predictions_are_no_formulas(name, tmp_path):
    log = PredictionLog()
    log.add(torch.tensor([[0.0, 1.0]]), torch.tensor([0]), [str(tmp_path / "=a.png")])
    write_predictions(str(tmp_path), str(tmp_path), log, {0: name, 1: "cat"})
    with open(tmp_path / "predictions.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert len(rows) == 2 and rows[1][0] == "'=a.png" and rows[1][1] == csv_cell(name)
    assert not ACTS.search("".join(rows[1])) and not re.match(r"\s*[=+@-]", rows[1][1])


def pictures(folder, *names):
    for i, name in enumerate(names):
        (folder / name).mkdir(parents=True)
        for k in range(4):
            Image.new("RGB", (32, 32), (60 * i, 40 * k, 90)).save(folder / name / f"{k}.png")


def zero_shot(run, root):
    with limited(40, 3 * 2**30):
        run("ZeroshotCLIP", "--root", str(root), dataset="image_folder", TEST__PER_CLASS_RESULT=True)
    logs = [file.read_text() for file in run.out.glob("log.txt*")]
    bars = re.sub(r"\r +\d|\r100%", "", run.err)
    for text in (run.stdout, bars, *logs):
        assert not ACTS.search(text), text
    return run.status


@pytest.mark.parametrize("name", ["\x1b]0;pwn\x07", "a\x9b2J", "a\u202eb", "a\nb"], ids=ascii)
def test_class_folders_with_control_characters(name, run, tmp_path):
    pictures(tmp_path / "data/test", name, "dog")
    assert zero_shot(run, tmp_path / "data") == 0
    assert "* class: " in run.stdout


def test_a_class_folder_that_is_not_utf8_is_refused_in_one_line(run, tmp_path):
    pictures(tmp_path / "data/test", os.fsdecode(b"c\xff\xfe"), "dog")
    assert zero_shot(run, tmp_path / "data") == 2
    line = run.err.strip().splitlines()[-1]
    assert is_one_line(line) and "UTF-8" in line


@pytest.mark.parametrize("reader", ["csv", "classnames.txt", "split"])
def test_class_names_in_files_of_every_kind(reader, run, tmp_path):
    import json

    root = tmp_path / "data"
    pictures(root / "test" if reader == "classnames.txt" else root, "cat", "dog")
    name = "\x1b]0;pwn\x07\x1b[2J cat"
    rows = [(f"{c}/{k}.png", i, (name, "dog")[i]) for i, c in enumerate(("cat", "dog")) for k in range(4)]
    if reader == "csv":
        with open(root / "annotations.csv", "w", newline="") as file:
            table = csv.writer(file)
            table.writerow(["path", "classname", "split"])
            table.writerows([path, name + "\r\n=> result" * (i == 0), "test"] for path, i, name in rows)
    elif reader == "classnames.txt":
        (root / "classnames.txt").write_text(f"cat {name}\ndog dog\n")
    else:
        lists = {"train": rows[:2] + rows[4:6], "val": [], "test": rows[2:4] + rows[6:]}
        (root / "split_x.json").write_text(json.dumps(lists))
    assert zero_shot(run, root) == 0
    assert "* class: 0 (\\x1b]0;pwn" in run.stdout
    results = [line for line in run.stdout.splitlines() if line.startswith("=> result")]
    assert len(results) == 1
