"""A prompt as one ONNX graph classifies the test images as the run did; what differs from PyTorch is not written."""

import csv
import json
import sys

import onnxruntime
import pytest
import torch

from clip_prompts import load_prompt
from clip_prompts.common.errors import UserError
from clip_prompts.prompt import onnx_graph as module
from clip_prompts.prompt.cli import main
from clip_prompts.prompt.onnx_graph import onnx_graph

from .conftest import config_of

FLAGS = ("--backbone", "tiny")
OF_TRAINING = {"DATASET__SUBSAMPLE_CLASSES": "base"}
KINDS = [
    ("CoOp", {}),  # text features, and a frozen image encoder
    ("DePT", {"TRAINER__DEPT__BASE": "MaPLe", **OF_TRAINING}),  # rows inside the image encoder, and a head
    ("LinearProbe", {}),  # another function of features that are not normalized
    ("ZeroshotCLIP", {}),  # nothing is learned
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("method,settings", KINDS, ids=[method for method, _ in KINDS])
def test_the_graph_predicts_as_the_run_did(run, small, tmp_path, capsys, method, settings):
    assert run(method, *FLAGS, config=config_of(method), TEST__SAVE_PREDICTIONS=True, **settings) == 0, run.err
    with open(run.out / "predictions.csv", newline="") as lines:
        rows = list(csv.DictReader(lines))
    file = tmp_path / "new" / "classifier.onnx"
    assert main(["onnx", str(run.out), "--out", str(file)]) == 0
    assert "differ from PyTorch's by at most" in capsys.readouterr().out
    assert [entry.name for entry in file.parent.iterdir()] == ["classifier.onnx"]

    prompt = load_prompt(run.out)
    assert prompt.trainer.learner.scores_are_logits == (method != "DePT")
    session = onnxruntime.InferenceSession(file)
    images = prompt.inputs([small / "oxford_pets/images" / row["path"] for row in rows])
    (logits,) = session.run(["logits"], {"image": images.numpy()})
    assert logits.argmax(axis=1).tolist() == [int(row["prediction_index"]) for row in rows]
    probabilities = torch.from_numpy(logits).softmax(dim=1).max(dim=1).values.tolist()
    assert probabilities == pytest.approx([float(row["probability"]) for row in rows], abs=1e-4)
    facts = session.get_modelmeta().custom_metadata_map
    assert json.loads(facts["classes"]) == prompt.classes and facts["method"] == method
    assert json.loads(facts["preprocess"]) == prompt.config["preprocess"]
    assert (facts["backbone"], facts["clip_prompt"]) == ("tiny", "1.0")


def test_a_prompt_that_depends_on_the_image_is_refused(run, tmp_path, capsys):
    run("CoCoOp")
    assert main(["onnx", str(run.out), "--out", str(tmp_path / "c.onnx")]) == 2
    assert "CoCoOp makes its text features from each image" in capsys.readouterr().err
    assert not (tmp_path / "c.onnx").exists()


def test_a_graph_that_differs_from_pytorch_is_not_written(run, small, tmp_path, capsys, monkeypatch):
    run("CoOp")

    class Wrong(module.Scores):
        """Traced and run by PyTorch with different results, as a wrong operator would give."""

        def forward(self, image):
            return super().forward(image) + 0.01 * torch.compiler.is_compiling()

    picture = next((small / "oxford_pets/images").glob("*.jpg"))
    command = ["onnx", str(run.out), "--check", str(picture), "--out"]
    monkeypatch.setattr(module, "Scores", Wrong)
    assert main([*command, str(tmp_path / "wrong.onnx")]) == 2
    assert "The exported graph and PyTorch differ, in a logit by 0.01" in capsys.readouterr().err
    assert not (tmp_path / "wrong.onnx").exists()


def test_what_is_missing_or_does_not_fit_is_one_line(run, tmp_path, monkeypatch, capsys):
    run("CoOp")
    assert main(["onnx", str(run.out), "--out", str(tmp_path / "c.bin")]) == 2
    assert "does not end in .onnx" in capsys.readouterr().err
    prompt = load_prompt(run.out, precision="fp32", device="cpu")
    with monkeypatch.context() as patch:
        patch.setattr(module, "MOST", 1000)
        with pytest.raises(UserError, match="one ONNX file holds at most 2 GB"):
            onnx_graph(prompt)
    prompt.trainer.precision.name = "bf16"
    with pytest.raises(UserError, match='Load the prompt with device="cpu", precision="fp32"'):
        onnx_graph(prompt)
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(UserError, match="ONNX needs onnxscript: pip install onnx onnxscript onnxruntime"):
        onnx_graph(prompt)
