"""Section 1.2: what TrainerBase does with the models that are registered."""

import re
from collections import OrderedDict

import pytest
import torch
from dassl.engine import TrainerBase
from dassl.engine.trainer import SummaryWriter

from .support import OURS, differs


class CountingScheduler:
    steps = 0

    def step(self):
        self.steps += 1


def base():
    """A TrainerBase with the models "a" (learns) and "b" (has neither optimiser nor scheduler)."""
    trainer = TrainerBase()
    model = torch.nn.Linear(2, 1)
    trainer.register_model("a", model, torch.optim.SGD(model.parameters(), lr=0.25), CountingScheduler())
    trainer.register_model("b", torch.nn.Linear(2, 1))
    return trainer


def test_storage():
    """Models, optimisers and schedulers are kept in ordered dicts by name; _writer is None at first."""
    trainer = base()
    for kept in (trainer._models, trainer._optims, trainer._scheds):
        assert isinstance(kept, OrderedDict)
        assert list(kept) == ["a", "b"]
    assert trainer._optims["b"] is None and trainer._scheds["b"] is None and trainer._writer is None


def test_register_too_early():
    """Before the base constructor ran, register_model raises AttributeError: Cannot assign model before ..."""

    class Hasty(TrainerBase):
        def __init__(self):
            self.register_model("a", None)

    with pytest.raises(AttributeError, match=re.escape("Cannot assign model before super().__init__() call")):
        Hasty()


def test_register_twice():
    """A duplicate name is an AssertionError."""
    with pytest.raises(AssertionError, match=re.escape("Found duplicate model names")):
        base().register_model("a")


def test_model_names():
    """None: all in order of registration; str: a list of it; list: itself; unknown, or a tuple: AssertionError."""
    trainer = base()
    given = ["b", "a"]
    assert (trainer.get_model_names(), trainer.get_model_names("b")) == (["a", "b"], ["b"])
    assert trainer.get_model_names(given) is given
    for unknown in ("c", ["c"], ("a", "b")):
        with pytest.raises(AssertionError):
            trainer.get_model_names(unknown)


def test_model_mode():
    """train, test and eval; another is KeyError; only registered modules are switched."""
    trainer = base()
    trainer.model = torch.nn.Sequential(trainer._models["a"])
    trainer.set_model_mode("eval")
    assert not trainer._models["a"].training and trainer.model.training
    trainer.set_model_mode("train", names="b")
    assert not trainer._models["a"].training and trainer._models["b"].training
    trainer.set_model_mode("test")
    assert not trainer._models["b"].training
    with pytest.raises(KeyError):
        trainer.set_model_mode("other")


def test_rates():
    """update_lr steps every scheduler and skips None; get_current_lr is that of group 0 of the first name."""
    trainer = base()
    trainer.update_lr()
    assert trainer._scheds["a"].steps == 1
    trainer.update_lr(names=["b"])
    assert (trainer._scheds["a"].steps, trainer.get_current_lr(), trainer.get_current_lr("a")) == (1, 0.25, 0.25)


def test_anomaly():
    """An infinite loss or NaN is a FloatingPointError."""
    trainer = base()
    trainer.detect_anomaly(torch.tensor(1.0))
    for bad in (float("inf"), float("nan")):
        with pytest.raises(FloatingPointError, match=re.escape("Loss is infinite or NaN!")):
            trainer.detect_anomaly(torch.tensor(bad))


def test_steps():
    """zero_grad, backward after the anomaly check, step; names without an optimiser are skipped."""
    trainer = base()
    model = trainer._models["a"]
    before = model.weight.clone()
    loss = model(torch.ones(1, 2)).sum()
    trainer.model_zero_grad()
    trainer.model_backward(loss)
    assert model.weight.grad.tolist() == [[1.0, 1.0]]
    trainer.model_update()
    assert torch.allclose(model.weight, before - 0.25)
    trainer.model_backward_and_update(model(torch.ones(1, 2)).sum(), names=["a"])
    assert torch.allclose(model.weight, before - 0.5)
    with pytest.raises(FloatingPointError):
        trainer.model_backward(model(torch.full((1, 2), float("nan"))).sum())


def test_writer(capsys, tmp_path):
    """init_writer prints a line and does nothing if a writer exists; write_scalar does nothing without one."""
    trainer, place = base(), tmp_path
    trainer.write_scalar("a", 1.0)
    capsys.readouterr()
    trainer.init_writer(str(place))
    trainer.init_writer(str(place))
    assert capsys.readouterr().out.splitlines() == [f"Initialize tensorboard (log_dir={place})"]
    assert isinstance(trainer._writer, SummaryWriter)
    trainer.write_scalar("a", 1.0, global_step=3)
    trainer.close_writer()
    assert any(p.name.startswith("events.out") for p in place.iterdir())


def test_left_to_subclasses():
    """These raise NotImplementedError on TrainerBase."""
    trainer = base()
    for call, arguments in (
        (trainer.run_epoch, ()), (trainer.test, ()), (trainer.parse_batch_train, (None,)),
        (trainer.parse_batch_test, (None,)), (trainer.forward_backward, (None,)), (trainer.model_inference, (None,)),
    ):  # fmt: skip
        with pytest.raises(NotImplementedError):
            call(*arguments)


def test_hooks():
    """before_train, then before_epoch, run_epoch, after_epoch for start..max-1, then after_train; no-ops by default."""
    calls = []

    class Spy(TrainerBase):
        def run_epoch(self):
            calls.append(("run", self.epoch))

    for name in ("before_train", "after_train", "before_epoch", "after_epoch"):

        def hook(self, name=name):
            assert getattr(TrainerBase, name)(self) is None
            calls.append((name, getattr(self, "epoch", None) if "epoch" in name else None))

        setattr(Spy, name, hook)
    Spy().train(1, 3)
    epochs = [(name, e) for e in (1, 2) for name in ("before_epoch", "run", "after_epoch")]
    assert calls == [("before_train", None), *epochs, ("after_train", None)]


def test_save_and_load(capsys, tmp_path):
    """save_model writes every model below its name; load_model without an epoch reads model-best.pth.tar, strictly."""
    trainer, place = base(), tmp_path
    trainer._scheds["a"] = None
    trainer.save_model(1, str(place), val_result=87.654, model_name="model-best.pth.tar")
    kept = trainer._models["a"].weight.clone()
    with torch.no_grad():
        trainer._models["a"].weight.zero_()
    capsys.readouterr()
    trainer.load_model(str(place))
    text = capsys.readouterr()
    assert torch.equal(trainer._models["a"].weight, kept)
    assert [line for line in text.out.splitlines() if line.startswith("Load ")] == [
        f"Load {place}/{n}/model-best.pth.tar to {n} (epoch=2, val_result=87.7)" for n in "ab"
    ]
    other = base()
    other._models["a"] = torch.nn.Linear(3, 1)
    with pytest.raises(RuntimeError):
        other.load_model(str(place))


def test_load_nothing(capsys):
    """An empty folder name: a line that begins "Note that load_model() is skipped", and nothing else."""
    base().load_model("")
    text = capsys.readouterr()
    assert len(text.out.splitlines()) == 1
    assert text.out.splitlines()[0].startswith("Note that load_model() is skipped")


def test_load_missing(tmp_path):
    """A missing file is a FileNotFoundError: No model at {path}; with an epoch it is model.pth.tar-{epoch}."""
    with pytest.raises(FileNotFoundError, match=re.escape(f'No model at "{tmp_path}/a/model.pth.tar-7"')):
        base().load_model(str(tmp_path), epoch=7)


def test_load_periodic(capsys, tmp_path):
    """A checkpoint without val_result, which is every periodic one, raises TypeError from the line it prints."""
    trainer, place = base(), tmp_path
    trainer._scheds["a"] = None
    trainer.save_model(4, str(place))
    try:
        capsys.readouterr()
        trainer.load_model(str(place), epoch=5)
        text = capsys.readouterr()
    except TypeError:
        assert not OURS
        return
    differs("(epoch=5, val_result=None)" in text.out, "loads-periodic-checkpoints")
    raise AssertionError(text.out)
