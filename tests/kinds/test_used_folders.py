"""A used output folder is compared with what was asked for, never trusted by its name."""

import json
import shutil
import sys

import pytest

from tests.conftest import ROOT
from tests.kinds.runs import CONFIG, PLUGIN, contents, records

pytestmark = pytest.mark.integration


@pytest.mark.parametrize(
    "changed, difference",
    [
        ({"DATASET__NUM_SHOTS": 4}, "DATASET.NUM_SHOTS was 2, now it is 4"),
        ({"OPTIM__LR": 0.05}, "OPTIM.LR was 0.002, now it is 0.05"),
        ({"OPTIM__MAX_EPOCH": 3}, "OPTIM.MAX_EPOCH was 2, now it is 3"),
        ({"OPTIM__MAX_EPOCH": 1}, "OPTIM.MAX_EPOCH was 2, now it is 1"),
        ({"SEED": 2}, "SEED was 1, now it is 2"),
        ({"TEST__FINAL_MODEL": "best_val"}, "TEST.FINAL_MODEL was last_step, now it is best_val"),
        ({"DATASET__SUBSAMPLE_CLASSES": "base"}, "DATASET.SUBSAMPLE_CLASSES was all, now it is base"),
        ({"TRAINER__COOP__CLASS_TOKEN_POSITION": "front"}, "CLASS_TOKEN_POSITION was end, now it is front"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_folder_of_another_run_is_refused_and_stays_as_it_is(run, changed, difference):
    assert run("CoOp", OPTIM__MAX_EPOCH=2) == 0
    before = contents(run.out)
    assert run("CoOp", **{"OPTIM__MAX_EPOCH": 2} | changed) == 2
    assert difference in run.err and "--output-dir" in run.err and "--again" in run.err
    assert len(run.err.strip().splitlines()) == 1 and contents(run.out) == before


def test_the_same_run_goes_on_whatever_changes_no_result(run):
    assert run("CoOp") == 0
    first = records(run.out)[-1]
    assert run("CoOp", TRAIN__PRINT_FREQ=5, TEST__PER_CLASS_RESULT=True, FEATURES__CACHE=False) == 0
    assert "Found checkpoint" in run.stdout
    (again,) = records(run.out)
    again["metrics"].pop("perclass_accuracy")
    assert again["metrics"] == first["metrics"] and again["identity"] == first["identity"]


def test_again_moves_the_old_run_aside(run):
    assert run("CoOp", TEST__FINAL_MODEL="best_val") == 0
    (run.out / "notes.md").write_text("mine")
    old = contents(run.out / "prompt_learner")
    assert run("CoOp", "--again", OPTIM__MAX_EPOCH=2) == 0
    assert not (run.out / "prompt_learner/model-best.pth.tar").exists() and (run.out / "notes.md").read_text() == "mine"
    (aside,) = run.out.glob(".earlier-*")
    assert contents(aside / "prompt_learner") == old and not list(aside.rglob("results.json"))
    (record,) = records(run.out)
    assert record["epochs"] == {"run": 2, "planned": 2} and record["selection"] == "last epoch"


def test_again_moves_nothing_if_the_new_run_cannot_start(run):
    assert run("CoOp") == 0
    before = {path for path in contents(run.out) if not path.name.startswith("log.txt")}
    assert run("CoOp", "--again", "--root", "/nowhere") == 2
    assert run("CoOp", "--again", "--resume", str(run.out)) == 2 and "--again would move aside" in run.err
    assert run("CoOp", "--again", "--no-train") == 0
    assert {path for path in contents(run.out) if not path.name.startswith("log.txt")} == before
    assert run("CoOp", "--again", "--eval-only", "--model-dir", str(run.out)) == 0  # the model stays


def test_other_pictures_in_the_same_places_are_another_run(run, small, tmp_path):
    """The data are known by their content: a renamed root is the same, an exchanged picture is not."""
    data = tmp_path / "data"
    shutil.copytree(small / "oxford_pets", data / "oxford_pets")
    assert run("CoOp", "--root", str(data)) == 0
    first = records(run.out)[-1]
    moved = data.rename(tmp_path / "moved")
    assert run("CoOp", "--root", str(moved)) == 0
    assert records(run.out)[-1]["metrics"] == first["metrics"]
    lists = json.loads((moved / "oxford_pets/split_zhou_OxfordPets.json").read_text())
    one, other = (moved / "oxford_pets/images" / lists["test"][i][0] for i in (0, -1))
    one.write_bytes(other.read_bytes())
    assert run("CoOp", "--root", str(moved)) == 2
    assert "the list of test images was" in run.err and "--again" in run.err


def test_resume_needs_something_to_continue(run, tmp_path):
    (tmp_path / "empty").mkdir()
    assert run("CoOp", "--resume", str(tmp_path / "empty")) == 2
    assert "holds no checkpoint" in run.err and not (run.out / "prompt_learner").exists()


def test_another_evaluation_under_the_same_name_is_refused(run, small, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(small / "oxford_pets", data / "oxford_pets")
    assert run("ZeroshotCLIP", "--root", str(data), out="eval") == 0
    split = data / "oxford_pets/split_zhou_OxfordPets.json"
    lists = json.loads(split.read_text())
    lists["test"].pop()
    split.write_text(json.dumps(lists))
    assert run("ZeroshotCLIP", "--root", str(data), out="eval") == 2
    assert "the list of test images was" in run.err and records(run.out)[-1]["images"] == 200
    assert run("ZeroshotCLIP", "--again", "--root", str(data), out="eval") == 0
    assert [r["images"] for r in records(run.out)] == [199]


def test_an_edited_plugin_is_another_run(run, plugin):
    assert run("Edited", *plugin(PLUGIN), config=CONFIG) == 0
    assert run("Edited", *plugin(PLUGIN), config=CONFIG) == 0
    assert run("Edited", *plugin(PLUGIN.replace("loss * 1.0", "loss * 2.0")), config=CONFIG) == 2
    assert "the code of edited_plugin was" in run.err
    load = ["--eval-only", "--model-dir", str(run.out)]
    assert run("Edited", *plugin(PLUGIN.replace("loss * 1.0", "loss * 2.0")), *load, out="eval", config=CONFIG) == 0
    assert "Note: the code of edited_plugin has changed since" in run.stdout


def test_code_that_was_edited_after_it_was_loaded_is_not_recorded(run, monkeypatch):
    """The process of a sweep imports trainers once for all its runs."""
    from clip_prompts.records import sources

    path = (ROOT / "trainers/coop.py").resolve()
    monkeypatch.setitem(sources._loaded, path, path.stat().st_mtime_ns - 1)
    assert run("CoOp") == 2
    assert "coop.py was changed while this program was running" in run.err and not (run.out / "results.json").exists()


LATE = """
from dassl.engine import TRAINER_REGISTRY
from trainers.coop import CoOp


@TRAINER_REGISTRY.register()
class Edited(CoOp):
    def loss_terms(self, seen, label):
        from late_factor import FACTOR

        return {name: loss * FACTOR for name, loss in super().loss_terms(seen, label).items()}
"""


def test_code_that_is_imported_within_a_function_counts(run, plugin, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    helper = tmp_path / "late_factor.py"
    helper.write_text("FACTOR = 1.0\n")
    assert run("Edited", *plugin(LATE), config=CONFIG) == 0
    assert str(helper) in json.loads((run.out / "sources.json").read_text())["files"]
    helper.write_text("FACTOR = -1.0\n")
    sys.modules.pop("late_factor")
    assert run("Edited", *plugin(LATE), config=CONFIG) == 2
    assert "the code of late_factor was" in run.err


def test_the_module_of_a_trainer_of_the_engine_counts(run):
    config = ROOT / "configs/trainers/Vanilla/tiny.yaml"
    opts = ["MODEL.BACKBONE.NAME", "cnn_digitsdg"]
    assert run("Vanilla", dataset="digits", config=config, opts=opts) == 0, run.err
    assert "code.dassl.engine.dg.vanilla" in json.loads((run.out / "identity.json").read_text())["determines"]


def test_unfinished_files_of_a_killed_run_are_removed(run):
    assert run("CoOp") == 0
    left = run.out / ".identity.json.123-abc.part"
    left.write_text("half")
    (run.out / ".notes.part").write_text("mine")
    assert run("CoOp") == 0
    assert not left.exists() and (run.out / ".notes.part").exists()


def test_a_prompt_that_was_left_alone_is_never_taken_for_that_of_the_next_run(run):
    assert run("CoOp") == 0
    for path in run.out.iterdir():
        if path.name != "prompt":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert run("CoOp", "--no-train") == 0 and (run.out / "prompt").is_dir()
    assert run("CoOp", OPTIM__LR=0.05, OPTIM__MAX_EPOCH=1) == 0
    assert "The earlier prompt in" in run.stdout
    assert len(list(run.out.glob(".earlier-*/prompt/prompt_config.json"))) == 1
