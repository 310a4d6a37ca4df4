"""The base-to-new program: folders, configs, table, and a whole run."""

import json

import pytest

from tests.conftest import ROOT
from tools import base2new


def write(folder, accuracy):
    folder.mkdir(parents=True)
    record = {"split": "test", "metrics": {"accuracy": accuracy}}
    (folder / "results.json").write_text(json.dumps([{**record, "metrics": {"accuracy": 0.0}}, record]))


def args(tmp_path, *more):
    return base2new.parse(["CoOp", "digits", "--output", str(tmp_path), *more])


def test_table_means_deviations_and_harmonic_mean(tmp_path):
    parsed = args(tmp_path, "--seeds", "1", "2")
    for seed, base, new in ((1, 80.0, 60.0), (2, 84.0, 70.0)):
        write(base2new.folder_of(parsed, "train_base", "CoOp", "digits", seed), base)
        write(base2new.folder_of(parsed, "test_new", "CoOp", "digits", seed), new)
    cells = [cell.strip() for cell in base2new.table(parsed).splitlines()[-1].strip("|").split("|")]
    # H is 2 * 82 * 65 / 147, not the mean of 68.571 and 76.364; its deviation is theirs
    assert cells == ["digits", "CoOp", "82.00 ± 2.00", "65.00 ± 5.00", "72.52 ± 3.90", "2"]


def test_a_seed_without_both_results_is_left_out_of_the_table(tmp_path):
    parsed = args(tmp_path, "--seeds", "1", "2")
    for seed, parts in ((1, ("train_base", "test_new")), (2, ("train_base",))):
        for part in parts:
            write(base2new.folder_of(parsed, part, "CoOp", "digits", seed), 50.0 * seed)
    assert "50.00 ± 0.00" in base2new.table(parsed).splitlines()[-1]
    assert base2new.table(parsed).splitlines()[-1].strip().endswith("1 |")


def test_harmonic_mean_of_the_published_averages():
    """CoCoOp's table 1: base 80.47, new 71.69."""
    assert round(base2new.harmonic_mean(80.47, 71.69), 2) == 75.83
    assert base2new.harmonic_mean(0.0, 0.0) == 0.0


def test_folders_are_upstreams(tmp_path):
    folder = base2new.folder_of(args(tmp_path, "--shots", "4"), "train_base", "CoCoOp", "oxford_pets", 2)
    expected = "train_base/oxford_pets/shots_4/CoCoOp/vit_b16_c4_ep10_batch1_ctxv1/seed2"
    assert folder.relative_to(tmp_path.resolve()).as_posix() == expected


@pytest.mark.parametrize(
    "trainer, dataset, config",
    [
        ("CoOp", "digits", "CoOp/tiny"),
        ("CoOp", "oxford_pets", "CoOp/vit_b16_ctxv1"),
        ("CoOp", "imagenet", "CoOp/vit_b16_ep50_ctxv1"),
        ("CoCoOp", "imagenet", "CoCoOp/vit_b16_c4_ep10_batch1_ctxv1"),
        ("ZeroshotCLIP2", "oxford_pets", "ZeroshotCLIP/vit_b16"),
    ],
)
def test_default_config(trainer, dataset, config):
    assert base2new.config_file(trainer, dataset, None) == ROOT / f"configs/trainers/{config}.yaml"


@pytest.mark.parametrize(
    "argv, part",
    [
        (["CoOp", "digit"], "digits"),
        (["CoOp", "digits", "tinny"], "tiny"),
        (["Unheard", "digits"], "configs/trainers/Unheard"),
        (["CoOp", "digits", "nowhere.yaml"], "nowhere.yaml"),
    ],
)
def test_bad_input_is_one_line(argv, part, capsys):
    assert base2new.main(argv) == 2
    line = capsys.readouterr().err.strip()
    assert line.startswith("Error: ") and part in line and "\n" not in line


@pytest.fixture(scope="module")
def example(tmp_path_factory):
    """The README's example trainer, run from base to new classes with one epoch on two shots."""
    output = tmp_path_factory.mktemp("example")
    argv = [
        "AnchoredCoOp,Unheard", "digits", str(ROOT / "configs/trainers/CoOp/tiny.yaml"), "--seeds", "0", "--shots", "2",
        "--plugin", str(ROOT / "tests/examples/my_trainer.py"), "--output", str(output),
        "--set", "OPTIM.MAX_EPOCH", "1",
    ]  # fmt: skip
    return output, argv, base2new.main(argv)


def test_example_trainer_runs_from_base_to_new(example, capsys):
    output, argv, status = example
    records = {
        p.parts[len(output.parts)]: json.loads(p.read_text()) for p in output.rglob("AnchoredCoOp/**/results.json")
    }
    assert {part: r[-1]["classes"] for part, r in records.items()} == {"train_base": "base", "test_new": "new"}
    assert all(0 < r[-1]["metrics"]["accuracy"] <= 100 and r[-1]["seed"] == 0 for r in records.values())
    log = next(output.rglob("train_base/**/log.txt")).read_text()
    assert "distance" in log and "WEIGHT: 8.0" in log


def test_a_failed_run_does_not_stop_the_rest_and_a_second_call_runs_what_is_missing(example, capfd):
    output, argv, status = example
    assert status == 1  # the unknown trainer
    before = {p: p.stat().st_mtime_ns for p in output.rglob("results.json")}
    assert base2new.main(argv) == 1
    assert {p: p.stat().st_mtime_ns for p in output.rglob("results.json")} == before
    printed = capfd.readouterr()
    assert "2 of 4 runs are done already" in printed.out + printed.err
    assert "Unknown trainer 'Unheard'" in printed.out + printed.err
