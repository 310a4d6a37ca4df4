"""A sweep believes that a run is done only while all that determined its result is as it was."""

import importlib
import json
import os
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from dassl.config import get_cfg_default

from clip_prompts.records import sources
from tests.tools import sweeps
from tools import sweep

pytestmark = pytest.mark.integration

TRAINER = """
from dassl.engine import TRAINER_REGISTRY
from trainers.coop import CoOp


@TRAINER_REGISTRY.register()
class Halved(CoOp):
    def loss_terms(self, seen, label):
        return {name: loss * 0.5 for name, loss in super().loss_terms(seen, label).items()}
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished base and new run of a plug-in trainer on own pictures, and the command."""
    folder = tmp_path_factory.mktemp("finished")
    sweeps.prepare(folder)
    (folder / "halved.py").write_text(TRAINER)
    argv = _argv(folder)
    assert sweep.main(argv) == 0
    return folder


def _argv(folder):
    return [
        "base2new", "Halved", str(folder / "mine.yaml"), str(folder / "short.yaml"), "--shots", "2", "--seeds", "1",
        "--plugin", str(folder / "halved.py"), "--output", str(folder / "out"), "--root", str(folder / "pictures"),
        "--jobs", "2", "--no-report",
    ]  # fmt: skip


@pytest.fixture
def copy(finished, tmp_path, capfd):
    """A copy of it, checked once: times and inodes of the files are new."""
    folder = tmp_path / "copy"
    shutil.copytree(finished, folder)
    assert sweep.main(_argv(folder)) == 0
    assert not list(folder.rglob(".earlier-*"))
    capfd.readouterr()
    return folder


def _records(folder):
    return {r[-1]["classes"]: r[-1] for r in map(json.loads, (p.read_text() for p in folder.rglob("results.json")))}


def test_nothing_changed(copy, capfd):
    before = {p: p.stat().st_mtime_ns for p in copy.rglob("*.json")}
    assert sweep.main(_argv(copy)) == 0
    assert "2 of 2 runs are done already" in "".join(capfd.readouterr())
    assert {p: p.stat().st_mtime_ns for p in before if p.name != "sweep.json"} == {
        p: t for p, t in before.items() if p.name != "sweep.json"
    }


def test_a_renamed_root_is_the_same_data(copy, capfd):
    before = _records(copy)
    (copy / "pictures").rename(copy / "renamed")
    argv = [part.replace("/pictures", "/renamed") for part in _argv(copy)]
    assert sweep.main(argv) == 0
    assert _records(copy) == before


def _add_a_picture(folder):
    source = next((folder / "pictures").rglob("*.png"), None) or next((folder / "pictures").rglob("*.jpg"))
    target = source.with_name(f"added{source.suffix}")
    target.write_bytes(source.read_bytes() + b"\0")


def _edit_the_trainer(folder):
    (folder / "halved.py").write_text(TRAINER.replace("0.5", "0.25"))


def _exchange_two_pictures(folder):
    classes = sorted(p for p in (folder / "pictures").iterdir() if p.is_dir())
    files = [sorted(c.iterdir())[0] for c in classes[:2]]
    contents = [f.read_bytes() for f in files]
    for file, content in zip(files, reversed(contents), strict=True):
        stat = file.stat()
        file.write_bytes(content)
        os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def _change_the_config(folder):
    config = folder / "short.yaml"
    config.write_text(config.read_text().replace("LR: 0.002", "LR: 0.02"))


@pytest.mark.parametrize("change", [_edit_the_trainer, _add_a_picture, _exchange_two_pictures, _change_the_config])
def test_a_change_makes_the_run_again(copy, capfd, change):
    before = _records(copy)
    change(copy)
    assert sweep.main([*_argv(copy), "--dry-run"]) == 0
    assert " done" not in capfd.readouterr().out.splitlines()[-1].replace("changed", "")
    assert sweep.main(_argv(copy)) == 0
    after = _records(copy)
    assert {c: r["identity"] for c, r in after.items()} != {c: r["identity"] for c, r in before.items()}
    assert after["base"]["identity"] != before["base"]["identity"]
    aside = [json.loads(p.read_text())[-1] for p in copy.rglob(".earlier-*/results.json.earlier")]
    assert before["base"] in aside
    assert sweep.main(_argv(copy)) == 0 and _records(copy) == after  # and now it is done


def test_pictures_of_one_archive_that_are_exchanged(copy):
    """They have the same size and the same time."""
    classes = sorted(p for p in (copy / "pictures").iterdir() if p.is_dir())
    files = [sorted(c.iterdir())[0] for c in classes[:2]]
    size = max(f.stat().st_size for f in files)
    for file in files:
        file.write_bytes(file.read_bytes().ljust(size, b"\0"))
        os.utime(file, (1, 1))
    assert sweep.main(_argv(copy)) == 0
    before = _records(copy)
    files[0].rename(copy / "between")
    files[1].rename(files[0])
    (copy / "between").rename(files[1])
    sources._folder.cache_clear()  # a new process looks for itself
    assert sweep.main(_argv(copy)) == 0
    assert _records(copy)["base"]["identity"] != before["base"]["identity"]


def test_another_root_is_another_run(copy, tmp_path):
    before = _records(copy)
    sweeps.draw(tmp_path / "others", 6, seed=5)
    argv = [part.replace(str(copy / "pictures"), str(tmp_path / "others")) for part in _argv(copy)]
    assert sweep.main(argv) == 0
    found = [json.loads(p.read_text())[-1] for p in copy.rglob("results.json")]
    assert {r["hashes"]["test"] for r in found} - {r["hashes"]["test"] for r in before.values()}


DISTURBED = (
    "import os\n"
    + TRAINER.replace("Halved", "Disturbed")
    + """
    def before_train(self):
        super().before_train()
        if os.path.exists(os.path.join(os.path.dirname(__file__), "disturb")):
            with open(self.dm.dataset.test[0].impath, "ab") as file:
                file.write(b"0")
"""
)


def test_pictures_that_change_while_a_run_learns_are_not_what_it_has_read(tmp_path, capfd):
    sweeps.prepare(tmp_path)
    (tmp_path / "halved.py").write_text(DISTURBED)
    argv = [part.replace("Halved", "Disturbed") for part in _argv(tmp_path)]
    (tmp_path / "disturb").touch()
    assert sweep.main(argv) == 0
    (tmp_path / "disturb").unlink()
    sources._folder.cache_clear()  # a new process looks for itself
    capfd.readouterr()
    assert sweep.main(argv) == 0
    assert "finished runs are checked again" in "".join(capfd.readouterr())


@pytest.mark.parametrize("name", ("rates.yaml", "names.json"))
def test_a_table_that_code_reads_is_among_what_a_run_has_read(name, tmp_path, monkeypatch):
    """The engine's default settings are such a table."""
    package = tmp_path / "code_with_a_table"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / name).write_text("1")
    (tmp_path / "pictures").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(sys.modules, package.name, None)  # whatever happens to the entry is undone at the end
    monkeypatch.delitem(sys.modules, package.name)
    importlib.import_module(package.name)
    dataset = SimpleNamespace(dataset_dir=str(tmp_path / "pictures"))
    trainer = SimpleNamespace(dm=SimpleNamespace(dataset=dataset))
    sources.write_sources(str(tmp_path), trainer, get_cfg_default(), [], with_look=True)
    found = json.loads((tmp_path / sources.FILE).read_text())
    assert {Path(file).name for file in found["files"]} >= {name, "defaults.yaml"}
    assert sources.look(found) == found["look"]
    (package / name).write_text("2")
    assert sources.look(found) != found["look"]
