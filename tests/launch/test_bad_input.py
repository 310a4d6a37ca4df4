"""Bad input: one clear line, exit status 2, no traceback."""

import json
import os
import shutil

import pytest
import torch

from tests.conftest import ROOT

pytestmark = pytest.mark.integration


def assert_one_line(run, *parts):
    assert run.status == 2, run.stdout[-2000:] + run.err
    line = run.err.strip().splitlines()[-1]
    assert line.startswith("Error: ")
    assert "Traceback" not in run.err + run.stdout
    for part in parts:
        assert part in line


@pytest.fixture
def learned(run):
    """Output folder of a trained CoOp with 4 context vectors, all classes."""
    assert run("CoOp", out="learned", TRAINER__COOP__N_CTX=4) == 0
    return run.out


@pytest.fixture
def pets(small, tmp_path):
    """A copy of the dataset that a test may damage; gives its root."""
    shutil.copytree(small / "oxford_pets", tmp_path / "data" / "oxford_pets")
    return tmp_path / "data"


@pytest.mark.parametrize(
    "flags, parts",
    [
        (["--trainer", "CoOP"], ["Unknown trainer 'CoOP'", "Did you mean 'CoOp'", "CoCoOp"]),
        (["DATASET.NAME", "OxfordPet"], ["Unknown dataset 'OxfordPet'", "Did you mean 'OxfordPets'"]),
        (["--backbone", "ViT-B16"], ["Unknown backbone 'ViT-B16'", "Did you mean 'ViT-B/16'"]),
        (["--backbone", "/nowhere/clip.pt"], ["/nowhere/clip.pt", "does not exist"]),
        (["TRAINER.COOP.NCTX", "4"], ["Unknown config key 'TRAINER.COOP.NCTX'", "Did you mean 'TRAINER.COOP.N_CTX'"]),
        (["TRAINER.COOP", "4"], ["'TRAINER.COOP'", "group of settings"]),
        (["TRAINER.COOP.N_CTX", "four"], ["TRAINER.COOP.N_CTX", "four"]),
        (["DATASET.TEMPLATE", "{{}}"], ["DATASET.TEMPLATE", "{{}}"]),
        (["TRAINER.COOP.N_CTX"], ["pairs", "TRAINER.COOP.N_CTX"]),
        (["TRAINER.COOP.N_CTX", "0"], ["at least one context vector"]),
        (["TRAINER.COOP.CLASS_TOKEN_POSITION", "centre"], ["'centre'", "end, front, middle"]),
        (["TRAINER.COOP.PREC", "fp64"], ["'fp64'", "fp32"]),
        (["INPUT.TRANSFORMS", "('random_flop',)"], ["Unknown transform 'random_flop'", "Did you mean 'random_flip'"]),
        (["OPTIM.LR_SCHEDULER", "cosin"], ["cosin", "Did you mean 'cosine'"]),
        (["OPTIM.NAME", "sdg"], ["sdg", "Did you mean 'sgd'"]),
        (["OPTIM.WARMUP_TYPE", "const"], ["const", "Did you mean 'constant'"]),
        (["DATASET.SUBSAMPLE_CLASSES", "old"], ["old", "base"]),
        (["INPUT.SIZE", "(224, 224)"], ["(224, 224)", "(32, 32)"]),
        (["--root", "/nowhere"], ["/nowhere"]),
        (["--resume", "/nowhere"], ["/nowhere", "--resume"]),
        (["--config-file", "configs/trainers/CoOp/vit.yaml"], ["vit.yaml"]),
        (["--plugin", "no_such_module"], ["no_such_module"]),
        (["--eval-only", "--model-dir", "/nowhere"], ["/nowhere", "--model-dir"]),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else None,
)
def test_names_and_values(flags, parts, run):
    run("CoOp", *(flags if flags[0].startswith("--") else ()), opts=() if flags[0].startswith("--") else flags)
    assert_one_line(run, *parts)


def test_output_folder_not_writable(run, tmp_path):
    (tmp_path / "file").write_text("")
    run("CoOp", out="file/run")
    assert_one_line(run, str(tmp_path / "file"))


def test_missing_image_of_the_split(run, pets):
    (pets / "oxford_pets/images/beagle_3.jpg").unlink()
    run("CoOp", "--root", str(pets))
    assert_one_line(run, "beagle_3.jpg")


def test_no_images(run, pets):
    shutil.rmtree(pets / "oxford_pets/images")
    run("CoOp", "--root", str(pets))
    assert_one_line(run, "images")


def test_empty_class(run, pets):
    split = pets / "oxford_pets/split_zhou_OxfordPets.json"
    content = json.loads(split.read_text())
    content["train"] = [item for item in content["train"] if item[1] != 3]
    split.write_text(json.dumps(content))
    run("CoOp", "--root", str(pets))
    assert_one_line(run, "beagle")


@pytest.mark.parametrize("workers", (0, 1))
def test_truncated_image(run, pets, workers):
    for image in (pets / "oxford_pets/images").glob("Bengal_*.jpg"):
        image.write_bytes(image.read_bytes()[:400])
    run("CoOp", "--root", str(pets), DATALOADER__NUM_WORKERS=workers)
    assert_one_line(run, "Bengal_", ".jpg")


@pytest.mark.parametrize("subset", ("base", "new"))
def test_class_specific_context_of_other_classes(run, subset):
    """Base and new have equally many classes here: the number alone does not tell them apart."""
    other = {"base": "new", "new": "base"}[subset]
    assert run("CoOp", out="csc", TRAINER__COOP__CSC=True, DATASET__SUBSAMPLE_CLASSES=subset) == 0
    learned = run.out
    settings = {"TRAINER__COOP__CSC": True, "DATASET__SUBSAMPLE_CLASSES": subset}
    assert run("CoOp", "--eval-only", "--model-dir", str(learned), out="same", **settings) == 0
    settings["DATASET__SUBSAMPLE_CLASSES"] = other
    run("CoOp", "--eval-only", "--model-dir", str(learned), out="other", **settings)
    assert_one_line(run, "class-specific", "other classes")


def test_class_name_too_long(run, pets):
    split = pets / "oxford_pets/split_zhou_OxfordPets.json"
    name = "very " * 80 + "beagle"
    split.write_text(split.read_text().replace("beagle", name).replace(f"{name}_", "beagle_"))
    run("CoOp", "--root", str(pets))
    assert_one_line(run, "Class name too long", name, "77")


def test_checkpoint_of_another_context_length(run, learned):
    run("CoOp", "--eval-only", "--model-dir", str(learned), out="eval", TRAINER__COOP__N_CTX=8)
    assert_one_line(run, "TRAINER.COOP.N_CTX was 4, now it is 8")


def test_checkpoint_of_another_width(run, learned):
    path = learned / "prompt_learner/model.pth.tar-1"
    checkpoint = torch.load(path, weights_only=True)
    checkpoint["state_dict"]["ctx"] = torch.zeros(4, 512)
    torch.save(checkpoint, path)
    run("CoOp", "--eval-only", "--model-dir", str(learned), out="eval", TRAINER__COOP__N_CTX=4)
    assert_one_line(run, "512", "64", "backbone")


def test_checkpoint_of_another_method(run, learned):
    run("CoCoOp", "--eval-only", "--model-dir", str(learned), out="eval", TRAINER__COCOOP__N_CTX=4)
    assert_one_line(run, "TRAINER.NAME was CoOp, now it is CoCoOp")


@pytest.mark.parametrize("content", (b"", b"not a checkpoint", None), ids=("empty", "text", "cut in half"))
def test_corrupt_checkpoint(run, learned, content):
    path = learned / "prompt_learner/model.pth.tar-1"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2] if content is None else content)
    run("CoOp", "--eval-only", "--model-dir", str(learned), out="eval", TRAINER__COOP__N_CTX=4)
    assert_one_line(run, str(path))


def test_load_epoch_that_does_not_exist(run, learned):
    run("CoOp", "--eval-only", "--model-dir", str(learned), "--load-epoch", "50", out="eval", TRAINER__COOP__N_CTX=4)
    assert_one_line(run, "50", "Epochs there (--load-epoch): 1")


@pytest.mark.parametrize("content", (b"", b"text", None), ids=("empty", "text", "not CLIP"))
def test_backbone_file_that_is_not_clip(run, tmp_path, content):
    path = tmp_path / "backbone.pt"
    if content is None:
        torch.save({"state_dict": {"weight": torch.zeros(2)}}, path)
    else:
        path.write_bytes(content)
    run("CoOp", "--backbone", str(path))
    assert_one_line(run, str(path))


@pytest.mark.parametrize("trainer", ("CoOp", "CoCoOp"))
def test_non_finite_loss_names_the_images_and_keeps_the_checkpoint(run, trainer):
    """After a calm first epoch (warm-up) the rate overflows the context, and the next loss is not finite."""
    settings = {"OPTIM__MAX_EPOCH": 3, "OPTIM__LR": 1e38, "TRAIN__CHECKPOINT_FREQ": 1}
    run(trainer, **settings, DATALOADER__TRAIN_X__BATCH_SIZE=2)
    assert_one_line(run, "infinite or NaN", "epoch 2", ".jpg", "model.pth.tar-1")
    assert [f.name for f in (run.out / "prompt_learner").glob("model*")] == ["model.pth.tar-1"]
    assert run(trainer, "--eval-only", "--model-dir", str(run.out), out="eval", **settings) == 0


def test_config_file_that_is_not_yaml(run, tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_text("OPTIM: [")
    run("CoOp", config=path)
    assert_one_line(run, "bad.yaml", "YAML")


def test_config_file_that_would_be_executed(run, tmp_path):
    path = tmp_path / "config.py"
    path.write_text(f"open({str(tmp_path / 'executed')!r}, 'w')\ncfg = {{}}\n")
    run("CoOp", config=path)
    assert_one_line(run, "config.py", "not a YAML file")
    assert not (tmp_path / "executed").exists()


def test_error_as_a_program(small, tmp_path):
    """The same through a real process: status, one line, nothing else on stderr."""
    import subprocess
    import sys

    command = [sys.executable, "-W", "ignore", str(ROOT / "train.py"), "--trainer", "CoOP"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env={**os.environ})
    assert done.returncode == 2
    assert done.stderr.startswith("Error: No dataset given") or done.stderr.startswith("Error: Unknown trainer")
    assert len(done.stderr.strip().splitlines()) == 1
