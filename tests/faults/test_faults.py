"""Machines that fail in the middle of a run: one line, exit status 2, good files are kept, and the run can resume."""

import contextlib
import os
import resource
import shutil
import signal
import sys
import tempfile
from pathlib import Path

import pytest
import torch
from dassl.data import DataManager, DatasetWrapper
from dassl.engine import TRAINER_REGISTRY

import clip_prompts.run.libraries  # noqa: F401  (before a test takes away the right to read)
import train
from tests.engine.stock import StockTrainer, write_pictures

pytestmark = pytest.mark.slow

STRUCK = ("red", "5.png")  # the image that a fault is about
if "Struck" not in TRAINER_REGISTRY.registered_names():

    @TRAINER_REGISTRY.register()
    class Struck(StockTrainer):
        """Calls ``fault`` before the third batch of epoch 2, and keeps its losses in a file."""

        fault = None

        def forward_backward(self, batch):
            if self.fault and (self.epoch, self.batch_idx) == (1, 1):
                type(self).fault(self)
            return super().forward_backward(batch)

    @TRAINER_REGISTRY.register()
    class Loading(Struck):
        """Its loader workers die of one class, in epoch 2."""

        def build_data_loader(self):
            super().build_data_loader()
            dm = DataManager(self.cfg, dataset_wrapper=Deadly)
            self.train_loader_x = dm.train_loader_x

        def before_epoch(self):
            Deadly.epoch = self.epoch
            super().before_epoch()


class Deadly(DatasetWrapper):
    epoch, deadly = 0, True

    def __getitem__(self, idx):
        if self.deadly and self.epoch == 1 and f"/{STRUCK[0]}/" in self.data_source[idx].impath:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__getitem__(idx)


@pytest.fixture
def place():
    """A folder that every user may enter: with ``data`` and, later, ``out``."""
    folder = Path(tempfile.mkdtemp(prefix="faults-"))
    folder.chmod(0o755)
    write_pictures(folder / "data")
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def run(place):
    """Run ``train.py`` in a process of its own; gives the exit status, and what it printed on stdout and stderr."""

    def call(*pairs, out="out", trainer="Struck", fault=None, workers=0, before=lambda: None):
        argv = [
            "--trainer", trainer, "--root", str(place / "data"), "--output-dir", str(place / out), "--seed", "1",
            "DATASET.NAME", "StockPictures", "MODEL.BACKBONE.NAME", "stock_mean_colour",
            "INPUT.SIZE", "(8, 8)", "INPUT.TRANSFORMS", "('random_resized_crop', 'random_flip', 'normalize')",
            "DATALOADER.TRAIN_X.BATCH_SIZE", "4", "DATALOADER.NUM_WORKERS", str(workers), "DATALOADER.DECODED_MB", "0",
            "OPTIM.MAX_EPOCH", "3", "OPTIM.NAME", "sgd", "OPTIM.LR", "0.5", "TRAIN.CHECKPOINT_FREQ", "1", *pairs,
        ]  # fmt: skip
        pipes = {1: os.pipe(), 2: os.pipe()}  # not files, which a full disk would end
        child = os.fork()
        if not child:
            status = 99
            try:
                for number, (_, end) in pipes.items():
                    os.dup2(end, number)
                os.setsid()
                sys_streams()
                before()
                Struck.fault = fault
                torch.set_num_threads(1)
                status = train.main(argv)
            except SystemExit as stop:
                status = stop.code
            finally:
                os._exit(status)
        printed = []
        for ours, theirs in pipes.values():
            os.close(theirs)
            with open(ours) as stream:
                printed.append(stream.read())
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), *printed

    return call


def sys_streams():
    """Of the process, not those of pytest."""
    sys.stdout, sys.stderr = (open(number, "w", buffering=1, closefd=False) for number in (1, 2))


def the_line(result, *parts):
    """The one line of an error, which holds ``parts``."""
    status, _, err = result
    lines = [line for line in err.splitlines() if line.strip() and "it/s" not in line and "?it" not in line]
    assert status == 2 and len(lines) == 1 and lines[0].startswith("Error: "), err
    for part in parts:
        assert part in lines[0], lines[0]
    return lines[0]


def weights(place, out):
    return torch.load(place / out / "model/model.pth.tar-3", weights_only=True)


def assert_goes_on(run, place, **how):
    """The same command, now without the fault, ends as the run that nothing happened to."""
    status, out, err = run(**how)
    assert status == 0, err
    assert run(out="whole", **how)[0] == 0
    for name in ("state_dict", "optimizer", "scheduler", "random_states"):
        torch.testing.assert_close(weights(place, "out")[name], weights(place, "whole")[name], rtol=0, atol=0)
    return out


def limit_files(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def test_disk_full_at_a_checkpoint(run, place):
    """No file may grow beyond 10 kB: the log fits, a checkpoint does not."""
    line = the_line(run(fault=lambda _: limit_files(10_000)), "model.pth.tar-2", "File too large", "free space")
    kept = place / "out/model/model.pth.tar-1"
    assert f"Stopped in epoch 2 of 3, after batch 4 of 4. The last checkpoint is kept: {kept}." in line
    assert sorted(f.name for f in kept.parent.iterdir()) == ["checkpoint", "model.pth.tar-1"]
    assert "goes on" not in assert_goes_on(run, place)


def test_disk_full_at_the_log(run, place):
    def fill(trainer):
        limit_files((place / "out/log.txt").stat().st_size)
        print("one more line")

    the_line(run(fault=fill), "log.txt", "File too large", "model.pth.tar-1")
    assert_goes_on(run, place)


def test_disk_full_at_the_curves(run, place):
    def fill(trainer):
        limit_files(max(f.stat().st_size for f in (place / "out/tensorboard").iterdir()))
        trainer.write_scalar("a", 1.0, 1)
        trainer.flush_writer()

    the_line(run("TRAIN.PRINT_FREQ", "0", fault=fill), "model.pth.tar-1")
    assert_goes_on(run, place)


def become_nobody():
    if os.geteuid() == 0:
        os.seteuid(65534)


def test_output_that_may_not_be_written(run, place):
    (place / "out").mkdir(mode=0o555)
    the_line(run(before=become_nobody), str(place / "out"), "Permission denied")


def test_output_that_may_not_be_written_any_more(run, place):
    def close(trainer):
        for file in (place / "out", *(place / "out").rglob("*")):
            file.chmod(0o777)
        (place / "out/model").chmod(0o555)
        become_nobody()

    line = the_line(run(fault=close), "model.pth.tar-2", "Permission denied", "mid_epoch/state.pth.tar")
    assert line.count("Stopped in epoch 2 of 3, after batch 4 of 4") == 1
    (place / "out/model").chmod(0o755)
    assert_goes_on(run, place)


def test_a_loader_worker_that_is_killed(run, place):
    how = {"trainer": "Loading", "workers": 2}
    line = the_line(run(**how), "A process that loads images ended (", "NUM_WORKERS", "Stopped in epoch 2 of 3")
    assert "model.pth.tar-1" in line or "mid_epoch" in line
    Deadly.deadly = False
    try:
        assert_goes_on(run, place, **how)
    finally:
        Deadly.deadly = True


@pytest.mark.parametrize("workers", [0, 1])
def test_an_image_that_vanishes(run, place, workers):
    image = place.joinpath("data/train", *STRUCK)

    def vanish(trainer):
        image.rename(place / "hidden.png")

    line = the_line(run(fault=vanish, workers=workers), str(image), "Stopped in epoch ")
    assert "mid_epoch" in line or "model.pth.tar" in line
    with contextlib.suppress(FileNotFoundError):
        (place / "hidden.png").rename(image)
    assert "goes on after batch" in assert_goes_on(run, place, workers=workers)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_the_whole_process_group(run, place, signum, workers):
    """As a terminal sends Ctrl-C: to the loader workers too."""
    send = {signal.SIGINT: lambda _: os.killpg(0, signum), signal.SIGTERM: lambda _: os.kill(os.getpid(), signum)}
    status, out, err = run(fault=send[signum], workers=workers)
    assert status == 128 + signum and "Traceback" not in err
    line = next(line for line in out.splitlines() if line.startswith("Stopped by"))
    assert "in epoch 2 of 3, after batch 2 of 4. All of it is saved" in line
    assert line in (place / "out/log.txt").read_text()
    assert "Epoch 2 goes on after batch 2" in assert_goes_on(run, place, workers=workers)
