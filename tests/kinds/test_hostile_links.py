"""Nothing is written through a link inside an output folder; the folder itself may be a link."""

import json
import os

import pytest
import torch
from dassl.engine import mid_epoch
from dassl.engine.base import TrainerBase
from dassl.utils import Logger, OutputError, setup_logger
from torch import nn

from clip_prompts.common.errors import UserError
from clip_prompts.common.files import FileRefused, check_output_folder, open_to_write
from clip_prompts.data.fewshot import FewShotStore
from clip_prompts.sweep import plan
from clip_prompts.sweep.job import Job
from clip_prompts.sweep.state import lock, presence
from tests.kinds.limits import SPECIAL, is_one_line, limited

pytestmark = pytest.mark.integration

# Whatever a run or a sweep writes into the folder of a run.
FILES = (
    "log.txt", "results.json", "curve.json", "predictions.csv", "cmat.pt", ".lock", "console.txt", "done.json",
    "failed.json", "job.json", "anything",
)  # fmt: skip
FOLDERS = ("tensorboard", "prompt_learner", "mid_epoch")


def link(folder, name, elsewhere, is_folder):
    folder.mkdir(parents=True, exist_ok=True)
    elsewhere.mkdir(exist_ok=True)
    (folder / name).symlink_to(elsewhere / "sub" if is_folder else elsewhere / "file")
    if is_folder:
        (elsewhere / "sub").mkdir()


def everything(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize("name", FILES + FOLDERS)
@pytest.mark.parametrize("exists", [False, True])
def test_train_refuses_a_link_before_anything_is_written(name, exists, run, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    link(tmp_path / "run", name, elsewhere, name in FOLDERS)
    if exists and name in FILES:
        (elsewhere / "file").write_text("kept")
    before = everything(elsewhere)
    with limited(30, 3 * 2**30):
        assert run("CoOp") == 2
    assert is_one_line(run.err.strip()) and name in run.err and "link" in run.err
    assert everything(elsewhere) == before and os.listdir(run.out) == [name]
    if exists and name in FILES:
        assert (elsewhere / "file").read_text() == "kept"


@pytest.mark.parametrize("kind", ["FIFO", "socket"])
@pytest.mark.parametrize("name", ["log.txt", "tensorboard", "prompt_learner", "mid_epoch", "curve.json"])
def test_train_refuses_special_files_in_its_folder(name, kind, run, tmp_path):
    (tmp_path / "run").mkdir()
    SPECIAL[kind](tmp_path / "run" / name)
    with limited(30, 3 * 2**30):
        assert run("CoOp") == 2
    assert is_one_line(run.err.strip()) and name in run.err


@pytest.mark.parametrize("name,is_folder", [("results.json", True), ("log.txt", True), ("tensorboard", False)])
def test_a_folder_in_the_place_of_a_file_is_refused_and_the_other_way_round(name, is_folder, tmp_path):
    (tmp_path / name).mkdir() if is_folder else (tmp_path / name).touch()
    with pytest.raises(FileRefused) as caught:
        check_output_folder(tmp_path)
    assert is_one_line(str(caught.value)) and name in str(caught.value)


def test_the_output_folder_and_its_parents_may_be_links(run, tmp_path):
    (tmp_path / "disk/deep").mkdir(parents=True)
    (tmp_path / "parent").symlink_to("disk")
    (tmp_path / "parent/run").symlink_to("deep")
    assert run("ZeroshotCLIP", out="parent/run") == 0
    assert (tmp_path / "disk/deep/results.json").is_file()
    assert run("ZeroshotCLIP", out="parent/run") in (0, 2)  # nothing of what a run leaves is taken for a link


def job(folder):
    return Job("zeroshot", "ZeroshotCLIP", "tiny", "digits", "all", None, None, folder, ["--trainer", "x"], key="k")


@pytest.mark.parametrize("name", [".lock", "console.txt", "done.json", "results.json", "log.txt", "tensorboard"])
def test_a_job_of_a_sweep_fails_and_writes_nothing_elsewhere(name, tmp_path):
    from clip_prompts.sweep.worker import run_job

    elsewhere = tmp_path / "elsewhere"
    link(tmp_path / "out/a", name, elsewhere, name in FOLDERS)
    before = everything(elsewhere)
    assert run_job(job("a"), str(tmp_path / "out"), {}) == 2
    assert everything(elsewhere) == before
    assert name in json.loads((tmp_path / "out/a/failed.json").read_text())["line"]


def test_locks_are_not_opened_through_links(tmp_path):
    for name in (".lock", ".sweep.lock", ".sweep.running"):
        (tmp_path / name).symlink_to(tmp_path / "target")
    with pytest.raises(FileRefused), lock(tmp_path):
        pass
    with pytest.raises(UserError):
        plan.save([job("a")], tmp_path)
    assert not (tmp_path / "target").exists()


def test_a_file_is_opened_to_write_only_if_it_is_regular(tmp_path):
    for kind, put in SPECIAL.items():
        if kind == "a terabyte":
            continue
        put(tmp_path / kind)
        with limited(), pytest.raises(OSError):
            open_to_write(tmp_path / kind)


class Trainer(TrainerBase):
    def __init__(self) -> None:
        super().__init__()
        self.register_model("m", nn.Linear(1, 1))


def test_the_engine_writes_through_no_link_either(tmp_path):
    """Upstream's programs have no check at the start."""
    for name in ("m", "mid_epoch", "tensorboard"):
        link(tmp_path / "out", name, tmp_path / name, is_folder=True)
    (tmp_path / "out/log.txt").symlink_to(tmp_path / "log")
    trainer = Trainer()
    calls = (
        lambda: trainer.save_model(0, str(tmp_path / "out")),
        lambda: mid_epoch.write(str(tmp_path / "out"), {"x": torch.zeros(1)}),
        lambda: trainer.init_writer(str(tmp_path / "out/tensorboard")),
        lambda: Logger(str(tmp_path / "out/log.txt")),
    )
    for call in calls:
        with pytest.raises(OutputError) as caught:
            call()
        assert is_one_line(str(caught.value))
    assert not any(everything(tmp_path / name / "sub") for name in ("m", "mid_epoch", "tensorboard"))
    assert not (tmp_path / "log").exists()


def test_a_dangling_log_gets_another_name(tmp_path):
    import sys

    (tmp_path / "log.txt").symlink_to(tmp_path / "elsewhere")
    console = sys.stdout
    try:
        setup_logger(str(tmp_path))
        sys.stdout.close()
    finally:
        sys.stdout = console
    assert not (tmp_path / "elsewhere").exists() and len(list(tmp_path.glob("log.txt-*"))) == 1


def test_selections_are_not_written_into_a_linked_folder_of_the_data(tmp_path, capsys):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "split_fewshot").symlink_to("elsewhere")
    store = FewShotStore(
        [str(tmp_path / "split_fewshot"), str(tmp_path / "cache")], "Pets", [], [], 1, 1, str(tmp_path)
    )
    store.keep([], [])
    assert not everything(tmp_path / "elsewhere") and len(everything(tmp_path / "cache")) == 1


def test_presence_of_a_sweep(tmp_path):
    from clip_prompts.sweep.state import PRESENCE, is_swept

    (tmp_path / PRESENCE).symlink_to(tmp_path / "target")
    assert not is_swept(tmp_path)
    with pytest.raises(FileRefused), presence(tmp_path):
        pass
    assert not (tmp_path / "target").exists()
