import pytest
import torch
from dassl.engine import TrainerBase
from torch import nn


class Scheduler:
    steps = 0

    def step(self):
        self.steps += 1


@pytest.fixture
def trainer():
    """Models ``a`` (learns) and ``b`` (does not)."""
    base = TrainerBase()
    model = nn.Linear(2, 1)
    base.register_model("a", model, torch.optim.SGD(model.parameters(), lr=0.25), Scheduler())
    base.register_model("b", nn.Linear(2, 1))
    return base


def test_register_model_before_the_constructor():
    class Hasty(TrainerBase):
        def __init__(self):
            self.register_model("a", nn.Linear(1, 1))

    with pytest.raises(AttributeError, match=r"Cannot assign model before super\(\).__init__\(\) call"):
        Hasty()


def test_register_model_twice(trainer):
    with pytest.raises(AssertionError, match="Found duplicate model names"):
        trainer.register_model("a", nn.Linear(1, 1))


def test_model_names(trainer):
    assert trainer.get_model_names() == ["a", "b"]
    assert trainer.get_model_names("b") == ["b"] and trainer.get_model_names(["b", "a"]) == ["b", "a"]
    for unknown in ("c", ["a", "c"], ("a", "b")):
        with pytest.raises(AssertionError, match="Registered: .'a', 'b'"):
            trainer.get_model_names(unknown)


def test_model_mode(trainer):
    trainer.set_model_mode("eval")
    assert not trainer._models["a"].training and not trainer._models["b"].training
    trainer.set_model_mode("train", "b")
    assert not trainer._models["a"].training and trainer._models["b"].training
    trainer.set_model_mode("test")
    assert not trainer._models["b"].training
    with pytest.raises(KeyError):
        trainer.set_model_mode("evil")


def test_rates_and_steps_leave_out_what_is_missing(trainer):
    trainer.update_lr()
    assert trainer._scheds["a"].steps == 1
    assert trainer.get_current_lr() == 0.25 and trainer.get_current_lr("b") == 0.0
    before = [parameter.clone() for parameter in trainer._models["a"].parameters()]
    loss = trainer._models["a"](torch.ones(1, 2)).sum()
    trainer.model_backward_and_update(loss)
    after = list(trainer._models["a"].parameters())
    # The gradient of w.x + b at x = (1, 1) is 1 for each parameter.
    assert all(torch.allclose(old - 0.25, new) for old, new in zip(before, after, strict=True))


def test_gradients_are_cleared_before_each_step(trainer):
    for _ in range(2):
        trainer.model_backward_and_update(trainer._models["a"](torch.ones(1, 2)).sum())
    assert torch.equal(trainer._models["a"].bias.grad, torch.ones(1))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_anomaly(trainer, value):
    trainer.detect_anomaly(torch.tensor(1.0))
    with pytest.raises(FloatingPointError, match="Loss is infinite or NaN!"):
        trainer.detect_anomaly(torch.tensor(value))


@pytest.mark.parametrize("hook", ["run_epoch", "test"])
def test_hooks_without_a_default(trainer, hook):
    with pytest.raises(NotImplementedError):
        getattr(trainer, hook)()
    for name in ("parse_batch_train", "parse_batch_test", "forward_backward", "model_inference"):
        with pytest.raises(NotImplementedError):
            getattr(trainer, name)(None)


def test_writer_is_closed_when_a_run_fails(trainer, tmp_path, capsys):
    trainer.write_scalar("ignored", 1.0, 0)
    trainer.before_train = lambda: (trainer.init_writer(str(tmp_path)), trainer.init_writer(str(tmp_path)))
    with pytest.raises(NotImplementedError):
        trainer.train(0, 1)
    assert trainer._writer is None
    assert capsys.readouterr().out == f"Initialize tensorboard (log_dir={tmp_path})\n"
