"""Section 6: optimisers and schedules."""

import warnings

from ..checking import check, differs, equal, near, raises
from ..presence import find

TABLE = {  # rates of ten epochs and after the last step: LR 0.002, MAX_EPOCH 10, warm-up rates 1e-5
    "schedule:cosine": (
        2e-3, 1.951057e-3, 1.809017e-3, 1.587785e-3, 1.309017e-3, 1e-3, 6.909830e-4, 4.122147e-4, 1.909830e-4,
        4.894348e-5, 0.0),
    "schedule:cosine, constant W=1 RECOUNT True": (
        1e-5, 2e-3, 1.951057e-3, 1.809017e-3, 1.587785e-3, 1.309017e-3, 1e-3, 6.909830e-4, 4.122147e-4, 1.909830e-4,
        4.894348e-5),
    "schedule:cosine, constant W=1 RECOUNT False": (
        1e-5, 2e-3, 1.854397e-3, 1.627616e-3, 1.341855e-3, 1.025086e-3, 7.083168e-4, 4.225554e-4, 1.957739e-4,
        5.017126e-5, 0.0),
    "schedule:cosine, constant W=3 RECOUNT True": (
        1e-5, 1e-5, 1e-5, 2e-3, 1.951057e-3, 1.809017e-3, 1.587785e-3, 1.309017e-3, 1e-3, 6.909830e-4, 4.122147e-4),
    "schedule:cosine, constant W=3 RECOUNT False": (
        1e-5, 1e-5, 1e-5, 2e-3, 1.648859e-3, 1.259616e-3, 8.703734e-4, 5.192324e-4, 2.405653e-4, 6.165000e-5, 0.0),
    "schedule:cosine, linear W=3 RECOUNT True": (
        1e-5, 6.666667e-4, 1.333333e-3, 2e-3, 1.951057e-3, 1.809017e-3, 1.587785e-3, 1.309017e-3, 1e-3, 6.909830e-4,
        4.122147e-4),
    "schedule:cosine, linear W=3 RECOUNT False": (
        1e-5, 6.666667e-4, 1.333333e-3, 2e-3, 1.648859e-3, 1.259616e-3, 8.703734e-4, 5.192324e-4, 2.405653e-4,
        6.165000e-5, 0.0),
}  # fmt: skip


def optim_cfg(**settings):
    from dassl.config import get_cfg_default

    cfg = get_cfg_default().OPTIM
    for key, value in settings.items():
        cfg[key] = value
    return cfg


def net():
    from collections import OrderedDict

    from torch import nn

    return nn.Sequential(OrderedDict(a=nn.Linear(2, 2), b=nn.Linear(2, 1)))


def schedule(lrs=(0.002,), **settings):
    """(optimizer, scheduler) of one group for each rate."""
    import torch
    from dassl.optim import build_lr_scheduler

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


@check("optimizer:*")
def optimiser_by_name(entry):
    """The name is known and makes this optimiser with the config's settings."""
    import torch
    from dassl.optim import build_optimizer
    from dassl.optim.optimizer import AVAI_OPTIMS

    assert entry.short in AVAI_OPTIMS
    made = build_optimizer(net(), optim_cfg(NAME=entry.short, LR=0.1, WEIGHT_DECAY=0.01, MOMENTUM=0.8, ADAM_BETA1=0.7,
                                            ADAM_BETA2=0.9, SGD_DAMPNING=0.1, RMSPROP_ALPHA=0.5))  # fmt: skip
    kinds = {
        "adam": torch.optim.Adam, "amsgrad": torch.optim.Adam, "sgd": torch.optim.SGD, "rmsprop": torch.optim.RMSprop,
        "adamw": torch.optim.AdamW, "radam": find("dassl.optim.radam.RAdam"),
    }  # fmt: skip
    assert isinstance(made, kinds[entry.short])
    (group,) = made.param_groups
    equal((group["lr"], group["weight_decay"]), (0.1, 0.01))
    own = {"sgd": {"momentum": 0.8, "dampening": 0.1, "nesterov": False}, "rmsprop": {"momentum": 0.8, "alpha": 0.5}}
    for key, value in own.get(entry.short, {"betas": (0.7, 0.9)}).items():
        equal(group[key], value)
    if entry.short in ("adam", "amsgrad"):
        equal(group["amsgrad"], entry.short == "amsgrad")
    for parameter in group["params"]:
        parameter.grad = torch.ones_like(parameter)
    before = group["params"][0].clone()
    made.step()
    assert not torch.equal(before, group["params"][0])


@check("dassl.optim.optimizer.AVAI_OPTIMS", "dassl.optim.lr_scheduler.AVAI_SCHEDS")
def lists():
    """The names, in order."""
    from dassl.optim.lr_scheduler import AVAI_SCHEDS
    from dassl.optim.optimizer import AVAI_OPTIMS

    equal(AVAI_OPTIMS, ["adam", "amsgrad", "sgd", "rmsprop", "radam", "adamw"])
    equal(AVAI_SCHEDS, ["single_step", "multi_step", "cosine"])


@check("dassl.optim.build_optimizer")
def parameters():
    """A module: all its parameters, frozen ones too; anything else is taken as an iterable; param_groups are used as
    they are, with a warning that STAGED_LR is ignored.
    """
    from dassl.optim import build_optimizer

    model = net()
    model.a.requires_grad_(False)
    equal(len(build_optimizer(model, optim_cfg()).param_groups[0]["params"]), 4)
    equal(len(build_optimizer(model.b.parameters(), optim_cfg()).param_groups[0]["params"]), 2)
    groups = [{"params": list(model.a.parameters()), "lr": 0.5}]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        made = build_optimizer(model, optim_cfg(STAGED_LR=True), param_groups=groups)
    equal((made.param_groups[0]["lr"], len(made.param_groups)), (0.5, 1))
    assert caught


@check("cfg.OPTIM.STAGED_LR", "cfg.OPTIM.NEW_LAYERS", "cfg.OPTIM.BASE_LR_MULT", "dassl.optim.build_optimizer")
def staged():
    """STAGED_LR: children that are not named at LR x BASE_LR_MULT, the named at LR; needs a module, else TypeError."""
    from dassl.optim import build_optimizer

    model = net()
    made = build_optimizer(model, optim_cfg(STAGED_LR=True, NEW_LAYERS=("b",), LR=1.0, BASE_LR_MULT=0.1))
    near([group["lr"] for group in made.param_groups], [0.1, 1.0])
    equal([len(group["params"]) for group in made.param_groups], [2, 2])
    assert made.param_groups[0]["params"][0] is model.a.weight
    with raises(TypeError):
        build_optimizer(model.parameters(), optim_cfg(STAGED_LR=True))


@check("cfg.OPTIM.NEW_LAYERS")
def staged_without_new_layers():
    """NEW_LAYERS empty: everything at the reduced rate, and an empty second group."""
    from dassl.optim import build_optimizer

    made = build_optimizer(net(), optim_cfg(STAGED_LR=True, LR=1.0))
    equal([len(group["params"]) for group in made.param_groups], [4, 0])


@check("cfg.OPTIM.STAGED_LR")
def parameters_of_the_root():
    """Parameters held directly by the model are in neither group."""
    import torch
    from dassl.optim import build_optimizer

    model = net()
    model.own = torch.nn.Parameter(torch.zeros(1))
    made = build_optimizer(model, optim_cfg(STAGED_LR=True, NEW_LAYERS=("b",)))
    held = [p for group in made.param_groups for p in group["params"]]
    differs(any(p is model.own for p in held), "staged-root-parameters")
    equal(len(held), 4)


@check("message:optim must be one of {list}, but got {x}", "message:scheduler must be one of {list}, but got {x}")
def unknown_names():
    """An unknown optimiser or schedule is a ValueError that lists the known ones."""
    from dassl.optim import build_optimizer
    from dassl.optim.lr_scheduler import AVAI_SCHEDS
    from dassl.optim.optimizer import AVAI_OPTIMS

    with raises(ValueError, f"optim must be one of {AVAI_OPTIMS}, but got adamx"):
        build_optimizer(net(), optim_cfg(NAME="adamx"))
    with raises(ValueError, f"scheduler must be one of {AVAI_SCHEDS}, but got cosin"):
        schedule(LR_SCHEDULER="cosin")


@check("dassl.optim.radam.RAdam", "dassl.optim.radam.PlainRAdam", "dassl.optim.radam.AdamW")
def own_optimisers():
    """They minimise; degenerated_to_sgd=False stands still at first; warmup makes AdamW's first steps small."""
    import torch
    from dassl.optim import radam

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
        equal(path(lambda p, k=kind: k(p, lr=0.1, degenerated_to_sgd=False))[:4], [3.0] * 4)
    plain, warm = path(lambda p: radam.AdamW(p, lr=0.1)), path(lambda p: radam.AdamW(p, lr=0.1, warmup=10))
    near(plain[0], 2.9, 1e-3)
    assert 3.0 - warm[0] < 0.05 and abs(plain[-1]) < 1.0


# Schedules


@check("schedule:single_step", "cfg.OPTIM.STEPSIZE", "cfg.OPTIM.GAMMA")
def single_step():
    """StepLR of the last element of STEPSIZE; <= 0 means MAX_EPOCH; not an int is a TypeError."""
    near(rates(4, LR_SCHEDULER="single_step", STEPSIZE=(9, 2)), [2e-3, 2e-3, 2e-4, 2e-4, 2e-5])
    near(rates(10, LR_SCHEDULER="single_step"), [2e-3] * 10 + [2e-4])
    with raises(TypeError):
        schedule(LR_SCHEDULER="single_step", STEPSIZE=(1.5,))


@check("schedule:multi_step")
def multi_step():
    """MultiStepLR; STEPSIZE must be a list or tuple, else TypeError."""
    near(rates(4, LR_SCHEDULER="multi_step", STEPSIZE=(1, 3)), [2e-3, 2e-4, 2e-4, 2e-5, 2e-5])
    with raises(TypeError):
        schedule(LR_SCHEDULER="multi_step", STEPSIZE=3)


@check("schedule:cosine", "dassl.optim.build_lr_scheduler")
def cosine():
    """CosineAnnealingLR with T_max = float(MAX_EPOCH) and eta_min 0."""
    _, made = schedule(LR_SCHEDULER="cosine", MAX_EPOCH=7)
    equal((type(made).__name__, made.T_max, made.eta_min), ("CosineAnnealingLR", 7.0, 0))


def warmup_of(name):
    """Settings that the name of a schedule tells."""
    if "W=" not in name:
        return {}
    return {
        "WARMUP_EPOCH": int(name.split("W=")[1][0]),
        "WARMUP_TYPE": "linear" if "linear" in name else "constant",
        "WARMUP_RECOUNT": "RECOUNT False" not in name,
    }


@check(*TABLE)
def table(entry):
    """The rate of each epoch is the contract's, to the seven digits of its table."""
    near(rates(LR_SCHEDULER="cosine", MAX_EPOCH=10, **warmup_of(entry.name)), TABLE[entry.name], 5e-7)


@check("schedule:cosine, linear W=1")
def linear_of_one_epoch(entry):
    """Linear warm-up of one epoch equals the constant one."""
    found = rates(LR_SCHEDULER="cosine", MAX_EPOCH=10, **warmup_of(entry.name))
    near(found, TABLE["schedule:cosine, constant W=1 RECOUNT True"], 5e-7)


@check("schedule:multi_step, constant W=1", "schedule:single_step, constant W=1")
def step_schedules_with_warmup(entry):
    """multi_step (4, 8) drops at epochs 6 and 10, without recount at 5 and 9; single_step 3 at 5, 8 and after 10,
    without recount at 4, 7 and 10.
    """
    name = entry.short.split(",")[0]
    stepsize, with_recount, without = {
        "multi_step": ((4, 8), [6, 10], [5, 9]),
        "single_step": ((3,), [5, 8, 11], [4, 7, 10]),
    }[name]
    for recount, expected in ((True, with_recount), (False, without)):
        settings = {**warmup_of(entry.name), "WARMUP_RECOUNT": recount}
        found = rates(LR_SCHEDULER=name, STEPSIZE=stepsize, **settings)
        equal([e + 1 for e in range(1, 11) if found[e] < found[e - 1] * 0.5], expected)


@check("cfg.OPTIM.WARMUP_EPOCH", "cfg.OPTIM.WARMUP_TYPE", "cfg.OPTIM.WARMUP_RECOUNT")
def warmup_closed_forms():
    """Warm-up only if WARMUP_EPOCH > 0; then with RECOUNT base (1 + cos(pi (e - W) / M)) / 2, without it
    base (1 + cos(pi e / M)) / (1 + cos(pi W / M)); another type is a ValueError.
    """
    from math import cos, pi

    base, m, w = 0.002, 8, 2
    common = {"LR_SCHEDULER": "cosine", "MAX_EPOCH": m, "WARMUP_TYPE": "constant"}
    found = rates(7, **common, WARMUP_EPOCH=w)
    near(found[w:], [base * (1 + cos(pi * (e - w) / m)) / 2 for e in range(w, 8)])
    found = rates(7, **common, WARMUP_EPOCH=w, WARMUP_RECOUNT=False)
    near(found[w:], [base * (1 + cos(pi * e / m)) / (1 + cos(pi * w / m)) for e in range(w, 8)])
    equal(type(schedule(**common, WARMUP_EPOCH=0)[1]).__name__, "CosineAnnealingLR")
    with raises(ValueError):
        schedule(**{**common, "WARMUP_TYPE": "square"}, WARMUP_EPOCH=1)


@check(
    "dassl.optim.lr_scheduler._BaseWarmupScheduler", "dassl.optim.lr_scheduler.ConstantWarmupScheduler",
    "dassl.optim.lr_scheduler.LinearWarmupScheduler", "cfg.OPTIM.WARMUP_CONS_LR", "cfg.OPTIM.WARMUP_MIN_LR",
)  # fmt: skip
def wrapper():
    """The main schedule is kept as successor; the wrapper's last_epoch stays at WARMUP_EPOCH afterwards. constant:
    every group at WARMUP_CONS_LR; linear: WARMUP_MIN_LR, then base x e / WARMUP_EPOCH of each group.
    """
    from dassl.optim import lr_scheduler

    common = {"LR_SCHEDULER": "cosine", "WARMUP_EPOCH": 2, "WARMUP_CONS_LR": 0.3, "WARMUP_MIN_LR": 0.4}
    for kind, name, second in (("constant", "Constant", [0.3, 0.3]), ("linear", "Linear", [0.5, 1.0])):
        optimizer, made = schedule(lrs=(1.0, 2.0), WARMUP_TYPE=kind, **common)
        assert isinstance(made, getattr(lr_scheduler, f"{name}WarmupScheduler"))
        assert isinstance(made, lr_scheduler._BaseWarmupScheduler)
        equal(type(made.successor).__name__, "CosineAnnealingLR")
        near([g["lr"] for g in optimizer.param_groups], [0.3, 0.3] if kind == "constant" else [0.4, 0.4])
        optimizer.step()
        made.step()
        near([g["lr"] for g in optimizer.param_groups], second)
        for _ in range(3):
            made.step()
        equal((made.last_epoch, made.successor.last_epoch), (2, 2))
        equal(made.get_last_lr(), made.successor.get_last_lr())


@check("schedule:cosine")
def past_the_end():
    """Stepping the cosine past MAX_EPOCH makes the rate rise again."""
    found = rates(14, LR_SCHEDULER="cosine", MAX_EPOCH=10)
    assert found[10] < 1e-9 < found[11] < found[12]
