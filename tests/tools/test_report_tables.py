"""The tables of domain generalization and of ablations, from records with the papers' numbers."""

import csv
import io

import pytest

from clip_prompts.report.published import published
from tests.tools.records import record, write
from tools import report

SOURCE = {"dataset": "ImageNet", "classes": "all", "shots": 16, "recipe": "r", "config": "vit_b16_ctxv1"}
DG = "domain_generalization"
TARGETS = ("ImageNetV2", "ImageNetSketch", "ImageNetA", "ImageNetR")
AVERAGES = {"ZeroshotCLIP": 57.18, "CoOp": 59.28, "CoCoOp": 59.91}  # over the four targets: CoCoOp's table 3


def printed(source, trainer, **recipe):
    """The numbers of a published table."""
    (found,) = (
        e for e in published()
        if (e.source, e.trainer) == (source, trainer) and recipe.items() <= e.recipe.items()
    )  # fmt: skip
    return found.values


def values(capsys, *argv):
    """(group, row, column) -> value, of the report as CSV."""
    capsys.readouterr()
    assert report.main([*map(str, argv), "--format", "csv"]) == 0
    rows = csv.DictReader(io.StringIO(capsys.readouterr().out))
    return {(row["group"], row["row"], row["column"]): float(row["value"]) for row in rows if row["value"]}


def text(capsys, *argv):
    capsys.readouterr()
    assert report.main([*map(str, argv)]) == 0
    return capsys.readouterr().out


@pytest.fixture
def transferred(tmp_path):
    """CoCoOp's table 3: three seeds around each number, zero-shot once, beside the runs on the source itself."""
    for trainer in AVERAGES:
        idle = trainer == "ZeroshotCLIP"
        for dataset, (accuracy,) in printed("cocoop-table-3", trainer).items():
            for seed in (1,) if idle else (1, 2, 3):
                more = {"protocol": "zeroshot"} if idle else {}
                if not idle and dataset != "ImageNet":
                    more = {"protocol": DG, "source": SOURCE | {"seed": seed}, "shots": -1}
                more |= {"settings": {"OPTIM.MAX_EPOCH": 50}} if trainer == "CoOp" else {}  # as on the source
                shift = 0.0 if idle else 0.3 * (seed - 2)
                if dataset != "average":
                    write(tmp_path / trainer / dataset / str(seed),
                          record(accuracy + shift, trainer, dataset, seed=seed, **more))  # fmt: skip
    return tmp_path


def test_domain_generalization(transferred, capsys):
    """Source, four targets, and their average, without the source's column."""
    found = values(capsys, transferred, "--protocol", DG)
    for trainer, average in AVERAGES.items():
        for dataset, (accuracy,) in printed("cocoop-table-3", trainer).items():
            if dataset != "average":
                assert found["", trainer, dataset] == pytest.approx(accuracy)
        assert round(found["", trainer, "average (4)"], 2) == average
    assert len(found) == 3 * 6
    shown = text(capsys, transferred, "--protocol", DG)
    assert "Domain generalization from ImageNet" in shown and "selection: last epoch" in shown and "16 shots" in shown
    assert "71.02±0.24" in shown and "Note" not in shown  # 0.3 sqrt(2/3)


def test_domain_generalization_without_a_target(transferred, capsys):
    """The average is over the targets that all methods have, and says so."""
    for file in (transferred / "CoOp/ImageNetA").rglob("results.json"):
        file.unlink()
    found = values(capsys, transferred, "--protocol", DG)
    assert ("", "CoOp", "ImageNetA") not in found
    assert found["", "CoCoOp", "average (3)"] == pytest.approx((64.07 + 48.75 + 76.18) / 3)
    assert "over the 3 of 4 columns that all have, without ImageNetA" in " ".join(
        text(capsys, transferred, "--protocol", DG).split()
    )


def test_domain_generalization_verifies(transferred, capsys):
    assert report.main([str(transferred), "--protocol", DG, "--verify", "--against", "cocoop-table-3"]) == 0
    assert "18 of 18 published numbers are reached" in capsys.readouterr().err


@pytest.fixture
def ablated(tmp_path):
    """CoCoOp's table 4: base and new on ImageNet, two context lengths of CoOp, and CoCoOp; a joint test of two."""
    rows = (("CoOp", 4, 2048, (76.47, 67.88), 65.55), ("CoOp", 60, 30720, (76.16, 65.34), None),
            ("CoCoOp", 4, 35360, (75.98, 70.43), 69.13))  # fmt: skip
    for trainer, length, learned, halves, joint in rows:
        for classes, accuracy in (*zip(("base", "new"), halves, strict=True), ("all", joint)):
            for seed in (1, 2, 3) if accuracy else ():
                words = "a photo of a" if length == 4 else ""
                settings = {f"TRAINER.{trainer.upper()}.{k}": v for k, v in (("N_CTX", length), ("CTX_INIT", words))}
                source = {"dataset": "ImageNet", "classes": "base", "shots": 16, "seed": seed, "recipe": "r"}
                more = {"source": None if classes == "base" else source, "protocol": "ablation", "learned": learned}
                one = record(accuracy + 0.2 * (seed - 2), trainer, "ImageNet", classes, seed, settings=settings, **more)
                write(tmp_path / trainer / str(length) / classes / str(seed), one)
    return tmp_path


def test_ablation(ablated, capsys):
    """Parameter counts, base, new and H of each variant, and the joint test where there is one."""
    found = values(capsys, ablated)
    rows = {row for _, row, _ in found}
    short, long = sorted(row for row in rows if row.startswith("CoOp ("))
    assert rows == {short, long, "CoCoOp"} and "N_CTX 4" in short and "N_CTX 60" in long
    expected = {
        short: (2048, 76.47, 67.88, 71.92, 65.55),
        long: (30720, 76.16, 65.34, 70.34, None),
        "CoCoOp": (35360, 75.98, 70.43, 73.10, 69.13),
    }
    for row, numbers in expected.items():
        for column, number in zip(("learned", "base", "new", "H", "joint"), numbers, strict=True):
            value = found.get(("ImageNet", row, column))
            assert (value if value is None else round(value, 2)) == number, (row, column)
    shown = text(capsys, ablated)
    assert "30,720" in shown and "35,360" in shown and "73.10±0.16" in shown  # 0.2 sqrt(2/3)
    assert "seeds 1 2 3" in shown and "(n = 3)" in shown


def test_ablation_on_two_datasets_has_h_of_the_averages(tmp_path, capsys):
    for dataset, halves in {"ImageNet": (75.98, 70.43), "EuroSAT": (87.49, 60.04)}.items():
        for classes, accuracy in zip(("base", "new"), halves, strict=True):
            one = record(accuracy, "CoCoOp", dataset, classes, protocol="ablation")
            write(tmp_path / dataset / classes, one)
    found = values(capsys, tmp_path)
    base, new = (75.98 + 87.49) / 2, (70.43 + 60.04) / 2
    group = "average over 2 datasets"
    assert found[group, "CoCoOp", "base"] == pytest.approx(base)
    assert found[group, "CoCoOp", "H"] == pytest.approx(2 * base * new / (base + new))


def test_settings_of_the_recipe_make_no_rows(tmp_path, capsys):
    """ProGrad's LAMBDA follows from dataset and shots. Two values in one cell are two rows."""

    def learn(dataset, shots, value):
        one = record(70.0, "ProGrad", dataset, shots=shots, settings={"TRAINER.PROGRAD.LAMBDA": value})
        write(tmp_path / dataset / f"{shots}-{value}", one)

    for dataset, shots, value in (("EuroSAT", 4, 1.0), ("EuroSAT", 8, 0.8), ("UCF101", 8, 1.0)):
        learn(dataset, shots, value)
    assert {row for _, row, _ in values(capsys, tmp_path)} == {"ProGrad"}
    assert "ProGrad, TRAINER.PROGRAD.LAMBDA: 0.8 (EuroSAT), 1.0 (EuroSAT, UCF101)" in text(capsys, tmp_path)
    learn("EuroSAT", 8, 1.0)
    assert {row for _, row, _ in values(capsys, tmp_path)} == {"ProGrad (LAMBDA 0.8)", "ProGrad (LAMBDA 1.0)"}


def test_runs_that_train_on_all_images_stand_behind_those_on_shots(tmp_path, capsys):
    for shots, accuracy in ((-1, 80.0), (2, 60.0), (16, 70.0)):
        write(tmp_path / str(shots), record(accuracy, shots=shots))
    assert report.main([str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.split()[-3:] == ["2", "16", "all"] for line in lines)
    assert any(line.split()[-3:] == ["60.00", "70.00", "80.00"] for line in lines)


def test_zero_shot_stands_beside_the_joint_test(tmp_path, capsys):
    """It has no base and new runs in this study: those are averaged over the methods that have them."""
    source = {"classes": "base", "shots": 16, "seed": 1, "recipe": "r"}
    for dataset, (idle, base, new, joint) in {"ImageNet": (60, 70, 60, 64), "EuroSAT": (40, 90, 50, 62)}.items():
        write(tmp_path / dataset / "idle", record(idle, "ZeroshotCLIP", dataset, protocol="ablation"))
        for classes, accuracy in (("base", base), ("new", new), ("all", joint)):
            more = {} if classes == "base" else {"source": source | {"dataset": dataset}}
            write(tmp_path / dataset / classes,
                  record(accuracy, "CoCoOp", dataset, classes, protocol="ablation", **more))  # fmt: skip
    found = values(capsys, tmp_path)
    assert found["EuroSAT", "ZeroshotCLIP", "joint"] == 40 and not any(column == "all" for _, _, column in found)
    average = {(row, column): value for (group, row, column), value in found.items() if group.startswith("average")}
    assert average.pop(("CoCoOp", "H")) == pytest.approx(2 * 80 * 55 / 135)
    expected = {"base": 80, "new": 55, "joint": 63}
    assert average == {("ZeroshotCLIP", "joint"): 50, **{("CoCoOp", k): v for k, v in expected.items()}}
