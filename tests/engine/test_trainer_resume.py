"""Checkpoints of a run, and going on from them."""

import random
from pathlib import Path

import numpy as np
import pytest
import torch
from dassl.engine.resume_point import saved_epochs
from dassl.engine.run_state import random_states, restore_random_states
from dassl.utils import CheckpointError, MissingFileError

from tests.engine.stock import StockTrainer, seed

pytestmark = pytest.mark.integration


class Interrupted(Exception):
    pass


class CrashingTrainer(StockTrainer):
    """Dies at the start of epoch 2 (from 0), as if the machine had gone down."""

    crash_in = 2

    def before_epoch(self):
        if self.epoch == self.crash_in:
            raise Interrupted
        super().before_epoch()


@pytest.fixture
def train(make_cfg, tmp_path):
    """Train into the folder ``name`` below ``tmp_path`` and return the trainer."""

    def call(name, *opts, kind=StockTrainer, start_seed=1):
        seed(start_seed)
        trainer = kind(make_cfg("OUTPUT_DIR", tmp_path / name, *opts))
        try:
            trainer.train()
        except Interrupted:
            pass
        return trainer

    return call


def read(path):
    return torch.load(path, weights_only=True)


def files(folder):
    return sorted(path.name for path in Path(folder).iterdir())


def test_checkpoint_keys_and_file_names(train, tmp_path):
    train("a", "TRAIN.CHECKPOINT_FREQ", 2, "OPTIM.MAX_EPOCH", 3)
    folder = tmp_path / "a/model"
    assert files(folder) == ["checkpoint", "model.pth.tar-2", "model.pth.tar-3"]
    assert (folder / "checkpoint").read_text() == "model.pth.tar-3\n"
    checkpoint = read(folder / "model.pth.tar-2")
    assert {"state_dict", "epoch", "optimizer", "scheduler", "val_result"} <= set(checkpoint)
    assert checkpoint["epoch"] == 2 and checkpoint["val_result"] is None
    assert list(checkpoint["state_dict"]) == ["classifier.weight", "classifier.bias"]
    assert saved_epochs(folder) == [2, 3] and saved_epochs(tmp_path / "none") == []


@pytest.mark.parametrize("final_model", ["last_step", "best_val"])
@pytest.mark.parametrize("elsewhere", [False, True])
def test_resumed_run_ends_as_the_uninterrupted_one(train, tmp_path, final_model, elsewhere):
    opts = ("TEST.FINAL_MODEL", final_model, "TRAIN.CHECKPOINT_FREQ", 1)
    whole = train("whole", *opts)
    first = train("cut", *opts, kind=CrashingTrainer)
    resume = ("RESUME", tmp_path / "cut") if elsewhere else ()
    # Another seed: all that is drawn after resuming comes from the checkpoint.
    second = train("moved" if elsewhere else "cut", *opts, *resume, start_seed=99)
    assert first.losses + second.losses == whole.losses and len(first.losses) == 8
    assert second.start_epoch == 2 and second.best_result == whole.best_result
    for a, b in zip(second.model.parameters(), whole.model.parameters(), strict=True):
        assert torch.equal(a, b)


def test_best_run_goes_on_from_its_latest_epoch(train, tmp_path, capsys):
    """No periodic checkpoint, and the best epoch was the first."""

    class BestFirst(CrashingTrainer):
        def test(self, split=None):
            super().test(split)
            return 90.0 - self.epoch

    opts = ("TEST.FINAL_MODEL", "best_val")
    train("a", *opts, kind=BestFirst)
    assert (tmp_path / "a/model/checkpoint").read_text() == "model-latest.pth.tar\n"
    capsys.readouterr()
    BestFirst.crash_in = None
    resumed = train("a", *opts, kind=BestFirst)
    printed = capsys.readouterr().out
    assert f"Found checkpoint at {tmp_path}/a (will resume training)\n" in printed
    assert "Previous epoch: 2\n" in printed and resumed.start_epoch == 2
    assert resumed.best_result == 90.0, "later, worse epochs do not replace the best one"
    assert files(tmp_path / "a/model") == ["checkpoint", "model-best.pth.tar", "model.pth.tar-4"]
    best = read(tmp_path / "a/model/model-best.pth.tar")
    assert best["epoch"] == 1 and best["val_result"] == 90.0
    assert f"Load {tmp_path}/a/model/model-best.pth.tar to model (epoch=1, val_result=90.0)\n" in printed


def test_best_model_moves_along_to_another_output_folder(train, tmp_path):
    class BestFirst(CrashingTrainer):
        def test(self, split=None):
            super().test(split)
            return 90.0 - self.epoch

    opts = ("TEST.FINAL_MODEL", "best_val")
    train("a", *opts, kind=BestFirst)
    BestFirst.crash_in = None
    train("b", *opts, "RESUME", tmp_path / "a", kind=BestFirst)
    assert read(tmp_path / "b/model/model-best.pth.tar")["epoch"] == 1


def test_equal_result_is_not_better(train, tmp_path):
    class Constant(StockTrainer):
        def test(self, split=None):
            return np.float64(50.0)

    train("a", "TEST.FINAL_MODEL", "best_val", kind=Constant)
    best = read(tmp_path / "a/model/model-best.pth.tar")
    assert best["epoch"] == 1 and type(best["val_result"]) is float


def test_finished_run_only_tests_again(train, capsys):
    train("a")
    capsys.readouterr()
    again = train("a")
    assert again.losses == [] and again.calls[-1] == "test None"
    assert "Previous epoch: 4\n" in capsys.readouterr().out


def test_checkpoint_of_upstream_resumes(train, tmp_path, capsys):
    """Five keys, no more."""
    train("a", "TRAIN.CHECKPOINT_FREQ", 1, kind=CrashingTrainer)
    path = tmp_path / "a/model/model.pth.tar-2"
    five = {k: v for k, v in read(path).items() if k in ("state_dict", "epoch", "optimizer", "scheduler", "val_result")}
    torch.save(five, path)
    assert len(train("a").losses) == 8


def test_gradient_scaler_is_carried(train):
    class Scaled(CrashingTrainer):
        class Scaler:
            value = 1.0

            def state_dict(self):
                return {"scale": self.value}

            def load_state_dict(self, state):
                self.value = state["scale"]

        def build_model(self):
            super().build_model()
            self.scaler = self.Scaler()

        def forward_backward(self, batch):
            self.scaler.value *= 2
            return super().forward_backward(batch)

    train("a", "TRAIN.CHECKPOINT_FREQ", 1, kind=Scaled)
    Scaled.crash_in = None
    assert train("a", kind=Scaled).scaler.value == 2.0**16


def test_saving_does_not_move_any_generator(make_cfg, tmp_path):
    trainer = StockTrainer(make_cfg())
    seed()
    expected = random.random(), np.random.rand(), torch.rand(1)
    seed()
    trainer.save_model(0, str(tmp_path))
    assert (random.random(), np.random.rand(), torch.rand(1)) == expected


def test_random_states_survive_a_file(tmp_path):
    random.gauss(0, 1)  # both generators keep a second normal number for the next call
    np.random.randn()
    torch.save(random_states(), tmp_path / "states")
    expected = random.gauss(0, 1), random.random(), np.random.randn(), np.random.rand(), torch.rand(1).item()
    restore_random_states(read(tmp_path / "states"))
    assert (random.gauss(0, 1), random.random(), np.random.randn(), np.random.rand(), torch.rand(1).item()) == expected


def test_load_model(train, make_cfg, tmp_path, capsys):
    trained = train("a", "TRAIN.CHECKPOINT_FREQ", 2)
    capsys.readouterr()
    fresh = StockTrainer(make_cfg())
    fresh.load_model(str(tmp_path / "a"), epoch=4)
    assert f"Load {tmp_path}/a/model/model.pth.tar-4 to model (epoch=4, val_result=None)\n" in capsys.readouterr().out
    assert torch.equal(fresh.model.classifier.weight, trained.model.classifier.weight)
    fresh.load_model("")
    assert capsys.readouterr().out.startswith("Note that load_model() is skipped")


@pytest.mark.parametrize("epoch", [None, 3])
def test_missing_epoch_lists_those_that_exist(train, tmp_path, epoch):
    trainer = train("a", "TRAIN.CHECKPOINT_FREQ", 2)
    name = "model-best.pth.tar" if epoch is None else "model.pth.tar-3"
    with pytest.raises(MissingFileError, match="No model at ") as error:
        trainer.load_model(str(tmp_path / "a"), epoch=epoch)
    assert isinstance(error.value, FileNotFoundError)
    assert name in str(error.value) and "Saved epochs: 2, 4." in str(error.value)


def test_missing_model_folder(make_cfg, tmp_path):
    trainer = StockTrainer(make_cfg())
    with pytest.raises(MissingFileError, match="Check --model-dir"):
        trainer.load_model(str(tmp_path / "nowhere"), epoch=1)


def test_weights_of_another_model(make_cfg, train, tmp_path):
    train("a", "OPTIM.MAX_EPOCH", 1)
    other = StockTrainer(make_cfg("MODEL.HEAD.NAME", "mlp", "MODEL.HEAD.HIDDEN_LAYERS", (5,)))
    with pytest.raises(CheckpointError, match="does not fit the model 'model'") as error:
        other.load_model(str(tmp_path / "a"), epoch=1)
    assert "\n" not in str(error.value)


def test_corrupt_checkpoint_on_resume(train, tmp_path):
    train("a", "OPTIM.MAX_EPOCH", 1)
    (tmp_path / "a/model/model.pth.tar-1").write_bytes(b"PK\x03\x04 rubbish")
    with pytest.raises(CheckpointError, match=r"model\.pth\.tar-1"):
        train("a")


def flip_a_bit(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_a_corrupt_newest_checkpoint_is_named_and_the_one_before_taken(train, tmp_path, capsys):
    whole = train("whole", "TRAIN.CHECKPOINT_FREQ", 1)
    train("a", "TRAIN.CHECKPOINT_FREQ", 1, kind=CrashingTrainer)
    newest = tmp_path / "a/model/model.pth.tar-2"
    flip_a_bit(newest)
    assert torch.load(newest, weights_only=True)["epoch"] == 2, "torch itself does not see it"
    capsys.readouterr()
    second = train("a", "TRAIN.CHECKPOINT_FREQ", 1, start_seed=99)
    (line,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("Warning"))
    before = tmp_path / "a/model/model.pth.tar-1"
    assert line == (
        f'Warning: "{newest}" is corrupt: its content does not match its checksum. '
        f'Going on from "{before}" (1 epochs) instead'
    )
    assert second.losses == whole.losses[4:]


def test_a_corrupt_checkpoint_is_refused_where_it_is_asked_for(train, make_cfg, tmp_path):
    train("a", "OPTIM.MAX_EPOCH", 1)
    flip_a_bit(tmp_path / "a/model/model.pth.tar-1")
    with pytest.raises(CheckpointError, match="does not match its checksum"):
        StockTrainer(make_cfg()).load_model(str(tmp_path / "a"), epoch=1)


class TwoModels(CrashingTrainer):
    crash_in = None

    def build_model(self):
        super().build_model()
        self.second = torch.nn.Linear(2, 2)
        self.register_model("second", self.second)


def test_models_that_were_saved_after_different_epochs(train, tmp_path, capsys, monkeypatch):
    """Killed between the two files of epoch 3."""
    from dassl.engine import saved_models

    whole = train("whole", "TRAIN.CHECKPOINT_FREQ", 1, kind=TwoModels)
    save = saved_models.save_checkpoint

    def dying(state, save_dir, **how):
        if state["epoch"] == 3 and save_dir.endswith("second"):
            raise Interrupted
        save(state, save_dir, **how)

    monkeypatch.setattr(saved_models, "save_checkpoint", dying)
    train("a", "TRAIN.CHECKPOINT_FREQ", 1, kind=TwoModels)
    monkeypatch.undo()
    assert files(tmp_path / "a/model")[-1] == "model.pth.tar-3" != files(tmp_path / "a/second")[-1]
    capsys.readouterr()
    second = train("a", "TRAIN.CHECKPOINT_FREQ", 1, kind=TwoModels, start_seed=99)
    printed = capsys.readouterr().out
    assert "saved after different epochs" in printed and printed.count("Previous epoch: 2\n") == 2
    assert second.losses == whole.losses[8:]


def test_killed_between_the_best_model_and_the_last(train, tmp_path, monkeypatch):
    from dassl.engine import saved_models

    opts = ("TEST.FINAL_MODEL", "best_val")

    class Better(CrashingTrainer):
        crash_in = None

        def test(self, split=None):
            super().test(split)
            return float(self.epoch)

    save = saved_models.save_checkpoint

    def dying(state, save_dir, **how):
        if state["epoch"] == 4 and how["model_name"] != "model-best.pth.tar":
            raise Interrupted
        save(state, save_dir, **how)

    monkeypatch.setattr(saved_models, "save_checkpoint", dying)
    train("a", *opts, kind=Better)
    monkeypatch.undo()
    assert (tmp_path / "a/model/checkpoint").read_text() == "model-best.pth.tar\n"
    train("a", *opts, kind=Better)
    train("whole", *opts, kind=Better)
    assert files(tmp_path / "a/model") == files(tmp_path / "whole/model")
    ours, theirs = (read(tmp_path / name / "model/model.pth.tar-4") for name in ("a", "whole"))
    torch.testing.assert_close(ours, theirs, rtol=0, atol=0)


@pytest.mark.parametrize("first", [True, False])
def test_killed_while_writing(train, tmp_path, monkeypatch, first):
    """A new folder appears whole; what a killed writer left is removed by the next one."""
    from dassl.utils import checkpoint

    if not first:
        train("a", "OPTIM.MAX_EPOCH", 1)
    save = checkpoint.save_with_checksum

    def dying(state, path):
        save(state, path)
        raise Interrupted

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "save_with_checksum", dying)
        for module in ("shutil.rmtree", "os.remove"):  # the process is gone: nobody cleans up
            patch.setattr(f"dassl.utils.atomic.{module}", lambda *_, **__: None)
        train("a")
    assert (tmp_path / "a/model").exists() is not first
    left = [path.name for path in (tmp_path / "a").rglob(".*.tmp")]
    assert left
    assert len(train("a").losses) == (16 if first else 12)
    assert not [path for path in (tmp_path / "a").rglob(".*.tmp")]


def test_model_folder_without_pointer(train, tmp_path):
    (tmp_path / "a/model").mkdir(parents=True)
    with pytest.raises(FileNotFoundError, match="checkpoint"):
        train("a")
