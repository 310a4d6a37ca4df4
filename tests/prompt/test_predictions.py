"""A shared prompt gives the predictions of the run that learned it, image by image, wherever its folder is."""

import csv
import shutil

import pytest
import torch

from clip_prompts import load_prompt
from clip_prompts.artifact.reading import read_prompt
from clip_prompts.common.errors import UserError

from .conftest import cases, config_of


@pytest.mark.parametrize("method,settings", cases(), ids=lambda case: str(case) if isinstance(case, str) else "")
def test_the_file_alone_predicts_as_the_run_did(run, small, tmp_path, method, settings):
    flags = ("--backbone", "tiny")
    assert run(method, *flags, config=config_of(method), TEST__SAVE_PREDICTIONS=True, **settings) == 0, run.err
    with open(run.out / "predictions.csv", newline="") as lines:
        rows = list(csv.DictReader(lines))
    of_run = load_prompt(run.out)
    folder = shutil.move(run.out / "prompt", tmp_path / "elsewhere")
    shutil.rmtree(run.out)

    prompt = load_prompt(folder)
    found = prompt.predict([small / "oxford_pets/images" / row["path"] for row in rows], top=1)
    assert [p.indices[0] for p in found] == [int(row["prediction_index"]) for row in rows]
    assert [p.probability for p in found] == pytest.approx([float(row["probability"]) for row in rows], abs=1e-5)
    assert {p.name for p in found} <= set(of_run.classes)

    prompt.save(tmp_path / "saved")
    again = read_prompt(tmp_path / "saved").tensors
    assert {name: value.tolist() for name, value in again.items()} == {
        name: value.tolist() for name, value in read_prompt(folder).tensors.items()
    }


def test_rows_of_the_classifier_give_the_same_logits(run, small):
    run("CoOp")
    prompt = load_prompt(run.out)
    pictures = sorted((small / "oxford_pets/images").glob("*.jpg"))[:20]
    logits = prompt.config["logit"]["scale"] * prompt.features(pictures) @ prompt.classifier().T
    torch.testing.assert_close(logits.softmax(dim=1), prompt.probabilities_of(prompt.features_raw(pictures)))


def test_a_file_of_weights_is_found_from_the_run_or_named(run, small, tmp_path):
    run("CoOp")
    prompt = load_prompt(run.out)  # the run says where its weights are
    folder = shutil.move(run.out / "prompt", tmp_path / "elsewhere")
    with pytest.raises(UserError, match="does not exist|Unknown backbone 'tiny_clip.pt'"):
        load_prompt(folder)
    with pytest.raises(UserError, match=r"other weights \(SHA-256 .* than those of backbone 'tiny'"):
        load_prompt(folder, backbone="tiny")
    with pytest.raises(UserError, match="The backbone 'tiny' has .*, and the prompt was learned with"):
        load_prompt(folder, backbone="tiny", allow_other_weights=True)
    pictures = sorted((small / "oxford_pets/images").glob("*.jpg"))[:3]
    assert load_prompt(folder, backbone=str(small / "tiny_clip.pt")).predict(pictures) == prompt.predict(pictures)


@pytest.mark.parametrize("steps", ["('random_flip',)", "('normalize', 'instance_norm')"])
def test_other_transforms_and_the_best_epoch_are_those_of_the_run(run, small, steps):
    settings = {"TEST__SAVE_PREDICTIONS": True, "TEST__FINAL_MODEL": "best_val", "OPTIM__MAX_EPOCH": 3}
    assert run("CoOp", INPUT__TRANSFORMS=steps, **settings) == 0, run.err
    with open(run.out / "predictions.csv", newline="") as lines:
        rows = list(csv.DictReader(lines))
    pictures = [small / "oxford_pets/images" / row["path"] for row in rows]
    expected = pytest.approx([float(row["probability"]) for row in rows], abs=1e-5)
    assert [p.probability for p in load_prompt(run.out).predict(pictures)] == expected
    shutil.rmtree(run.out / "prompt")  # as a run of an earlier version
    assert [p.probability for p in load_prompt(run.out).predict(pictures)] == expected
