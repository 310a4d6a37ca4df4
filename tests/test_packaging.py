"""The installed package: what it holds, what it finds from an empty folder, and names of version 0.1."""

import re
import subprocess
import sys
import warnings
import zipfile
from pathlib import Path

import pytest

from clip_prompts import legacy_imports
from tests.conftest import ROOT

DATA = ("backbones/tiny/tiny.safetensors", "backbones/tiny/MODEL_CARD.md", "report/published.json",
        "report/page/page.html", "report/page/page.css", "report/page/page.js")  # fmt: skip


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The distribution as ``pip install .`` builds it, from a copy without what earlier builds left."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    subprocess.run(["cp", "-r", "--parents", "clip_prompts", "pyproject.toml", "README.md", "engine/VERSION", source],
                   cwd=ROOT, check=source.mkdir() or True)  # fmt: skip
    build = [sys.executable, "-c", "from setuptools.build_meta import build_wheel; build_wheel('..')"]
    subprocess.run(build, cwd=source, check=True, capture_output=True)
    return next(folder.glob("*.whl"))


def test_the_distribution_holds_the_package_and_its_data_and_nothing_else(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"clip_prompts"}
    assert {f"clip_prompts/{name}" for name in DATA} <= set(names)


def test_the_package_works_from_an_empty_folder(wheel, tmp_path):
    code = "import clip_prompts, sys; print(clip_prompts.__version__, clip_prompts.__file__)\nimport datasets"
    (tmp_path / "empty").mkdir()
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    env = {"PYTHONPATH": str(tmp_path / "site")}
    done = subprocess.run(
        [sys.executable, "-S", "-c", code], cwd=tmp_path / "empty", env=env, capture_output=True, text=True
    )
    version = (ROOT / "engine/VERSION").read_text().strip()
    assert done.stdout.split() == [version, str(tmp_path / "site/clip_prompts/__init__.py")]
    assert done.stderr.splitlines()[-1] == "ModuleNotFoundError: No module named 'datasets'"


def test_a_program_outside_a_checkout_says_so_in_one_line(wheel, tmp_path):
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    code = "from clip_prompts.run.checkout import load_checkout; load_checkout()"
    env = {"PYTHONPATH": f"{tmp_path / 'site'}:{ROOT / 'engine'}"}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=env, capture_output=True, text=True)
    assert "is not a checkout of the repository" in done.stderr.splitlines()[-1]


def test_engine_and_plugin_have_one_version():
    for file in ("pyproject.toml", "engine/pyproject.toml"):
        text = (ROOT / file).read_text()
        (named,) = re.findall(r'^version = {file = "(.*)"}', text.replace("{ ", "{").replace(" }", "}"), re.M)
        assert ((ROOT / file).parent / named).samefile(ROOT / "engine/VERSION")


@pytest.fixture
def legacy(monkeypatch):
    """Old modules are not imported yet."""
    for name in list(sys.modules):
        if legacy_imports.new_places(name):
            monkeypatch.delitem(sys.modules, name)
    legacy_imports.install()


def old_import(line: str) -> tuple[dict, list[str]]:
    """Names that a line imports, and the warnings that it gives."""
    names: dict = {}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        exec(line, names)
    return names, [str(warning.message) for warning in caught]


@pytest.mark.parametrize(
    "line, new",
    [
        ("from trainers.clip.base import CLIPTrainer as X", "clip_prompts.clip.trainer.CLIPTrainer"),
        ("from trainers.clip.base import PromptTrainer as X", "clip_prompts.clip.legacy.PromptTrainer"),
        ("from trainers.clip.prompts import PromptLearner as X", "clip_prompts.clip.learners.PromptLearner"),
        ("from trainers.clip.prompts import encode_texts as X", "clip_prompts.clip.teacher.encode_texts"),
        ("from trainers.clip.model import PromptedCLIP as X", "clip_prompts.clip.model.PromptedCLIP"),
        ("from trainers.clip.templates import fill as X", "clip_prompts.clip.templates.fill"),
        ("from trainers.clip.text_encoder import TextEncoder as X", "clip_prompts.encoders.text_encoder.TextEncoder"),
        ("from trainers.clip.backbone import load_clip as X", "clip_prompts.backbones.loading.load_clip"),
        ("from datasets.core import BenchmarkDataset as X", "clip_prompts.data.benchmark.BenchmarkDataset"),
        ("from datasets.core.split_file import read_split as X", "clip_prompts.data.split_file.read_split"),
        ("from common.errors import unknown as X", "clip_prompts.common.errors.unknown"),
    ],
)
def test_old_import_paths_work_and_name_the_new_place(line, new, legacy):
    names, said = old_import(line)
    assert f"{names['X'].__module__}.{names['X'].__qualname__}" == new
    assert said and "is now clip_prompts." in said[-1] and "0.3" in said[-1]


@pytest.mark.parametrize("old", legacy_imports.MOVED)
def test_every_old_module_has_its_names(old, legacy):
    names, said = old_import(f"from {old} import *")
    assert len(names) > 1 and said


def test_a_name_that_is_gone_says_where_it_was_looked_for(legacy):
    with pytest.raises(ImportError):
        old_import("from trainers.clip.model import NoSuchName")
    with pytest.raises(ModuleNotFoundError):
        old_import("import trainers.clip.no_such_module")
    with pytest.raises(ModuleNotFoundError):
        old_import("import common.no_such_module")


def test_habits_of_coops_descendants(legacy):
    from clip_prompts.run.config import default_config

    names, _ = old_import("from trainers.coop import CoOp, load_clip_to_cpu")
    cfg = default_config()
    cfg.MODEL.BACKBONE.NAME = "tiny"
    model = names["load_clip_to_cpu"](cfg)
    assert all(p.device.type == "cpu" and p.requires_grad for p in model.parameters())
    names, _ = old_import("from trainers.imagenet_templates import IMAGENET_TEMPLATES, IMAGENET_TEMPLATES_SELECT")
    assert len(names["IMAGENET_TEMPLATES_SELECT"]) == 7 and "itap of a {}." in names["IMAGENET_TEMPLATES_SELECT"]
    assert len(set(names["IMAGENET_TEMPLATES"])) == 80
