"""Section 1.2: what TrainerBase does with the models that are registered."""

from ..checking import check, differs, equal, folder, printed, raises


class CountingScheduler:
    steps = 0

    def step(self):
        self.steps += 1


def base():
    """A TrainerBase with the models "a" (learns) and "b" (has neither optimiser nor scheduler)."""
    import torch
    from dassl.engine import TrainerBase

    trainer = TrainerBase()
    model = torch.nn.Linear(2, 1)
    trainer.register_model("a", model, torch.optim.SGD(model.parameters(), lr=0.25), CountingScheduler())
    trainer.register_model("b", torch.nn.Linear(2, 1))
    return trainer


@check(
    "dassl.engine.TrainerBase", "dassl.engine.TrainerBase.register_model", "dassl.engine.TrainerBase._models",
    "dassl.engine.TrainerBase._optims", "dassl.engine.TrainerBase._scheds", "dassl.engine.TrainerBase._writer",
)  # fmt: skip
def storage():
    """Models, optimisers and schedulers are kept in ordered dicts by name; _writer is None at first."""
    from collections import OrderedDict

    trainer = base()
    for kept in (trainer._models, trainer._optims, trainer._scheds):
        assert isinstance(kept, OrderedDict)
        equal(list(kept), ["a", "b"])
    assert trainer._optims["b"] is None and trainer._scheds["b"] is None and trainer._writer is None


@check("dassl.engine.TrainerBase.register_model", "message:Cannot assign {model} before super().__init__() call")
def register_too_early():
    """Before the base constructor ran, register_model raises AttributeError: Cannot assign model before ..."""
    from dassl.engine import TrainerBase

    class Hasty(TrainerBase):
        def __init__(self):
            self.register_model("a", None)

    with raises(AttributeError, "Cannot assign model before super().__init__() call"):
        Hasty()


@check("dassl.engine.TrainerBase.register_model", "message:Found duplicate model names")
def register_twice():
    """A duplicate name is an AssertionError."""
    with raises(AssertionError, "Found duplicate model names"):
        base().register_model("a")


@check("dassl.engine.TrainerBase.get_model_names")
def model_names():
    """None: all in order of registration; str: a list of it; list: itself; unknown, or a tuple: AssertionError."""
    trainer = base()
    given = ["b", "a"]
    equal((trainer.get_model_names(), trainer.get_model_names("b")), (["a", "b"], ["b"]))
    assert trainer.get_model_names(given) is given
    for unknown in ("c", ["c"], ("a", "b")):
        with raises(AssertionError):
            trainer.get_model_names(unknown)


@check("dassl.engine.TrainerBase.set_model_mode")
def model_mode():
    """train, test and eval; another is KeyError; only registered modules are switched."""
    import torch

    trainer = base()
    trainer.model = torch.nn.Sequential(trainer._models["a"])
    trainer.set_model_mode("eval")
    assert not trainer._models["a"].training and trainer.model.training
    trainer.set_model_mode("train", names="b")
    assert not trainer._models["a"].training and trainer._models["b"].training
    trainer.set_model_mode("test")
    assert not trainer._models["b"].training
    with raises(KeyError):
        trainer.set_model_mode("other")


@check("dassl.engine.TrainerBase.update_lr", "dassl.engine.TrainerBase.get_current_lr")
def rates():
    """update_lr steps every scheduler and skips None; get_current_lr is that of group 0 of the first name."""
    trainer = base()
    trainer.update_lr()
    equal(trainer._scheds["a"].steps, 1)
    trainer.update_lr(names=["b"])
    equal((trainer._scheds["a"].steps, trainer.get_current_lr(), trainer.get_current_lr("a")), (1, 0.25, 0.25))


@check("dassl.engine.TrainerBase.detect_anomaly", "message:Loss is infinite or NaN!")
def anomaly():
    """An infinite loss or NaN is a FloatingPointError."""
    import torch

    trainer = base()
    trainer.detect_anomaly(torch.tensor(1.0))
    for bad in (float("inf"), float("nan")):
        with raises(FloatingPointError, "Loss is infinite or NaN!"):
            trainer.detect_anomaly(torch.tensor(bad))


@check(
    "dassl.engine.TrainerBase.model_zero_grad", "dassl.engine.TrainerBase.model_backward",
    "dassl.engine.TrainerBase.model_update", "dassl.engine.TrainerBase.model_backward_and_update",
)  # fmt: skip
def steps():
    """zero_grad, backward after the anomaly check, step; names without an optimiser are skipped."""
    import torch

    trainer = base()
    model = trainer._models["a"]
    before = model.weight.clone()
    loss = model(torch.ones(1, 2)).sum()
    trainer.model_zero_grad()
    trainer.model_backward(loss)
    equal(model.weight.grad.tolist(), [[1.0, 1.0]])
    trainer.model_update()
    assert torch.allclose(model.weight, before - 0.25)
    trainer.model_backward_and_update(model(torch.ones(1, 2)).sum(), names=["a"])
    assert torch.allclose(model.weight, before - 0.5)
    with raises(FloatingPointError):
        trainer.model_backward(model(torch.full((1, 2), float("nan"))).sum())


@check(
    "dassl.engine.TrainerBase.init_writer", "dassl.engine.TrainerBase.close_writer",
    "dassl.engine.TrainerBase.write_scalar", "line:Initialize tensorboard (log_dir={dir})",
    "dassl.engine.trainer.SummaryWriter",
)  # fmt: skip
def writer():
    """init_writer prints a line and does nothing if a writer exists; write_scalar does nothing without one."""
    from dassl.engine.trainer import SummaryWriter

    trainer, place = base(), folder()
    trainer.write_scalar("a", 1.0)
    with printed() as text:
        trainer.init_writer(str(place))
        trainer.init_writer(str(place))
    equal(text.lines, [f"Initialize tensorboard (log_dir={place})"])
    assert isinstance(trainer._writer, SummaryWriter)
    trainer.write_scalar("a", 1.0, global_step=3)
    trainer.close_writer()
    assert any(p.name.startswith("events.out") for p in place.iterdir())


@check(
    "dassl.engine.TrainerBase.run_epoch", "dassl.engine.TrainerBase.test",
    "dassl.engine.TrainerBase.parse_batch_train", "dassl.engine.TrainerBase.parse_batch_test",
    "dassl.engine.TrainerBase.forward_backward", "dassl.engine.TrainerBase.model_inference",
)  # fmt: skip
def left_to_subclasses():
    """These raise NotImplementedError on TrainerBase."""
    trainer = base()
    for call, arguments in (
        (trainer.run_epoch, ()), (trainer.test, ()), (trainer.parse_batch_train, (None,)),
        (trainer.parse_batch_test, (None,)), (trainer.forward_backward, (None,)), (trainer.model_inference, (None,)),
    ):  # fmt: skip
        with raises(NotImplementedError):
            call(*arguments)


@check(
    "dassl.engine.TrainerBase.train", "dassl.engine.TrainerBase.before_train", "dassl.engine.TrainerBase.after_train",
    "dassl.engine.TrainerBase.before_epoch", "dassl.engine.TrainerBase.after_epoch",
)  # fmt: skip
def hooks():
    """before_train, then before_epoch, run_epoch, after_epoch for start..max-1, then after_train; no-ops by default."""
    from dassl.engine import TrainerBase

    calls = []

    class Spy(TrainerBase):
        def run_epoch(self):
            calls.append(("run", self.epoch))

    for name in ("before_train", "after_train", "before_epoch", "after_epoch"):

        def hook(self, name=name):
            equal(getattr(TrainerBase, name)(self), None)
            calls.append((name, getattr(self, "epoch", None) if "epoch" in name else None))

        setattr(Spy, name, hook)
    Spy().train(1, 3)
    epochs = [(name, e) for e in (1, 2) for name in ("before_epoch", "run", "after_epoch")]
    equal(calls, [("before_train", None), *epochs, ("after_train", None)])


@check(
    "dassl.engine.TrainerBase.save_model", "dassl.engine.TrainerBase.load_model",
    "dassl.engine.TrainerBase.resume_model_if_exist",
    "line:Load {path} to {name} (epoch={e}, val_result={v:.1f})", "checkpoint:val_result",
)  # fmt: skip
def save_and_load():
    """save_model writes every model below its name; load_model without an epoch reads model-best.pth.tar, strictly."""
    import torch

    trainer, place = base(), folder()
    trainer._scheds["a"] = None
    with printed():
        trainer.save_model(1, str(place), val_result=87.654, model_name="model-best.pth.tar")
    kept = trainer._models["a"].weight.clone()
    with torch.no_grad():
        trainer._models["a"].weight.zero_()
    with printed() as text:
        trainer.load_model(str(place))
    assert torch.equal(trainer._models["a"].weight, kept)
    equal(
        [line for line in text.lines if line.startswith("Load ")],
        [f"Load {place}/{n}/model-best.pth.tar to {n} (epoch=2, val_result=87.7)" for n in "ab"],
    )
    other = base()
    other._models["a"] = torch.nn.Linear(3, 1)
    with raises(RuntimeError):
        other.load_model(str(place))


@check("dassl.engine.TrainerBase.load_model", "line:Note that load_model() is skipped")
def load_nothing():
    """An empty folder name: a line that begins "Note that load_model() is skipped", and nothing else."""
    with printed() as text:
        base().load_model("")
    equal(len(text.lines), 1)
    assert text.lines[0].startswith("Note that load_model() is skipped")


@check("dassl.engine.TrainerBase.load_model", "message:No model at {path}")
def load_missing():
    """A missing file is a FileNotFoundError: No model at {path}; with an epoch it is model.pth.tar-{epoch}."""
    place = folder()
    with raises(FileNotFoundError, f'No model at "{place}/a/model.pth.tar-7"'):
        base().load_model(str(place), epoch=7)


@check("dassl.engine.TrainerBase.load_model")
def load_periodic():
    """A checkpoint without val_result, which is every periodic one, raises TypeError from the line it prints."""
    trainer, place = base(), folder()
    trainer._scheds["a"] = None
    with printed():
        trainer.save_model(4, str(place))
    try:
        with printed() as text:
            trainer.load_model(str(place), epoch=5)
    except TypeError:
        return
    differs("(epoch=5, val_result=None)" in text.out, "loads-periodic-checkpoints")
    raise AssertionError(text.out)
