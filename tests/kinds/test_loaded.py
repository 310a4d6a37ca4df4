"""A checkpoint is evaluated under the circumstances in which it was learned, and never on its own images."""

import json
import shutil

import pytest
import torch

import train
from tests.conftest import ROOT
from tests.kinds.runs import own_pictures, records

pytestmark = pytest.mark.integration


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
    own, name = own_pictures(tmp_path)
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
