"""A used folder and a loaded checkpoint are compared with what was asked for, never trusted by their names."""

import json
import shutil
import sys

import pytest
import torch
from dassl.data.datasets import DATASET_REGISTRY
from dassl.engine import TRAINER_REGISTRY

import train
from tests.conftest import ROOT
from tests.datasets.pictures import draw


def records(folder):
    return json.loads((folder / "results.json").read_text())


def contents(folder):
    return {p.relative_to(folder): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


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


def noisy_backbone(path, small):
    weights = torch.load(small / "tiny_clip.pt", weights_only=True)
    torch.manual_seed(0)
    noisy = {k: v + 0.02 * torch.randn_like(v) if v.is_floating_point() else v for k, v in weights.items()}
    torch.save(noisy, path)
    return str(path)


@pytest.mark.parametrize("evaluates", [False, True], ids=["train", "evaluate"])
def test_another_backbone_is_refused_and_the_same_one_elsewhere_is_not(run, small, tmp_path, evaluates):
    assert run("CoOp", out="learned") == 0
    expected, learned = records(run.out)[-1]["metrics"], str(run.out)
    flags = ["--eval-only", "--model-dir", learned] if evaluates else ["--resume", learned]
    copy = shutil.copy(small / "tiny_clip.pt", tmp_path / "copy.pt")
    assert run("CoOp", *flags, "--backbone", str(copy), out="same") == 0
    assert records(run.out)[-1]["metrics"] == expected
    assert run("CoOp", *flags, "--backbone", noisy_backbone(tmp_path / "noisy.pt", small), out="other") == 2
    assert "the weights of the backbone were" in run.err
    assert not (run.out / "results.json").exists()


@pytest.mark.parametrize(
    "flags, stated, difference",
    [
        ([], {"OPTIM__MAX_EPOCH": 5}, "OPTIM.MAX_EPOCH was 2, now it is 5"),
        (["--load-epoch", "2"], {"OPTIM__LR_SCHEDULER": "single_step"}, "OPTIM.LR_SCHEDULER was cosine"),
        ([], {"SEED": 3}, "SEED was 1, now it is 3"),
        ([], {"TRAINER__COOP__CLASS_TOKEN_POSITION": "middle"}, "CLASS_TOKEN_POSITION was end, now it is middle"),
        ([], {"INPUT__INTERPOLATION": "bilinear"}, "INPUT.INTERPOLATION was bicubic"),
    ],
    ids=["epochs", "schedule", "seed", "position", "test transform"],
)
def test_a_prompt_is_not_evaluated_under_other_circumstances(run, flags, stated, difference):
    assert run("CoOp", out="learned", OPTIM__MAX_EPOCH=2) == 0
    load = ["--eval-only", "--model-dir", str(run.out), *flags]
    assert run("CoOp", *load, out="eval", **{"OPTIM__MAX_EPOCH": 2} | stated) == 2
    assert difference in run.err and not (run.out / "results.json").exists()


def test_an_evaluation_records_the_training_that_it_loads(run, tmp_path):
    """Settings of the training that the command does not repeat come from the checkpoint, not from the YAML."""
    config = tmp_path / "mine.yaml"
    config.write_text((ROOT / "configs/trainers/CoOp/tiny.yaml").read_text())
    flags = ["--backbone", "tiny"]
    learning = {"OPTIM__MAX_EPOCH": 2, "OPTIM__LR": 0.01}
    assert run("CoOp", *flags, out="learned", config=config, **learning) == 0
    learned = records(run.out)[-1]
    target = tmp_path / "eval"
    load = ["--eval-only", "--model-dir", str(run.out), "--output-dir", str(target), "DATASET.NUM_SHOTS", "-1"]
    files = ["--config-file", str(config), "--dataset-config-file", str(ROOT / "configs/datasets/oxford_pets.yaml")]
    root = ["--root", learned["settings"]["DATASET"]["ROOT"]]
    assert train.main(["--trainer", "CoOp", *files, *root, *load]) == 0
    record = records(target)[-1]
    assert record["settings"]["OPTIM"] == learned["settings"]["OPTIM"] and record["settings"]["SEED"] == 1
    assert (record["shots"], record["seed"], record["epochs"]) == (2, 1, {"run": 2, "planned": 2})
    assert record["images_trained_on"] == {"total": 20, "fewest": 2, "most": 2}
    assert record["metrics"] == learned["metrics"] and record["selection"] == "last epoch"
    (weights,) = record["weights"]
    assert (weights["file"], weights["epoch"]) == ("prompt_learner/model.pth.tar-2", 2)


def test_a_checkpoint_of_the_middle_is_named(run):
    assert run("CoOp", out="learned", OPTIM__MAX_EPOCH=2, TRAIN__CHECKPOINT_FREQ=1) == 0
    load = ["--eval-only", "--model-dir", str(run.out), "--load-epoch", "1"]
    assert run("CoOp", *load, out="eval", OPTIM__MAX_EPOCH=2) == 0
    assert records(run.out)[-1]["selection"] == "epoch 1 of 2"


def test_a_best_model_of_an_earlier_run_is_not_taken(run, tmp_path):
    assert run("CoOp", out="old", TEST__FINAL_MODEL="best_val") == 0
    best = run.out / "prompt_learner/model-best.pth.tar"
    assert run("CoOp", out="new", OPTIM__MAX_EPOCH=2) == 0
    shutil.copy(best, run.out / "prompt_learner")  # as an earlier version left it
    load = ["--eval-only", "--model-dir", str(run.out)]
    assert run("CoOp", *load, out="eval", OPTIM__MAX_EPOCH=2) == 2
    assert "different runs" in run.err and "--load-epoch 2" in run.err
    assert run("CoOp", *load, "--load-epoch", "2", out="eval", OPTIM__MAX_EPOCH=2) == 0


@pytest.mark.parametrize("trainer", ["CoOp", "CoCoOp", "LinearProbe"])
def test_nothing_learned_is_not_evaluated(run, trainer):
    assert run(trainer, "--eval-only", "--load-epoch", "50") == 2
    assert "needs --model-dir" in run.err and not (run.out / "results.json").exists()


def test_resume_needs_something_to_continue(run, tmp_path):
    (tmp_path / "empty").mkdir()
    assert run("CoOp", "--resume", str(tmp_path / "empty")) == 2
    assert "holds no checkpoint" in run.err and not (run.out / "prompt_learner").exists()


def test_a_checkpoint_that_does_not_say_how_it_was_trained(run):
    """It may be evaluated, as upstream's, with a note; it is not continued."""
    assert run("CoOp", out="learned") == 0
    expected, learned = records(run.out)[-1]["metrics"], run.out
    path = learned / "prompt_learner/model.pth.tar-1"
    checkpoint = torch.load(path, weights_only=True)
    del checkpoint["identity"]
    torch.save(checkpoint, path)
    (learned / "identity.json").unlink()
    (learned / "results.json").unlink()
    assert run("CoOp", "--eval-only", "--model-dir", str(learned), out="eval") == 0
    record = records(run.out)[-1]
    assert "does not say how it was trained" in run.stdout and record["metrics"] == expected
    assert record["shots"] is None and record["images_trained_on"] is None
    for flags in ([], ["--resume", str(learned)]):
        assert run("CoOp", *flags, out="learned") == 2
        assert "how it was trained" in run.err


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


PLUGIN = """
from dassl.data.datasets import DATASET_REGISTRY, DatasetBase
from datasets.oxford_pets import OxfordPets
from dassl.engine import TRAINER_REGISTRY
from trainers.coop import CoOp


@DATASET_REGISTRY.register()
class IgnoresShots(DatasetBase):
    def __init__(self, cfg):
        cfg = cfg.clone()
        cfg.defrost()
        cfg.DATASET.NUM_SHOTS, cfg.DATASET.SUBSAMPLE_CLASSES = -1, "all"
        own = OxfordPets(cfg)
        super().__init__(train_x=own.train_x, val=own.val, test=own.test)


@TRAINER_REGISTRY.register()
class Edited(CoOp):
    CONFIG = CoOp.CONFIG | {"FACTOR": 1.0}

    def loss(self, image, label):
        loss, numbers = super().loss(image, label)
        return loss * 1.0, numbers
"""


@pytest.fixture
def plugin(tmp_path):
    """Write a plug-in's text, to be imported by the next run; nothing stays registered afterwards."""

    def forget():
        sys.modules.pop("edited_plugin", None)
        DATASET_REGISTRY._objects.pop("IgnoresShots", None)
        TRAINER_REGISTRY._objects.pop("Edited", None)

    def write(text):
        forget()
        path = tmp_path / "edited_plugin.py"
        path.write_text(text)
        return ["--plugin", str(path)]

    yield write
    forget()


CONFIG = ROOT / "configs/trainers/CoOp/vit_b16.yaml"


def test_an_edited_plugin_is_another_run(run, plugin):
    assert run("Edited", *plugin(PLUGIN), config=CONFIG) == 0
    assert run("Edited", *plugin(PLUGIN), config=CONFIG) == 0
    assert run("Edited", *plugin(PLUGIN.replace("loss * 1.0", "loss * 2.0")), config=CONFIG) == 2
    assert "the code of edited_plugin was" in run.err
    load = ["--eval-only", "--model-dir", str(run.out)]
    assert run("Edited", *plugin(PLUGIN.replace("loss * 1.0", "loss * 2.0")), *load, out="eval", config=CONFIG) == 0
    assert "Note: the code of edited_plugin has changed since" in run.stdout


def test_shots_that_a_dataset_ignores_are_refused(run, plugin):
    flags = plugin(PLUGIN)
    assert run("CoOp", *flags, "DATASET.NAME", "IgnoresShots", DATASET__NUM_SHOTS=2) == 2
    assert "DATASET.NUM_SHOTS 2 has no effect" in run.err and not (run.out / "results.json").exists()
    assert run("CoOp", *flags, "DATASET.NAME", "IgnoresShots", DATASET__NUM_SHOTS=-1, out="all") == 0
    record = records(run.out)[-1]
    assert record["shots"] == -1 and record["images_trained_on"] == {"total": 240, "fewest": 24, "most": 24}


@pytest.mark.parametrize("flags", [[], ["--eval-only"]], ids=["train", "evaluate"])
def test_classes_that_a_dataset_does_not_select_are_refused(run, plugin, flags):
    opts = [*plugin(PLUGIN), *flags, "DATASET.NAME", "IgnoresShots"]
    settings = {"DATASET__NUM_SHOTS": -1, "DATASET__SUBSAMPLE_CLASSES": "base"}
    assert run("ZeroshotCLIP", *opts, **settings) == 2 and not (run.out / "results.json").exists()
    assert "DATASET.SUBSAMPLE_CLASSES base has no effect: IgnoresShots has 10 classes" in run.err


def test_an_image_that_was_trained_on_is_not_tested(run, small, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(small / "oxford_pets", data / "oxford_pets")
    assert run("CoOp", "--root", str(data), out="learned", DATASET__NUM_SHOTS=-1) == 0
    load = ["--eval-only", "--model-dir", str(run.out)]
    split = data / "oxford_pets/split_zhou_OxfordPets.json"
    lists = json.loads(split.read_text())
    lists["test"] += [lists["train"].pop() for _ in range(3)]
    split.write_text(json.dumps(lists))
    assert run("CoOp", "--root", str(data), *load, out="eval", DATASET__NUM_SHOTS=-1) == 2
    assert "3 of 203 test images were trained on" in run.err and not (run.out / "results.json").exists()


@pytest.mark.parametrize(
    "settings, expected",
    [
        ({"TRAINER__COOP__N_CTX": 4}, [{"name": "prompt_learner.ctx", "shape": [4, 64], "class_specific": False}]),
        (
            {"TRAINER__COOP__N_CTX": 4, "TRAINER__COOP__CSC": True},
            [{"name": "prompt_learner.ctx", "shape": [10, 4, 64], "class_specific": True}],
        ),
    ],
    ids=["shared", "class-specific"],
)
def test_the_record_says_what_was_learned(run, settings, expected):
    assert run("CoOp", **settings) == 0
    record = records(run.out)[-1]
    assert record["parameters"] == expected and record["schedule"].startswith("sgd, cosine from 0.002 over 1 epochs")


def test_code_that_was_edited_after_it_was_loaded_is_not_recorded(run, monkeypatch):
    """The process of a sweep imports trainers once for all its runs."""
    from launch import sources

    path = (ROOT / "trainers/coop.py").resolve()
    monkeypatch.setitem(sources._loaded, path, path.stat().st_mtime_ns - 1)
    assert run("CoOp") == 2
    assert "coop.py was changed while this program ran" in run.err and not (run.out / "results.json").exists()


LATE = """
from dassl.engine import TRAINER_REGISTRY
from trainers.coop import CoOp


@TRAINER_REGISTRY.register()
class Edited(CoOp):
    def loss(self, image, label):
        from late_factor import FACTOR

        loss, numbers = super().loss(image, label)
        return loss * FACTOR, numbers
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


def _own_pictures(folder):
    """train/ and test/ with two classes."""
    draw(folder / "all", 8, seed=3)
    classes = sorted(p for p in (folder / "all").iterdir() if p.is_dir())[:2]
    for each in classes:
        for i, file in enumerate(sorted(each.iterdir())):
            place = folder / "own" / ("train" if i < 5 else "test") / each.name
            place.mkdir(parents=True, exist_ok=True)
            file.rename(place / file.name)
    return folder / "own", classes[0].name


def _to_test(own, name):
    for file in sorted((own / "train" / name).iterdir())[:3]:
        file.rename(own / "test" / name / file.name)


def _to_test_of_a_renamed_class(own, name):
    _to_test(own, name)
    for part in ("train", "test"):
        (own / part / name).rename(own / part / "renamed")


def _to_another_root(own, name):
    _to_test(own, name)
    own.rename(own.with_name("moved"))


@pytest.mark.parametrize("change", [_to_test, _to_test_of_a_renamed_class, _to_another_root])
def test_own_pictures_that_were_trained_on_are_not_tested_wherever_they_are_now(run, tmp_path, change):
    own, name = _own_pictures(tmp_path)
    settings = {"dataset": "image_folder", "DATASET__NUM_SHOTS": -1}
    assert run("CoOp", "--root", str(own), out="learned", **settings) == 0
    load = ["--eval-only", "--model-dir", str(run.out)]
    own.rename(own.with_name("moved"))  # which changes nothing
    assert run("CoOp", "--root", str(own.with_name("moved")), *load, out="same", **settings) == 0
    own.with_name("moved").rename(own)
    change(own, name)
    root = own if own.exists() else own.with_name("moved")
    assert run("CoOp", "--root", str(root), *load, out="eval", **settings) == 2
    assert "3 of 9 test images" in run.err and not (run.out / "results.json").exists()


@pytest.mark.parametrize("split", ["val", "test"])
def test_every_record_says_how_its_model_was_selected(run, split):
    """The best epoch is the first: every later one has learned at an absurd rate."""
    settings = {"TEST__FINAL_MODEL": "best_val", "OPTIM__MAX_EPOCH": 3, "OPTIM__LR": 0.5, "TEST__SPLIT": split}
    assert run("CoOp", **settings) == 0
    *each, last = records(run.out)
    assert [(r["selection"], r["epochs"]["run"]) for r in each] == [
        ("epoch 1 of 3", 1), ("epoch 2 of 3", 2), ("last epoch", 3),
    ]  # fmt: skip
    assert (last["split"], last["epoch"]) == (split, None)
    assert last["selection"] == "best epoch on the validation set"
    assert last["weights"][0]["epoch"] == last["epochs"]["run"]


def test_more_shots_than_there_are_images_are_said(run):
    assert run("CoOp", DATASET__NUM_SHOTS=500) == 0
    most = records(run.out)[-1]["images_trained_on"]["most"]
    assert f"no class has 500 training images; up to {most} of a class are trained on" in run.stdout


def test_what_a_run_has_read_outside_of_the_data_is_listed(run, tmp_path):
    """A list of own pictures may lie anywhere, and so may the selection of shots."""
    own, _ = _own_pictures(tmp_path)
    files = [(p.relative_to(own), p.parent.name) for p in sorted(own.rglob("*.*")) if p.suffix != ".json"]
    table = tmp_path / "list.csv"
    rows = [f"{path},{name},{path.parts[0]}" for path, name in files]
    table.write_text("\n".join(["path,label,split", *rows]) + "\n")
    root = ["--root", str(own)]
    assert run("CoOp", *root, dataset="image_folder", DATASET__LIST_FILE=table) == 0, run.err
    listed = json.loads((run.out / "sources.json").read_text())["files"]
    assert str(table) in listed and any("split_fewshot" in file for file in listed)
