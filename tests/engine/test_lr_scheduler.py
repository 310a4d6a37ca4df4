"""Learning rates of every schedule, and the state that survives a checkpoint."""

import copy

import pytest
import torch
from dassl.config import get_cfg_default
from dassl.optim import build_lr_scheduler, build_optimizer
from dassl.optim.lr_scheduler import AVAI_SCHEDS, ConstantWarmupScheduler, LinearWarmupScheduler
from dassl.utils import UserError, load_checkpoint, resume_from_checkpoint, save_checkpoint
from torch import nn

# Rate of epochs 1 to 10 and after the last step: LR 0.002, MAX_EPOCH 10, first rate 1e-5, cosine.
COSINE = {
    ("none", 0, True): """2.000000e-03 1.951057e-03 1.809017e-03 1.587785e-03 1.309017e-03 1.000000e-03
        6.909830e-04 4.122147e-04 1.909830e-04 4.894348e-05 0""",
    ("constant", 1, True): """1.000000e-05 2.000000e-03 1.951057e-03 1.809017e-03 1.587785e-03 1.309017e-03
        1.000000e-03 6.909830e-04 4.122147e-04 1.909830e-04 4.894348e-05""",
    ("constant", 1, False): """1.000000e-05 2.000000e-03 1.854397e-03 1.627616e-03 1.341855e-03 1.025086e-03
        7.083168e-04 4.225554e-04 1.957739e-04 5.017126e-05 0""",
    ("constant", 3, True): """1.000000e-05 1.000000e-05 1.000000e-05 2.000000e-03 1.951057e-03 1.809017e-03
        1.587785e-03 1.309017e-03 1.000000e-03 6.909830e-04 4.122147e-04""",
    ("constant", 3, False): """1.000000e-05 1.000000e-05 1.000000e-05 2.000000e-03 1.648859e-03 1.259616e-03
        8.703734e-04 5.192324e-04 2.405653e-04 6.165000e-05 0""",
    ("linear", 3, True): """1.000000e-05 6.666667e-04 1.333333e-03 2.000000e-03 1.951057e-03 1.809017e-03
        1.587785e-03 1.309017e-03 1.000000e-03 6.909830e-04 4.122147e-04""",
    ("linear", 3, False): """1.000000e-05 6.666667e-04 1.333333e-03 2.000000e-03 1.648859e-03 1.259616e-03
        8.703734e-04 5.192324e-04 2.405653e-04 6.165000e-05 0""",
}
COSINE["linear", 1, True] = COSINE["constant", 1, True]


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


@pytest.mark.parametrize("case", COSINE, ids=str)
@pytest.mark.filterwarnings("error")
def test_cosine_table(case):
    expected = [float(text) for text in COSINE[case].split()]
    assert _rates(*_build(**_warmup(*case))) == pytest.approx(expected, rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("name,stepsize", [("multi_step", (4, 8)), ("single_step", (3,)), ("single_step", 3)])
@pytest.mark.parametrize("recount", [None, True, False])
def test_step_schedules_drop_where_upstream_does(name, stepsize, recount):
    # Epochs (1-based) whose rate is lower than the one before; 11 stands for "after the last step".
    drops = {
        ("multi_step", None): [5, 9],
        ("multi_step", True): [6, 10],
        ("multi_step", False): [5, 9],
        ("single_step", None): [4, 7, 10],
        ("single_step", True): [5, 8, 11],
        ("single_step", False): [4, 7, 10],
    }
    warmup = {} if recount is None else _warmup("constant", 1, recount)
    cfg = get_cfg_default().OPTIM
    cfg.LR, cfg.LR_SCHEDULER = 0.002, name
    for key, value in warmup.items():
        cfg[key] = value
    # An int is what a caller without yacs may pass; yacs itself refuses it for a tuple.
    dict.__setitem__(cfg, "STEPSIZE", stepsize)
    optimizer = torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=0.002)
    rates = _rates(optimizer, build_lr_scheduler(optimizer, cfg))
    assert [i + 1 for i in range(1, 11) if rates[i] < rates[i - 1]] == drops[name, recount]
    if recount is not None:
        assert rates[:2] == [1e-5, 0.002]


def test_single_step_default_means_max_epoch():
    optimizer, scheduler = _build(LR_SCHEDULER="single_step", MAX_EPOCH=4)
    assert _rates(optimizer, scheduler, 4) == pytest.approx([0.002] * 4 + [0.0002])


def test_cosine_rises_again_past_its_end():
    rates = _rates(*_build(MAX_EPOCH=3), epochs=6)
    assert rates[3] == pytest.approx(0) and rates[6] == pytest.approx(0.002)


def _two_groups(kind):
    groups = [{"params": [nn.Parameter(torch.ones(1))], "lr": lr} for lr in (0.002, 0.02)]
    optimizer = torch.optim.SGD(groups, lr=0.002)
    cfg = get_cfg_default().OPTIM
    cfg.LR_SCHEDULER, cfg.WARMUP_EPOCH, cfg.WARMUP_TYPE = "cosine", 2, kind
    scheduler = build_lr_scheduler(optimizer, cfg)
    rates = []
    for _ in range(3):
        rates.append([group["lr"] for group in optimizer.param_groups])
        optimizer.step()
        scheduler.step()
    return rates


def test_warmup_of_several_groups():
    assert _two_groups("constant") == [[1e-5, 1e-5], [1e-5, 1e-5], [0.002, 0.02]]
    assert _two_groups("linear") == [[1e-5, 1e-5], [0.001, 0.01], [0.002, 0.02]]


def test_own_counter_stops_at_the_end_of_the_warmup():
    optimizer, scheduler = _build(**_warmup("constant", 2, True))
    assert isinstance(scheduler, ConstantWarmupScheduler)
    _rates(optimizer, scheduler, 5)
    assert scheduler.last_epoch == 2
    assert scheduler.successor.last_epoch == 3
    assert scheduler.get_last_lr() == [optimizer.param_groups[0]["lr"]]


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


CASES = [(kind, w, r, s) for (kind, w, r) in COSINE for s in AVAI_SCHEDS]


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
