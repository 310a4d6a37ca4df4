"""The notebook runs from top to bottom in a fresh kernel, learns something, and is stored without outputs."""

import re

import nbformat
import pytest
from nbclient import NotebookClient

from tests.conftest import ROOT

NOTEBOOK = ROOT / "examples/own_pictures.ipynb"


@pytest.fixture
def notebook():
    content = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(content)
    return content


def test_the_notebook_is_stored_without_outputs(notebook):
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert cells and not any(cell.outputs or cell.execution_count for cell in cells)


def test_files_that_the_notebook_names_exist(notebook):
    text = "\n".join(cell.source for cell in notebook.cells)
    links = re.findall(r"\]\(([^)\s]+)\)", text)
    assert links and all((NOTEBOOK.parent / link).is_file() for link in links)
    configs = re.findall(r'^CONFIG = "(\w+)"', text, re.M)
    assert len(configs) == 2 and all((ROOT / f"configs/trainers/CoOp/{name}.yaml").is_file() for name in configs)


@pytest.mark.slow
def test_the_notebook_runs(notebook, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}:{ROOT / 'engine'}")
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": tmp_path}}).execute()
    outputs = {cell.id: cell.outputs for cell in notebook.cells if cell.cell_type == "code"}
    printed = {name: "".join(out.get("text", "") for out in found) for name, found in outputs.items()}
    learned, zero_shot = (float(number) for number in re.findall(r": +([\d.]+) %", printed["load"]))
    assert "Warning" not in printed["load"]
    assert learned > zero_shot + 2 and f"accuracy: {learned:.1f}%" in printed["train"]
    for name in ("look", "bars"):
        assert any("image/png" in out.get("data", {}) for out in outputs[name])
    assert (tmp_path / "output/notebook/prompt/prompt_model.safetensors").is_file()
    assert "class matrix: (8, " in printed["export"]
