"""Learning rates of every schedule, and the state that survives a checkpoint."""

import copy

import pytest
import torch
from dassl.config import get_cfg_default
from dassl.optim import build_lr_scheduler, build_optimizer
from dassl.optim.lr_scheduler import AVAI_SCHEDS, LinearWarmupScheduler
from dassl.utils import UserError, load_checkpoint, resume_from_checkpoint, save_checkpoint
from torch import nn

WARMUPS = [("none", 0, True)] + [(kind, n, r) for kind in ("constant", "linear") for n in (1, 3) for r in (True, False)]


def _build(model=None, **optim):
    cfg = get_cfg_default()
    defaults = {"NAME": "sgd", "LR": 0.002, "LR_SCHEDULER": "cosine", "MAX_EPOCH": 10}
    for key, value in {**defaults, **optim}.items():
        cfg.OPTIM[key] = value
    optimizer = build_optimizer(model or nn.Linear(2, 2), cfg.OPTIM)
    return optimizer, build_lr_scheduler(optimizer, cfg.OPTIM)


def _epoch(optimizer, scheduler):
    rate = optimizer.param_groups[0]["lr"]
    optimizer.step()
    scheduler.step()
    return rate


def _rates(optimizer, scheduler, epochs=10):
    return [_epoch(optimizer, scheduler) for _ in range(epochs)] + [optimizer.param_groups[0]["lr"]]


def _warmup(kind, epochs, recount):
    return {} if kind == "none" else {"WARMUP_TYPE": kind, "WARMUP_EPOCH": epochs, "WARMUP_RECOUNT": recount}


def test_errors():
    with pytest.raises(ValueError) as caught:
        _build(LR_SCHEDULER="cosin")
    assert isinstance(caught.value, UserError)
    assert str(caught.value).startswith(f"scheduler must be one of {AVAI_SCHEDS}, but got cosin")
    assert "[cosine]" in str(caught.value)
    with pytest.raises(ValueError, match="warm"):
        _build(WARMUP_EPOCH=1, WARMUP_TYPE="warm")
    for name, stepsize in (("single_step", (1.5,)), ("multi_step", 3)):
        cfg = get_cfg_default().OPTIM
        cfg.LR_SCHEDULER = name
        dict.__setitem__(cfg, "STEPSIZE", stepsize)
        with pytest.raises(TypeError, match="STEPSIZE"):
            build_lr_scheduler(torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=1), cfg)


def test_verbose_of_the_older_interface_is_accepted():
    optimizer = torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=1.0)
    main = torch.optim.lr_scheduler.StepLR(optimizer, 5)
    scheduler = LinearWarmupScheduler(optimizer, main, 2, 1e-5, -1, True)
    assert scheduler.get_last_lr() == [1e-5]


CASES = [(kind, w, r, s) for (kind, w, r) in WARMUPS for s in AVAI_SCHEDS]


@pytest.mark.parametrize("stop", [1, 2, 3, 6])
@pytest.mark.parametrize("kind,epochs,recount,name", CASES)
def test_resumed_rates_equal_uninterrupted_ones(tmp_path, kind, epochs, recount, name, stop):
    settings = {"LR_SCHEDULER": name, "STEPSIZE": (3, 5), **_warmup(kind, epochs, recount)}
    full = _rates(*_build(**settings))

    model = nn.Linear(2, 2)
    optimizer, scheduler = _build(model, **settings)
    first = [_epoch(optimizer, scheduler) for _ in range(stop)]
    state = {"state_dict": model.state_dict(), "epoch": stop}
    save_checkpoint({**state, "optimizer": optimizer.state_dict(), "scheduler": scheduler.state_dict()}, str(tmp_path))

    model = nn.Linear(2, 2)
    optimizer, scheduler = _build(model, **settings)
    assert resume_from_checkpoint(str(tmp_path), model, optimizer, scheduler) == stop
    assert first + _rates(optimizer, scheduler, 10 - stop) == full


def test_a_step_size_may_be_a_number_without_a_list():
    cfg = get_cfg_default().OPTIM
    cfg.LR, cfg.LR_SCHEDULER = 0.002, "single_step"
    dict.__setitem__(cfg, "STEPSIZE", 3)  # yacs refuses it, callers without yacs may pass it
    optimizer = torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=0.002)
    assert _rates(optimizer, build_lr_scheduler(optimizer, cfg), 4) == pytest.approx([2e-3] * 3 + [2e-4] * 2)


@pytest.mark.filterwarnings("error")
def test_state_is_plain_data(tmp_path):
    optimizer, scheduler = _build(**_warmup("linear", 3, True))
    _rates(optimizer, scheduler, 5)
    torch.save(scheduler.state_dict(), tmp_path / "s")
    state = torch.load(tmp_path / "s", weights_only=True)
    assert state["successor"]["last_epoch"] == 2
    assert {"min_lr", "warmup_epoch", "base_lrs", "last_epoch", "_step_count", "_last_lr"} <= set(state)


def _upstream_state(scheduler):
    # Upstream's wrapper hands its attributes out as they are, so the successor is the object itself.
    return {key: value for key, value in vars(scheduler).items() if key != "optimizer"}


@pytest.mark.parametrize("name", AVAI_SCHEDS)
@pytest.mark.parametrize("stop", [1, 4])
def test_resume_from_an_upstream_checkpoint(tmp_path, name, stop):
    settings = {"LR_SCHEDULER": name, "STEPSIZE": (3, 5), "WARMUP_TYPE": "constant", "WARMUP_EPOCH": 2}
    full = _rates(*_build(**settings))
    model = nn.Linear(2, 2)
    optimizer, scheduler = _build(model, **settings)
    for _ in range(stop):
        _epoch(optimizer, scheduler)
    state = {"state_dict": model.state_dict(), "epoch": stop, "optimizer": optimizer.state_dict()}
    torch.save({**state, "scheduler": _upstream_state(scheduler)}, tmp_path / "model.pth.tar-9")
    (tmp_path / "checkpoint").write_text("model.pth.tar-9\n")

    model = nn.Linear(2, 2)
    optimizer, scheduler = _build(model, **settings)
    resume_from_checkpoint(str(tmp_path), model, optimizer, scheduler)
    assert scheduler.optimizer is optimizer and scheduler.successor.optimizer is optimizer
    assert _rates(optimizer, scheduler, 10 - stop) == full[stop:]


def test_a_rate_frozen_by_an_upstream_resume_is_mended(tmp_path):
    """Upstream stepped a copy of the optimiser after a resume: its file holds a stale rate."""
    settings = _warmup("constant", 1, True)
    full = _rates(*_build(**settings))
    optimizer, scheduler = _build(**settings)
    for _ in range(4):
        _epoch(optimizer, scheduler)
    saved = copy.deepcopy(optimizer.state_dict())
    saved["param_groups"][0]["lr"] = 0.0015
    torch.save({"scheduler": _upstream_state(scheduler)}, tmp_path / "c")

    optimizer, scheduler = _build(**settings)
    optimizer.load_state_dict(saved)
    scheduler.load_state_dict(load_checkpoint(tmp_path / "c")["scheduler"])
    assert _rates(optimizer, scheduler, 6) == full[4:]
