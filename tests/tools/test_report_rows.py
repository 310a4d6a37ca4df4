"""``--runs``: a row per evaluation that csv reads back, with all that the record says."""

import csv
import json

import pytest

from clip_prompts.report.rows import COLUMNS
from tests.tools.records import record, write
from tools import report


def rows(folder, tmp_path, status=0):
    """The rows of the file, from column to text; a cell too many would be under None."""
    assert report.main([str(folder), "--runs", str(tmp_path / "runs.csv")]) == status
    with open(tmp_path / "runs.csv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, strict=True))


def at(tree, column):
    for part in column.split("."):
        tree = tree[part]
    return tree


def test_a_row_says_what_the_record_says(tmp_path):
    source = {"dataset": "EuroSAT", "label": "fields", "classes": "base", "shots": 4, "seed": 2, "recipe": "r",
              "config": "c"}  # fmt: skip
    cost = {"step_seconds": 0.1 + 0.2, "train_images_per_second": None, "test_images_per_second": 4.0, "device": "GPU"}
    weights = [{"model": "prompt_learner", "file": "prompt_learner/model.pth.tar-50", "sha256": "ab", "epoch": 50}]
    one = record(
        81.25, "CoCoOp", label="fields", source=source, cost=cost, weights=weights, identity="id", sha256=None,
        loaded={"model_dir": "out/a, b", "load_epoch": 50}, epochs={"run": 50, "planned": 200}, schedule="sgd, cosine",
        images_trained_on={"total": 160, "fewest": 16, "most": 16}, versions={"torch": "2.4.0"},
    )  # fmt: skip
    del one["sha256"]
    (row,) = rows(write(tmp_path / "in", one), tmp_path)
    inner = [c for c in COLUMNS if c not in ("folder", "method", "shots", "sha256", "imported")]
    for column in [*inner, "settings.OPTIM.LR", "settings.TRAINER.COCOOP.N_CTX", "versions.torch"]:
        value = at(one, column)
        assert row[column] == ("" if value is None else str(value)), column
    assert row["folder"] == str(tmp_path / "in") and row["method"] == "CoCoOp" and row["shots"] == "4"
    assert row["sha256"] == row["imported"] == row["cost.train_images_per_second"] == ""
    assert float(row["cost.step_seconds"]) == 0.1 + 0.2
    assert json.loads(row["settings.INPUT.SIZE"]) == [224, 224]
    assert row["weights.prompt_learner.sha256"] == "ab" and row["weights.prompt_learner.epoch"] == "50"


def test_every_record_is_a_row_and_columns_have_one_order(tmp_path, capsys):
    val = record(70.0, trainer="CoOp") | {"split": "val", "epoch": 1}
    metrics = record(80.0)["metrics"] | {"own": 1.0}
    write(tmp_path / "in/a", val, record(80.0, metrics=metrics))
    write(tmp_path / "in/b", record(81.0, "CoCoOp", seed=2))
    found = rows(tmp_path / "in", tmp_path)
    assert [(r["split"], r["trainer"], r["metrics.accuracy"]) for r in found] == [
        ("val", "CoOp", "70.0"), ("test", "CoOp", "80.0"), ("test", "CoCoOp", "81.0")
    ]  # fmt: skip
    assert "70.00" not in capsys.readouterr().out  # tables are of tests
    columns = list(found[0])
    assert columns[: len(COLUMNS)] == list(COLUMNS) and columns[len(COLUMNS)] == "metrics.own"
    assert [r["metrics.own"] for r in found] == ["", "1.0", ""]
    assert [r["settings.TRAINER.COCOOP.N_CTX"] for r in found] == ["", "", "4"]
    rest = columns[len(COLUMNS) + 1 :]
    assert rest == sorted(rest) and all(c.startswith("settings.") for c in rest)


def test_formulas_and_lines_are_text(tmp_path):
    formula = '=HYPERLINK("http://x","y")'
    one = record(80.0, dataset=formula, label=None, config='a\nb,"c"', settings={"OPTIM.LR": "+1+1"})
    one["settings"]["=A"] = -1.5
    (row,) = rows(write(tmp_path / "in", one), tmp_path)
    assert row["dataset"] == row["label"] == f"'{formula}" and row["config"] == 'a\\nb,"c"'
    assert row["settings.OPTIM.LR"] == "'+1+1" and row["settings.=A"] == "-1.5"


@pytest.mark.parametrize("field, value", [("weights", 3), ("counts", [1]), ("versions", None), ("settings", None)])
def test_fields_of_another_kind_are_empty(field, value, tmp_path):
    (row,) = rows(write(tmp_path / "in", record(80.0) | {field: value}), tmp_path)
    assert not any(cell for column, cell in row.items() if column.startswith(f"{field}."))
    assert row["metrics.accuracy"] == "80.0"


def test_runs_that_cannot_be_averaged_are_rows(tmp_path, capsys):
    write(tmp_path / "in/a", record(80.0))
    write(tmp_path / "in/b", record(81.0))
    found = rows(tmp_path / "in", tmp_path, status=2)
    assert [r["metrics.accuracy"] for r in found] == ["80.0", "81.0"] and "two results" in capsys.readouterr().err


def test_imported_logs_are_rows(tmp_path):
    folder = tmp_path / "in/eurosat/CoOp/rn50_16shots/nctx16_cscFalse_ctpend/seed3"
    folder.mkdir(parents=True)
    lines = ["Finish training", "=> result", "* total: 200", "* correct: 150", "* accuracy: 75.0%", "* macro_f1: 74.1%"]
    (folder / "log.txt").write_text("\n".join(lines))
    assert report.main([str(tmp_path / "in"), "--import-logs", "--runs", str(tmp_path / "runs.csv")]) == 0
    (row,) = rows(tmp_path / "in", tmp_path)
    shown = ("imported", "dataset", "trainer", "shots", "seed", "backbone", "metrics.accuracy", "counts.total")
    assert [row[column] for column in shown] == ["True", "EuroSAT", "CoOp", "16", "3", "RN50", "75.0", "200"]
    assert row["identity"] == ""
