"""The report: tables from records, the published numbers, refusals."""

import csv
import io
import json

import pytest

from clip_prompts.report.published import published
from tests.tools.records import record, sha, write
from tools import report


def base_to_new(root, values, trainer="CoCoOp", seeds=(1,), **more):
    """A record for base and new of every dataset: {dataset: (base, new)}; seeds add 0.5 each around the middle."""
    for dataset, pair in values.items():
        for classes, accuracy in zip(("base", "new"), pair, strict=True):
            for seed in seeds:
                shift = 0.5 * (seed - sum(seeds) / len(seeds))
                one = record(accuracy + shift, trainer, dataset, classes, seed, protocol="base2new", **more)
                write(root / trainer / dataset / classes / str(seed), one)


def run(capsys, *argv):
    status = report.main([str(a) for a in argv])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def table_1(trainer):
    entry = next(e for e in published() if (e.source, e.trainer) == ("cocoop-table-1", trainer))
    return {name: row[:2] for name, row in entry.values.items() if name != "average"}


def test_h_of_the_average_row_is_of_the_averages(tmp_path, capsys):
    """CoCoOp's table 1: 80.47 and 71.69 give 75.83; the mean of its column of H is 75.44."""
    base_to_new(tmp_path, table_1("CoCoOp"))
    status, out, _ = run(capsys, tmp_path, "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    found = {r["column"]: float(r["value"]) for r in rows if r["group"] == "average over 11 datasets"}
    assert status == 0
    assert {k: round(v, 2) for k, v in found.items()} == {"base": 80.47, "new": 71.69, "H": 75.83}


@pytest.mark.parametrize("trainer", ["ZeroshotCLIP", "CoOp", "CoCoOp"])
def test_published_numbers_verify(trainer, tmp_path, capsys):
    base_to_new(tmp_path, table_1(trainer), trainer, seeds=(1, 2, 3))
    status, out, err = run(capsys, tmp_path, "--verify")
    assert status == 0
    assert "36 of 36 cells within tolerance" in out and "settings: as published" in out


@pytest.mark.parametrize(
    "key, value, text",
    [
        ("OPTIM.LR", 0.02, "lr 0.02 instead of 0.002"),
        ("TRAINER.COOP.CTX_INIT", "", "CTX_INIT '' instead of 'a photo of a'"),
        ("TRAINER.COOP.N_CTX", 16, "N_CTX 16 instead of 4"),
        ("TRAINER.COOP.CSC", True, "CSC True instead of False"),
        ("TRAINER.COOP.CLASS_TOKEN_POSITION", "middle", "CLASS_TOKEN_POSITION middle instead of end"),
        ("OPTIM.MAX_EPOCH", 20, "epochs 20 instead of 200"),
        ("DATALOADER.TRAIN_X.BATCH_SIZE", 8, "batch 8 instead of 32"),
    ],
)
def test_a_swapped_setting_is_named(key, value, text, tmp_path, capsys):
    base_to_new(tmp_path, {"EuroSAT": (92.19, 54.74)}, "CoOp", settings={key: value})
    assert text in run(capsys, tmp_path, "--verify")[1].replace("\n", " ")


def test_a_number_outside_the_tolerance_is_told(tmp_path, capsys):
    base_to_new(tmp_path, {"EuroSAT": (85.0, 54.74)}, "CoOp")
    status, out, _ = run(capsys, tmp_path, "--verify")
    assert status == 1 and "NO" in out and "-7.19" in out


def test_shots_are_not_mixed(tmp_path, capsys):
    for shots, accuracy in ((4, 50.0), (16, 90.0)):
        base_to_new(tmp_path / str(shots), {"EuroSAT": (accuracy, accuracy)}, shots=shots)
    out = run(capsys, tmp_path)[1]
    assert "4 shots" in out and "16 shots" in out and "70.00" not in out


def test_recipes_become_rows_that_name_the_setting(tmp_path, capsys):
    for words in ("", "a photo of a"):
        one = {"settings": {"TRAINER.COCOOP.CTX_INIT": words}}
        base_to_new(tmp_path / (words or "none"), {"EuroSAT": (80.0 + len(words), 60.0)}, **one)
    out = run(capsys, tmp_path)[1]
    assert "CoCoOp (CTX_INIT none)" in out and "CoCoOp (CTX_INIT a photo of a)" in out and "92.00" in out


HASHES = {"config": "c", "train_x": None, "val": None}


@pytest.mark.parametrize(
    "second, part",
    [
        ({"hashes": HASHES | {"test": sha(1), "backbone": sha("ViT-B/16")}}, "different images"),
        ({"hashes": HASHES | {"test": sha(["EuroSAT", "all"]), "backbone": sha(2)}}, "different weights"),
        ({"recipe": sha("another")}, "different recipes"),
        ({"seed": 1}, "two results for seed 1"),
    ],
)
def test_mixtures_are_refused(second, part, tmp_path, capsys):
    write(tmp_path / "a", record(80.0, seed=1))
    write(tmp_path / "b", record(81.0, **{"seed": 2} | second))
    status, out, err = run(capsys, tmp_path)
    assert status == 2 and part in err and str(tmp_path / "a") in err and err.count("\n") == 1 and not out


def broken(name):
    whole = record(80.0)
    return json.dumps([{key: value for key, value in whole.items() if key != name}])


@pytest.mark.parametrize(
    "text, part",
    [
        ("{", "not valid JSON"),
        ("{}", "not a list of records"),
        *(
            (broken(name), f"lacks the field '{name}'")
            for name in ("split", "metrics", "trainer", "shots", "selection")
        ),
        (json.dumps([record(80.0) | {"metrics": {}}]), "metrics.accuracy is None"),
        (json.dumps([record(80.0, cost={"step_seconds": "fast"})]), "'cost.step_seconds' is \"fast\", not a number"),
        (json.dumps([record(80.0, cost={"step_seconds": 1e300})]), "'cost.step_seconds' is 1e+300, not a number"),
        (json.dumps([record(80.0, memory={"process_mib": -1})]), "'memory.process_mib' is -1, not a number"),
    ],
)
def test_bad_records_are_refused_in_one_line(text, part, tmp_path, capsys):
    (tmp_path / "results.json").write_text(text)
    status, _, err = run(capsys, tmp_path)
    assert status == 2 and part in err and str(tmp_path) in err and err.count("\n") == 1


def test_paired_difference(tmp_path, capsys):
    from scipy import stats

    a, b = [80.0, 82.0, 81.0], [79.0, 80.0, 78.5]
    for trainer, values in (("CoCoOp", a), ("CoOp", b)):
        for seed, accuracy in enumerate(values, 1):
            write(tmp_path / trainer / str(seed), record(accuracy, trainer, seed=seed))
    status, out, _ = run(capsys, tmp_path, "--compare", "CoCoOp", "CoOp")
    low, high = stats.ttest_rel(a, b).confidence_interval(0.95)
    assert status == 0 and "+1.83" in out and f"{low:+.2f} to {high:+.2f}" in out


@pytest.mark.parametrize(
    "form, parts",
    [
        ("terminal", ["Base-to-new", "protocol base2new", "selection: last epoch", "16 shots", "n = 2", "± 0.25"]),
        ("markdown", ["### Base-to-new", "| EuroSAT", "**", "± 0.25"]),
        ("latex", ["\\toprule", "\\textbf{", "$\\pm$"]),
        ("csv", ["spread_kind", "EuroSAT,CoOp,base,92.19"]),
    ],
)
def test_formats(form, parts, tmp_path, capsys):
    for trainer in ("CoOp", "CoCoOp"):
        base_to_new(
            tmp_path, {k: v for k, v in table_1(trainer).items() if k in ("EuroSAT", "SUN397")}, trainer, (1, 2)
        )
    status, out, _ = run(capsys, tmp_path, "--format", form)
    assert status == 0 and all(part in out for part in parts), out
    assert form == "csv" or form == "latex" or "average over 2 datasets" in out


@pytest.mark.parametrize("form", ["terminal", "markdown", "latex"])
def test_facts_are_below_the_table_and_hashes_on_request(form, tmp_path, capsys):
    write(tmp_path, record(80.0))
    plain, full = (run(capsys, tmp_path, "--format", form, *more)[1] for more in ([], ["--details"]))
    assert 0 < plain.index("80.00") < plain.index("selection: last epoch")
    backbone = sha("ViT-B/16")[:12]
    assert backbone not in plain and full.index("80.00") < full.index(backbone) and "test images " in full


def with_cost(root, trainer, step, memory, device="GPU A", **more):
    """Base and new of a method: the run that trains has the cost of a step, the one that only tests has not."""
    for classes, seconds in (("base", step), ("new", None)):
        for seed in (1, 2):
            cost = {"step_seconds": seconds and seconds * seed, "test_images_per_second": 2000.0, "device": device}
            cost["train_images_per_second"] = seconds and 4 / cost["step_seconds"]
            write(root / trainer / classes / str(seed),
                  record(80.0, trainer, "EuroSAT", classes, seed, protocol="base2new", cost=cost,
                         memory={"process_mib": memory + seed, "cuda_mib": None}, **more))  # fmt: skip


def test_cost_columns(tmp_path, capsys):
    with_cost(tmp_path, "CoOp", 0.02, 900.0)
    with_cost(tmp_path, "CoCoOp", 0.2, 1900.0, learned=35360)
    status, out, _ = run(capsys, tmp_path, "--cost", "--format", "csv")
    found = {(r["row"], r["column"]): r for r in csv.DictReader(io.StringIO(out))}
    columns = ["step (ms)", "train images/s", "test images/s", "memory (MiB)", "learned"]
    assert status == 0 and list(dict.fromkeys(column for _, column in found)) == ["base", "new", "H", *columns]
    assert [float(found["CoOp", c]["value"]) for c in columns] == pytest.approx([30.0, 150.0, 2000.0, 902.0, 2048])
    assert [float(found["CoCoOp", c]["value"]) for c in columns] == pytest.approx([300.0, 15.0, 2000.0, 1902.0, 35360])
    assert not any(int(found[trainer, c]["best"]) for trainer in ("CoOp", "CoCoOp") for c in columns)
    for form in ("terminal", "markdown", "latex"):
        out = run(capsys, tmp_path, "--cost", "--format", form)[1]
        assert all(text in out for text in ("step (ms)", "300.00", "1,902", "35,360", "on GPU A"))
    assert "step (ms)" not in run(capsys, tmp_path)[1]


def test_costs_of_different_devices_and_of_old_records_are_said(tmp_path, capsys):
    write(tmp_path / "old", record(80.0, memory=None, learned=None))
    assert "The records hold no cost" in run(capsys, tmp_path, "--cost")[1]
    with_cost(tmp_path / "a", "CoOp", 0.02, 900.0)
    with_cost(tmp_path / "b", "CoCoOp", 0.02, 900.0, device="GPU B")
    out = " ".join(run(capsys, tmp_path, "--cost", "--protocol", "base2new")[1].split())
    assert "The costs are from different devices: GPU A; GPU B" in out


@pytest.mark.parametrize("option", [["--verify"], ["--compare", "CoOp", "CoCoOp"]])
def test_cost_is_for_tables_of_results(option, tmp_path, capsys):
    write(tmp_path, record(80.0))
    status, out, err = run(capsys, tmp_path, "--cost", *option)
    assert status == 2 and not out and "remove --compare and --verify" in err


def test_missing_seeds_and_datasets_show(tmp_path, capsys):
    for seed in (1, 2, 3):
        write(tmp_path / f"a{seed}", record(70.0 + seed, "CoOp", "SUN397", seed=seed))
        write(tmp_path / f"b{seed}", record(80.0 + seed, "CoCoOp", "SUN397", seed=seed))
        write(tmp_path / f"c{seed}", record(60.0 + seed, "CoOp", "EuroSAT", seed=seed))
    (tmp_path / "b3" / "results.json").unlink()
    out = run(capsys, tmp_path)[1]
    assert "[2]" in out and "Averages are over the datasets that all methods have, of 2: 1 at 16 shots" in out
    assert "-" in out.split("EuroSAT")[1]


def test_transfers_and_terminal_width(tmp_path, capsys):
    source = {"dataset": "ImageNet", "classes": "all", "shots": 16, "seed": 1, "recipe": "r", "config": "vit_b16_ctxv1"}
    for entry in (e for e in published() if e.source == "cocoop-table-2"):
        for dataset, (accuracy,) in entry.values.items():
            if dataset == "average":
                continue
            own = dataset == "ImageNet"
            more = {} if own else {"source": source, "protocol": "cross_dataset", "shots": -1}
            write(tmp_path / entry.trainer / dataset, record(accuracy, entry.trainer, dataset, **more))
    status, out, _ = run(capsys, tmp_path, "--protocol", "cross_dataset")
    assert status == 0 and "average (10)" in out and "65.74" in out and "71.02" in out
    assert max(map(len, out.splitlines())) <= 100
    assert "all within" not in out
