"""Logs in both of upstream's wordings, and ours: the summary of seeds, and their import as records."""

import json

import pytest

from tools import parse_test_res, report

pytestmark = pytest.mark.integration

CONFIG = """** Config **
DATASET:
  NAME: Caltech101
  NUM_SHOTS: 16
  SUBSAMPLE_CLASSES: {classes}
MODEL:
  BACKBONE:
    NAME: RN50
OPTIM:
  LR: 0.002
SEED: {seed}
TEST:
  FINAL_MODEL: last_step
TRAINER:
  COOP:
    CTX_INIT: 
    PREC: fp16
  NAME: CoOp
** Environment **
"""  # noqa: W291


def log(accuracy, seed=1, end="Finish training", eval_only=False, classes="all"):
    head = f"** Arguments **\neval_only: {eval_only}\nconfig_file: configs/trainers/CoOp/rn50.yaml\n"
    result = "=> result\n* total: 10,000\n* correct: {:,}\n* accuracy: {:.2f}%\n* error: {:.2f}%\n* macro_f1: 88.0%\n"
    result = result.format(round(accuracy * 100), accuracy, 100 - accuracy)
    before = "" if eval_only else f"=> result\n* accuracy: 11.1%\n{end}\n"
    return head + CONFIG.format(seed=seed, classes=classes) + before + result + "Elapsed: 0:01:00\n"


def write(folder, text, name="log.txt"):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)
    return folder


@pytest.mark.parametrize("end", ["Finish training", "Finished training"])
def test_summary(end, tmp_path, capsys):
    """The seeds that CoOp's documentation prints: 92.00 +- 0.15."""
    for seed, accuracy in enumerate((91.81, 92.01, 92.17), 1):
        write(tmp_path / f"seed{seed}", log(accuracy, seed, end))
    assert parse_test_res.main([str(tmp_path)]) == 0
    files = [
        f"file: {tmp_path}/seed{s}/log.txt. accuracy: {a}%. " for s, a in ((1, "91.81"), (2, "92.01"), (3, "92.17"))
    ]
    end_lines = ["===", f"Summary of directory: {tmp_path}", "* accuracy: 92.00% +- 0.15%", "==="]
    assert capsys.readouterr().out.splitlines() == [f"Parsing files in {tmp_path}", *files, *end_lines]


def test_options(tmp_path, capsys):
    for name, values in (("a", (80.0, 82.0)), ("b", (90.0, 90.0))):
        for seed, accuracy in enumerate(values, 1):
            write(tmp_path / name / f"seed{seed}", log(accuracy, seed, eval_only=True))
    assert parse_test_res.main([str(tmp_path), "--multi-exp", "--test-log", "--ci95"]) == 0
    out = capsys.readouterr().out
    assert "* accuracy: 81.00% +- 1.39%" in out and out.endswith("Average performance\n* accuracy: 85.50%\n")
    assert parse_test_res.main([str(tmp_path / "a"), "--test-log", "--keyword", "error"]) == 0
    assert "* error: 19.00% +- 1.00%" in capsys.readouterr().out


def test_the_newest_log_with_a_result_counts(tmp_path, capsys):
    write(tmp_path / "seed1", log(50.0))
    write(tmp_path / "seed1", log(60.0), "log.txt-2026-01-02-10-00-00")
    write(tmp_path / "seed1", "died", "log.txt-2026-01-03-10-00-00")
    assert parse_test_res.main([str(tmp_path)]) == 0
    assert "* accuracy: 60.00%" in capsys.readouterr().out


@pytest.mark.parametrize(
    "text, part", [("nothing", "Nothing found in"), (None, "There is no log.txt in")]
)  # fmt: skip
def test_nothing_found(text, part, tmp_path, capsys):
    (tmp_path / "seed1").mkdir()
    if text:
        write(tmp_path / "seed1", text)
    assert parse_test_res.main([str(tmp_path)]) == 2
    assert part in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(
    "path, accuracy, eval_only, classes, expected",
    [
        ("caltech101/CoOp/rn50_16shots/nctx16_cscFalse_ctpend/seed1", 91.81, False, "all", ("few_shot", None)),
        ("base2new/train_base/caltech101/shots_16/CoOp/rn50/seed1", 96.0, False, "base", ("base2new", None)),
        ("base2new/test_new/caltech101/shots_16/CoOp/rn50/seed1", 90.0, True, "new", ("base2new", "Caltech101")),
        ("evaluation/CoOp/rn50_16shots/nctx16_cscFalse_ctpend/caltech101/seed1", 85.0, True, "all",
         ("cross_dataset", "ImageNet")),
    ],
)  # fmt: skip
@pytest.mark.parametrize("end", ["Finish training", "Finished training"])
def test_import(path, accuracy, eval_only, classes, expected, end, tmp_path, capsys):
    folder = write(tmp_path / path, log(accuracy, 1, end, eval_only, classes))
    assert report.main([str(tmp_path), "--import-logs"]) == 0
    assert f"{accuracy:.2f}" in capsys.readouterr().out
    (found,) = json.loads((folder / "results.json").read_text())
    assert found["imported"] and found["hashes"] is None and found["settings"]["OPTIM"]["LR"] == 0.002
    assert (found["protocol"], (found["source"] or {}).get("dataset")) == expected
    assert (found["shots"], found["seed"], found["backbone"], found["classes"]) == (16, 1, "RN50", classes)


def test_import_keeps_our_records_and_tells_what_has_no_result(tmp_path, capsys):
    ours = write(tmp_path / "caltech101/CoOp/rn50_16shots/seed1", log(90.0))
    (ours / "results.json").write_text("[]")
    write(tmp_path / "caltech101/CoOp/rn50_16shots/seed2", "died")
    write(tmp_path / "caltech101/CoOp/rn50_16shots/seed3", log(91.0, 3))
    assert report.main([str(tmp_path), "--import-logs"]) == 0
    assert (ours / "results.json").read_text() == "[]"
    assert "seed2: no log with a result" in capsys.readouterr().err


def test_our_own_log(run, tmp_path, capsys):
    """A run of train.py, read by both programs."""
    assert run("CoOp", out="output/oxford_pets/CoOp/tiny_2shots/seed1") == 0
    (record,) = json.loads((run.out / "results.json").read_text())
    assert parse_test_res.main([str(run.out.parent)]) == 0
    assert f"* accuracy: {record['metrics']['accuracy']:.1f}0% +- 0.00%" in capsys.readouterr().out
    (run.out / "results.json").unlink()
    assert report.main([str(tmp_path), "--import-logs"]) == 0
    (found,) = json.loads((run.out / "results.json").read_text())
    assert {k: found[k] for k in ("trainer", "dataset", "shots", "seed", "classes", "selection", "protocol")} == {
        k: record[k] for k in ("trainer", "dataset", "shots", "seed", "classes", "selection", "protocol")
    }
    assert found["metrics"]["accuracy"] == pytest.approx(record["metrics"]["accuracy"])
