"""A stock trainer that uses only contract names, trained on generated pictures."""

import os
import re

import pytest
import torch
from dassl.engine import TRAINER_REGISTRY, SimpleTrainer, TrainerX, build_trainer
from dassl.engine import trainer as trainer_module
from dassl.utils import ConfigError, NonFiniteLossError, OutputError, UnknownNameError, UserError

from tests.engine.stock import StockTrainer, seed


@pytest.fixture
def run(make_cfg):
    """Seed, build and train; returns the trainer."""

    def call(*opts, trainer=StockTrainer):
        seed()
        built = trainer(make_cfg(*opts))
        built.train()
        return built

    return call


def test_hooks_come_in_order(run):
    trainer = run("OPTIM.MAX_EPOCH", 2)
    epochs = [f"{hook} {n}" for n in (0, 1) for hook in ("before_epoch", "run_epoch", "after_epoch")]
    built = ["check_cfg", "build_data_loader", "build_model"]
    assert trainer.calls == [*built, "before_train", *epochs, "after_train", "test None"]


def test_validation_hooks_come_in_order(run):
    trainer = run("OPTIM.MAX_EPOCH", 1, "TEST.FINAL_MODEL", "best_val")
    assert trainer.calls[3:] == [
        "before_train", "before_epoch 0", "run_epoch 0", "after_epoch 0", "test val", "after_train", "test None",
    ]  # fmt: skip


def test_attributes_grow_step_by_step(make_cfg):
    seen = {}

    class Spy(StockTrainer):
        def check_cfg(self, cfg):
            super().check_cfg(cfg)
            seen["check_cfg"] = set(self.__dict__)

        def build_data_loader(self):
            seen["build_data_loader"] = set(self.__dict__)
            super().build_data_loader()

        def build_model(self):
            seen["build_model"] = set(self.__dict__)
            super().build_model()

    spy = Spy(make_cfg())
    own = {"calls", "losses", "observers", "_curves", "_steps", "_mid_epoch"}
    assert seen["check_cfg"] - own == {"_models", "_optims", "_scheds", "_writer"}
    assert seen["build_data_loader"] - seen["check_cfg"] - own == {
        "device", "start_epoch", "epoch", "max_epoch", "output_dir", "cfg",
    }  # fmt: skip
    assert seen["build_model"] - seen["build_data_loader"] == {
        "dm", "train_loader_x", "train_loader_u", "val_loader", "test_loader", "num_classes", "num_source_domains",
        "lab2cname",
    }  # fmt: skip
    assert {"evaluator", "best_result"} <= set(spy.__dict__) and spy.best_result == -float("inf")
    assert not {"num_batches", "batch_idx"} & set(spy.__dict__)


TRAIN_LINE = re.compile(
    r"epoch \[(\d+)/(\d+)\] batch \[(\d+)/(\d+)\] time \d+\.\d{3} \(\d+\.\d{3}\) data \d+\.\d{3} \(\d+\.\d{3}\) "
    r"loss \d+\.\d{4} \(\d+\.\d{4}\) acc \d+\.\d{4} \(\d+\.\d{4}\) lr (\d\.\d{4}e[+-]\d\d) eta \d+:\d\d:\d\d"
)


def test_printed_lines(run, capsys, tmp_path):
    run("OPTIM.MAX_EPOCH", 2)
    lines = capsys.readouterr().out.splitlines()
    matches = [TRAIN_LINE.fullmatch(line) for line in lines if line.startswith("epoch [")]
    assert all(matches)
    assert [m.groups() for m in matches] == [
        ("1", "2", "2", "4", "1.0000e-05"),
        ("1", "2", "4", "4", "5.0000e-01"),  # stepped before the line: the rate of epoch 2
        ("2", "2", "2", "4", "5.0000e-01"),
        ("2", "2", "4", "4", "2.5000e-01"),
    ]
    run_dir = tmp_path / "run"
    start = lines.index("Building model")
    rest = [line for line in lines[start:] if not line.startswith(("epoch [", "* ", "=>"))]
    assert rest[:5] == [
        "Building model",
        "Backbone: stock_mean_colour",
        "# params: 12",
        "Loading evaluator: Classification",
        "No checkpoint found, train from scratch",
    ]
    assert rest[5:10] == [
        f"Initialize tensorboard (log_dir={run_dir}/tensorboard)",
        f"Checkpoint saved to {run_dir}/model/model.pth.tar-2",
        "Finish training",
        "Deploy the last-epoch model",
        "Evaluate on the *test* set",
    ]
    assert re.fullmatch(r"Elapsed: \d+:\d\d:\d\d", rest[-1])


def test_every_batch_has_a_line_when_there_are_few(run, capsys):
    run("OPTIM.MAX_EPOCH", 1, "TRAIN.PRINT_FREQ", 5)
    assert sum(line.startswith("epoch [") for line in capsys.readouterr().out.splitlines()) == 4


def test_line_without_losses_keeps_two_spaces(run, capsys):
    class Silent(StockTrainer):
        def forward_backward(self, batch):
            super().forward_backward(batch)

    run("OPTIM.MAX_EPOCH", 1, trainer=Silent)
    assert re.search(r"data \d+\.\d{3} \(\d+\.\d{3}\)  lr ", capsys.readouterr().out)


def test_averages_start_anew_each_epoch(run, capsys):
    trainer = run("OPTIM.MAX_EPOCH", 2, "TRAIN.PRINT_FREQ", 1)
    printed = re.findall(r"loss (\d\.\d{4}) \((\d\.\d{4})\)", capsys.readouterr().out)
    assert [value for value, _ in printed] == [f"{loss:.4f}" for loss in trainer.losses]
    assert printed[4][0] == printed[4][1], "first batch of the second epoch"
    assert float(printed[3][1]) == pytest.approx(sum(trainer.losses[:4]) / 4, abs=1e-4)


def test_training_learns_and_test_returns_the_accuracy(run):
    trainer = run("OPTIM.MAX_EPOCH", 15)
    assert trainer.losses[-1] < trainer.losses[0]
    assert trainer.test() > 60 and trainer.test("val") > 60, "chance is 33 %"


def test_progress_bar_is_not_in_the_log(make_cfg, capsys):
    StockTrainer(make_cfg()).test()
    captured = capsys.readouterr()
    assert "it/s" in captured.err and "it/s" not in captured.out


def test_split_falls_back_to_test_without_validation_data(make_cfg, capsys):
    trainer = StockTrainer(make_cfg("DATASET.NAME", "StockUnlabelled"))
    trainer.test("val")
    assert "Evaluate on the *test* set\n" in capsys.readouterr().out
    with pytest.raises(ConfigError, match="but got 'vall'"):
        trainer.test("vall")


def test_curves_have_the_contract_names_and_steps(make_cfg):
    points = []

    class Spy(StockTrainer):
        def write_scalar(self, tag, scalar_value, global_step=None):
            points.append((tag, global_step))

    Spy(make_cfg("OPTIM.MAX_EPOCH", 2, "TEST.FINAL_MODEL", "best_val")).train()
    assert [step for tag, step in points if tag == "train/loss"] == list(range(8))
    assert [step for tag, step in points if tag == "train/lr"] == list(range(8))
    assert [step for tag, step in points if tag == "val/accuracy"] == [0, 1]
    assert {tag for tag, step in points if tag.startswith("test/")} >= {
        "test/accuracy",
        "test/error_rate",
        "test/macro_f1",
    }


def test_tensorboard_files_are_written(run, tmp_path):
    trainer = run("OPTIM.MAX_EPOCH", 1)
    assert any(name.startswith("events.") for name in os.listdir(tmp_path / "run/tensorboard"))
    assert trainer._writer is None, "closed at the end"


def test_no_test(run, capsys):
    trainer = run("TEST.NO_TEST", True, "TEST.FINAL_MODEL", "best_val", "OPTIM.MAX_EPOCH", 1)
    printed = capsys.readouterr().out
    assert "Evaluate" not in printed and "Deploy" not in printed and "Elapsed" in printed
    assert trainer.best_result == -float("inf")


def test_non_finite_loss_names_the_images_and_keeps_the_checkpoint(run, tmp_path):
    class Diverging(StockTrainer):
        def forward_backward(self, batch):
            if self.epoch == 1 and self.batch_idx == 2:
                self.paths = batch["impath"]
                self.model_backward_and_update(self.model(batch["img"]).sum() * float("nan"))
            return super().forward_backward(batch)

    with pytest.raises(NonFiniteLossError) as error:
        run("TRAIN.CHECKPOINT_FREQ", 1, trainer=Diverging)
    line = str(error.value)
    assert isinstance(error.value, FloatingPointError) and "\n" not in line
    assert line.startswith("Loss is infinite or NaN! Training stopped in epoch 2 of 4, batch 3 of 4, on the images ")
    assert line.count(".png") == 4 and f"is kept: {tmp_path}/run/model/model.pth.tar-1." in line


def test_non_finite_loss_lists_at_most_eight_images(run):
    class Diverging(StockTrainer):
        def forward_backward(self, batch):
            self.detect_anomaly(torch.tensor([1.0, float("inf")]))

    with pytest.raises(NonFiniteLossError, match=r"\.png and 4 more\. No checkpoint was saved yet") as error:
        run("DATALOADER.TRAIN_X.BATCH_SIZE", 12, trainer=Diverging)
    assert str(error.value).count(".png") == 8


def test_settings_with_typos(make_cfg):
    with pytest.raises(ConfigError, match="TEST.FINAL_MODEL must be last_step or best_val, but got 'bestval'"):
        StockTrainer(make_cfg("TEST.FINAL_MODEL", "bestval"))
    with pytest.raises(UnknownNameError, match=r"but got \[StockTrainr\] \(do you mean \[StockTrainer\]\?\)"):
        build_trainer(make_cfg("TRAINER.NAME", "StockTrainr"))


def test_output_folder_that_cannot_be_written(make_cfg, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="file/run/tensorboard"):
        StockTrainer(make_cfg("OUTPUT_DIR", tmp_path / "file/run")).train()


def test_build_trainer(make_cfg, capsys):
    assert isinstance(build_trainer(make_cfg()), StockTrainer)
    assert capsys.readouterr().out.startswith("Loading trainer: StockTrainer\nLoading dataset: StockPictures\n")
    assert TRAINER_REGISTRY.get("StockTrainer") is StockTrainer


def test_trainer_without_models_and_names_can_train_and_test(make_cfg, capsys):
    """Zero-shot methods register nothing."""

    class Constant(TrainerX):
        def build_model(self):
            self.model = lambda images: images.mean((2, 3))

        def forward_backward(self, batch):
            return None

    trainer = Constant(make_cfg("OPTIM.MAX_EPOCH", 1))
    trainer.load_model("")
    trainer.load_model("anywhere", epoch=3)
    assert trainer.test() > 90
    trainer.train()
    assert "No checkpoint found, train from scratch" in capsys.readouterr().out


@pytest.mark.parametrize(
    "count_iter, pairs", [("train_x", [(4, 6)] * 2), ("train_u", [(4, 6)] * 3), ("smaller_one", [(4, 6)] * 2)]
)
def test_unlabelled_training(make_cfg, count_iter, pairs):
    cfg = make_cfg(
        "DATASET.NAME", "StockUnlabelled", "TRAIN.COUNT_ITER", count_iter, "OPTIM.MAX_EPOCH", 1,
        "DATALOADER.TRAIN_U.SAME_AS_X", False, "DATALOADER.TRAIN_U.BATCH_SIZE", 6,
    )  # fmt: skip
    trainer = TRAINER_REGISTRY.get("StockTrainerXU")(cfg)
    trainer.train()
    assert trainer.seen == pairs


def test_unlabelled_training_settings_are_checked(make_cfg):
    kind = TRAINER_REGISTRY.get("StockTrainerXU")
    with pytest.raises(UserError, match="needs unlabelled images, but the dataset StockPictures has none"):
        kind(make_cfg()).train()
    with pytest.raises(UnknownNameError, match="'train_xu'. Known: train_x, train_u, smaller_one"):
        kind(make_cfg("DATASET.NAME", "StockUnlabelled", "TRAIN.COUNT_ITER", "train_xu")).train()


def test_unlabelled_batches_follow_the_seed_of_bare_loaders(make_cfg):
    """Both iterators are made before the first batch is drawn."""
    trainer = TRAINER_REGISTRY.get("StockTrainerXU")(make_cfg("DATASET.NAME", "StockUnlabelled"))
    trainer.num_batches = 2
    seed(5)
    drawn = [[part["index"].tolist() for part in pair] for pair in trainer._pairs()]
    seed(5)
    x, u = iter(trainer.train_loader_x), iter(trainer.train_loader_u)
    assert drawn == [[next(x)["index"].tolist(), next(u)["index"].tolist()] for _ in range(2)]


def test_names_that_clients_import():
    for name in trainer_module.__all__:
        assert getattr(trainer_module, name) is not None
    assert trainer_module.SummaryWriter.__name__ == "SummaryWriter"
    assert issubclass(trainer_module.SimpleTrainer, trainer_module.TrainerBase) and SimpleTrainer.test is not None
    with pytest.raises(AttributeError):
        trainer_module.no_such_name  # noqa: B018
