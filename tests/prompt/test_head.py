"""Files with the class matrix: the same rows in each format. Other software reads them in test_export_page.py."""

import json

import numpy as np
import pytest
from safetensors import safe_open

from clip_prompts import load_prompt
from clip_prompts.prompt.cli import main

from .conftest import config_of


def test_all_formats_hold_the_rows_of_the_classifier(run, tmp_path):
    run("CoOp")
    prompt = load_prompt(run.out)
    for suffix in (".npy", ".npz", ".safetensors"):
        assert main(["head", str(run.out), "--to", str(tmp_path / f"w{suffix}")]) == 0
    rows = np.load(tmp_path / "w.npy", allow_pickle=False)
    assert rows.dtype == np.float32 and np.array_equal(rows, prompt.classifier().numpy())
    assert np.linalg.norm(rows, axis=1) == pytest.approx(1)
    scale = prompt.config["logit"]["scale"]
    with np.load(tmp_path / "w.npz", allow_pickle=False) as found:
        assert np.array_equal(found["weight"], rows) and found["names"].tolist() == prompt.classes
        assert float(found["scale"]) == pytest.approx(scale)
    with safe_open(tmp_path / "w.safetensors", framework="numpy") as found:
        facts = found.metadata()
        assert np.array_equal(found.get_tensor("weight"), rows) and json.loads(facts["classes"]) == prompt.classes
        assert float(facts["scale"]) == scale and facts["method"] == "CoOp"


@pytest.mark.parametrize(
    "method,reason",
    [
        ("VPT", "VPT also learns prompts inside the image encoder"),
        ("CoCoOp", "its text features depend on the image"),
        ("LinearProbe", "its rows classify features that are not normalized"),
    ],
)
def test_methods_without_a_matrix_say_why(run, tmp_path, capsys, method, reason):
    run(method, "--backbone", "tiny", config=config_of(method))
    assert main(["head", str(run.out), "--to", str(tmp_path / "w.npy")]) == 2
    assert reason in capsys.readouterr().err and not (tmp_path / "w.npy").exists()
