"""Section 6: optimisers and schedules."""

import re
import warnings
from collections import OrderedDict
from math import cos, pi

import pytest
import torch
from dassl.config import get_cfg_default
from dassl.optim import build_lr_scheduler, build_optimizer, lr_scheduler, radam
from dassl.optim.lr_scheduler import AVAI_SCHEDS
from dassl.optim.optimizer import AVAI_OPTIMS
from torch import nn

from .catalogue import find, table
from .support import differs

TABLE = {  # rates of ten epochs and after the last step: LR 0.002, MAX_EPOCH 10, warm-up rates 1e-5
    "cosine": (
        2e-3, 1.951057e-3, 1.809017e-3, 1.587785e-3, 1.309017e-3, 1e-3, 6.909830e-4, 4.122147e-4, 1.909830e-4,
        4.894348e-5, 0.0),
    "cosine, constant W=1 RECOUNT True": (
        1e-5, 2e-3, 1.951057e-3, 1.809017e-3, 1.587785e-3, 1.309017e-3, 1e-3, 6.909830e-4, 4.122147e-4, 1.909830e-4,
        4.894348e-5),
    "cosine, constant W=1 RECOUNT False": (
        1e-5, 2e-3, 1.854397e-3, 1.627616e-3, 1.341855e-3, 1.025086e-3, 7.083168e-4, 4.225554e-4, 1.957739e-4,
        5.017126e-5, 0.0),
    "cosine, constant W=3 RECOUNT True": (
        1e-5, 1e-5, 1e-5, 2e-3, 1.951057e-3, 1.809017e-3, 1.587785e-3, 1.309017e-3, 1e-3, 6.909830e-4, 4.122147e-4),
    "cosine, constant W=3 RECOUNT False": (
        1e-5, 1e-5, 1e-5, 2e-3, 1.648859e-3, 1.259616e-3, 8.703734e-4, 5.192324e-4, 2.405653e-4, 6.165000e-5, 0.0),
    "cosine, linear W=3 RECOUNT True": (
        1e-5, 6.666667e-4, 1.333333e-3, 2e-3, 1.951057e-3, 1.809017e-3, 1.587785e-3, 1.309017e-3, 1e-3, 6.909830e-4,
        4.122147e-4),
    "cosine, linear W=3 RECOUNT False": (
        1e-5, 6.666667e-4, 1.333333e-3, 2e-3, 1.648859e-3, 1.259616e-3, 8.703734e-4, 5.192324e-4, 2.405653e-4,
        6.165000e-5, 0.0),
}  # fmt: skip


def optim_cfg(**settings):
    cfg = get_cfg_default().OPTIM
    for key, value in settings.items():
        cfg[key] = value
    return cfg


def net():
    return nn.Sequential(OrderedDict(a=nn.Linear(2, 2), b=nn.Linear(2, 1)))


def schedule(lrs=(0.002,), **settings):
    """(optimizer, scheduler) of one group for each rate."""
    groups = [{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": lr} for lr in lrs]
    optimizer = torch.optim.SGD(groups, lr=0.1)
    return optimizer, build_lr_scheduler(optimizer, optim_cfg(**settings))


def rates(epochs=10, **settings):
    optimizer, scheduler = schedule(**settings)
    found = []
    for _ in range(epochs + 1):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


@pytest.mark.parametrize("name", table("optimizer"))
def test_optimiser_by_name(name):
    """The name is known and makes this optimiser with the config's settings."""
    assert name in AVAI_OPTIMS
    made = build_optimizer(net(), optim_cfg(NAME=name, LR=0.1, WEIGHT_DECAY=0.01, MOMENTUM=0.8, ADAM_BETA1=0.7,
                                            ADAM_BETA2=0.9, SGD_DAMPNING=0.1, RMSPROP_ALPHA=0.5))  # fmt: skip
    kinds = {
        "adam": torch.optim.Adam, "amsgrad": torch.optim.Adam, "sgd": torch.optim.SGD, "rmsprop": torch.optim.RMSprop,
        "adamw": torch.optim.AdamW, "radam": find("dassl.optim.radam.RAdam"),
    }  # fmt: skip
    assert isinstance(made, kinds[name])
    (group,) = made.param_groups
    assert (group["lr"], group["weight_decay"]) == (0.1, 0.01)
    own = {"sgd": {"momentum": 0.8, "dampening": 0.1, "nesterov": False}, "rmsprop": {"momentum": 0.8, "alpha": 0.5}}
    for key, value in own.get(name, {"betas": (0.7, 0.9)}).items():
        assert group[key] == value
    if name in ("adam", "amsgrad"):
        assert group["amsgrad"] == (name == "amsgrad")
    for parameter in group["params"]:
        parameter.grad = torch.ones_like(parameter)
    before = group["params"][0].clone()
    made.step()
    assert not torch.equal(before, group["params"][0])


def test_nesterov():
    """SGD_NESTEROV turns Nesterov momentum on."""
    assert build_optimizer(net(), optim_cfg(NAME="sgd", SGD_NESTEROV=True)).param_groups[0]["nesterov"]


def test_lists():
    """The names, in order."""
    assert AVAI_OPTIMS == ["adam", "amsgrad", "sgd", "rmsprop", "radam", "adamw"]
    assert AVAI_SCHEDS == ["single_step", "multi_step", "cosine"]


def test_parameters():
    """A module: all its parameters, frozen ones too; anything else is taken as an iterable; param_groups are used as
    they are, with a warning that STAGED_LR is ignored.
    """
    model = net()
    model.a.requires_grad_(False)
    assert len(build_optimizer(model, optim_cfg()).param_groups[0]["params"]) == 4
    assert len(build_optimizer(model.b.parameters(), optim_cfg()).param_groups[0]["params"]) == 2
    groups = [{"params": list(model.a.parameters()), "lr": 0.5}]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        made = build_optimizer(model, optim_cfg(STAGED_LR=True), param_groups=groups)
    assert (made.param_groups[0]["lr"], len(made.param_groups)) == (0.5, 1)
    assert caught


def test_staged():
    """STAGED_LR: children that are not named at LR x BASE_LR_MULT, the named at LR; needs a module, else TypeError."""
    model = net()
    made = build_optimizer(model, optim_cfg(STAGED_LR=True, NEW_LAYERS=("b",), LR=1.0, BASE_LR_MULT=0.1))
    assert [group["lr"] for group in made.param_groups] == pytest.approx([0.1, 1.0])
    assert [len(group["params"]) for group in made.param_groups] == [2, 2]
    assert made.param_groups[0]["params"][0] is model.a.weight
    with pytest.raises(TypeError):
        build_optimizer(model.parameters(), optim_cfg(STAGED_LR=True))


def test_staged_without_new_layers():
    """NEW_LAYERS empty: everything at the reduced rate, an empty second group, and a warning."""
    with pytest.warns(UserWarning):
        made = build_optimizer(net(), optim_cfg(STAGED_LR=True, LR=1.0))
    assert [len(group["params"]) for group in made.param_groups] == [4, 0]


def test_parameters_of_the_root():
    """Parameters held directly by the model are in neither group."""
    model = net()
    model.own = torch.nn.Parameter(torch.zeros(1))
    made = build_optimizer(model, optim_cfg(STAGED_LR=True, NEW_LAYERS=("b",)))
    held = [p for group in made.param_groups for p in group["params"]]
    differs(any(p is model.own for p in held), "staged-root-parameters")
    assert len(held) == 4


def test_unknown_names():
    """An unknown optimiser or schedule is a ValueError that lists the known ones."""
    with pytest.raises(ValueError, match=re.escape(f"optim must be one of {AVAI_OPTIMS}, but got adamx")):
        build_optimizer(net(), optim_cfg(NAME="adamx"))
    with pytest.raises(ValueError, match=re.escape(f"scheduler must be one of {AVAI_SCHEDS}, but got cosin")):
        schedule(LR_SCHEDULER="cosin")


def test_own_optimisers():
    """They minimise; degenerated_to_sgd=False does not move at first; warmup makes AdamW's first steps small."""

    def path(make, steps=40):
        x = torch.nn.Parameter(torch.tensor([3.0]))
        optimizer, values = make([x]), []
        for _ in range(steps):
            optimizer.zero_grad()
            x.square().sum().backward()
            optimizer.step()
            values.append(x.item())
        return values

    for name in ("RAdam", "PlainRAdam"):
        kind = getattr(radam, name)
        assert abs(path(lambda p, k=kind: k(p, lr=0.1))[-1]) < 2.5, name
        assert path(lambda p, k=kind: k(p, lr=0.1, degenerated_to_sgd=False))[:4] == [3.0] * 4
    plain, warm = path(lambda p: radam.AdamW(p, lr=0.1)), path(lambda p: radam.AdamW(p, lr=0.1, warmup=10))
    assert plain[0] == pytest.approx(2.9, rel=1e-3)
    assert 3.0 - warm[0] < 0.05 and abs(plain[-1]) < 1.0


# Schedules


def test_single_step():
    """StepLR of the last element of STEPSIZE; <= 0 means MAX_EPOCH; not an int is a TypeError."""
    assert rates(4, LR_SCHEDULER="single_step", STEPSIZE=(9, 2)) == pytest.approx([2e-3, 2e-3, 2e-4, 2e-4, 2e-5])
    assert rates(10, LR_SCHEDULER="single_step") == pytest.approx([2e-3] * 10 + [2e-4])
    with pytest.raises(TypeError):
        schedule(LR_SCHEDULER="single_step", STEPSIZE=(1.5,))


def test_multi_step():
    """MultiStepLR; STEPSIZE must be a list or tuple, else TypeError."""
    assert rates(4, LR_SCHEDULER="multi_step", STEPSIZE=(1, 3)) == pytest.approx([2e-3, 2e-4, 2e-4, 2e-5, 2e-5])
    with pytest.raises(TypeError):
        schedule(LR_SCHEDULER="multi_step", STEPSIZE=3)


def test_cosine():
    """CosineAnnealingLR with T_max = float(MAX_EPOCH) and eta_min 0."""
    _, made = schedule(LR_SCHEDULER="cosine", MAX_EPOCH=7)
    assert (type(made).__name__, made.T_max, made.eta_min) == ("CosineAnnealingLR", 7.0, 0)


def warmup_of(name):
    """Settings that the name of a schedule tells."""
    if "W=" not in name:
        return {}
    return {
        "WARMUP_EPOCH": int(name.split("W=")[1][0]),
        "WARMUP_TYPE": "linear" if "linear" in name else "constant",
        "WARMUP_RECOUNT": "RECOUNT False" not in name,
    }


@pytest.mark.parametrize("name", TABLE)
def test_table(name):
    """The rate of each epoch is the contract's, to the seven digits of its table."""
    assert rates(LR_SCHEDULER="cosine", MAX_EPOCH=10, **warmup_of(name)) == pytest.approx(TABLE[name], rel=5e-7)


def test_linear_of_one_epoch():
    """Linear warm-up of one epoch equals the constant one."""
    found = rates(LR_SCHEDULER="cosine", MAX_EPOCH=10, **warmup_of("cosine, linear W=1"))
    assert found == pytest.approx(TABLE["cosine, constant W=1 RECOUNT True"], rel=5e-7)


@pytest.mark.parametrize("name", ["multi_step", "single_step"])
def test_step_schedules_with_warmup(name):
    """multi_step (4, 8) drops at epochs 6 and 10, without recount at 5 and 9; single_step 3 at 5, 8 and after 10,
    without recount at 4, 7 and 10.
    """
    stepsize, with_recount, without = {
        "multi_step": ((4, 8), [6, 10], [5, 9]),
        "single_step": ((3,), [5, 8, 11], [4, 7, 10]),
    }[name]
    for recount, expected in ((True, with_recount), (False, without)):
        settings = {"WARMUP_EPOCH": 1, "WARMUP_TYPE": "constant", "WARMUP_RECOUNT": recount}
        found = rates(LR_SCHEDULER=name, STEPSIZE=stepsize, **settings)
        assert [e + 1 for e in range(1, 11) if found[e] < found[e - 1] * 0.5] == expected


def test_warmup_closed_forms():
    """Warm-up only if WARMUP_EPOCH > 0; then with RECOUNT base (1 + cos(pi (e - W) / M)) / 2, without it
    base (1 + cos(pi e / M)) / (1 + cos(pi W / M)); another type is a ValueError.
    """
    base, m, w = 0.002, 8, 2
    common = {"LR_SCHEDULER": "cosine", "MAX_EPOCH": m, "WARMUP_TYPE": "constant"}
    found = rates(7, **common, WARMUP_EPOCH=w)
    assert found[w:] == pytest.approx([base * (1 + cos(pi * (e - w) / m)) / 2 for e in range(w, 8)])
    found = rates(7, **common, WARMUP_EPOCH=w, WARMUP_RECOUNT=False)
    assert found[w:] == pytest.approx([base * (1 + cos(pi * e / m)) / (1 + cos(pi * w / m)) for e in range(w, 8)])
    assert type(schedule(**common, WARMUP_EPOCH=0)[1]).__name__ == "CosineAnnealingLR"
    with pytest.raises(ValueError):
        schedule(**{**common, "WARMUP_TYPE": "square"}, WARMUP_EPOCH=1)


def test_wrapper():
    """The main schedule is kept as successor; the wrapper's last_epoch stays at WARMUP_EPOCH afterwards. constant:
    every group at WARMUP_CONS_LR; linear: WARMUP_MIN_LR, then base x e / WARMUP_EPOCH of each group.
    """
    common = {"LR_SCHEDULER": "cosine", "WARMUP_EPOCH": 2, "WARMUP_CONS_LR": 0.3, "WARMUP_MIN_LR": 0.4}
    for kind, name, second in (("constant", "Constant", [0.3, 0.3]), ("linear", "Linear", [0.5, 1.0])):
        optimizer, made = schedule(lrs=(1.0, 2.0), WARMUP_TYPE=kind, **common)
        assert isinstance(made, getattr(lr_scheduler, f"{name}WarmupScheduler"))
        assert isinstance(made, lr_scheduler._BaseWarmupScheduler)
        assert type(made.successor).__name__ == "CosineAnnealingLR"
        assert [g["lr"] for g in optimizer.param_groups] == pytest.approx(
            [0.3, 0.3] if kind == "constant" else [0.4, 0.4]
        )
        optimizer.step()
        made.step()
        assert [g["lr"] for g in optimizer.param_groups] == pytest.approx(second)
        for _ in range(3):
            made.step()
        assert (made.last_epoch, made.successor.last_epoch) == (2, 2)
        assert made.get_last_lr() == made.successor.get_last_lr()


def test_past_the_end():
    """Stepping the cosine past MAX_EPOCH makes the rate rise again."""
    found = rates(14, LR_SCHEDULER="cosine", MAX_EPOCH=10)
    assert found[10] < 1e-9 < found[11] < found[12]
