"""Optimisers by name, staged rates, and the rectified Adam."""

import math

import pytest
import torch
from dassl.config import get_cfg_default
from dassl.optim import build_optimizer
from dassl.optim.optimizer import AVAI_OPTIMS
from dassl.optim.radam import AdamW, PlainRAdam, RAdam
from dassl.utils import UserError
from torch import nn


def _cfg(**values):
    cfg = get_cfg_default().OPTIM
    for key, value in values.items():
        cfg[key] = value
    return cfg


def test_unknown_name():
    with pytest.raises(ValueError) as caught:
        build_optimizer(nn.Linear(2, 2), _cfg(NAME="sdg"))
    assert isinstance(caught.value, UserError)
    assert str(caught.value).startswith(f"optim must be one of {AVAI_OPTIMS}, but got sdg")


class _Staged(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))
        self.backbone = nn.Linear(2, 3)
        self.classifier = nn.Linear(3, 2)


@pytest.mark.parametrize("wrap", [lambda m: m, nn.DataParallel], ids=["plain", "parallel"])
@pytest.mark.parametrize("new_layers", ["classifier", ("classifier",)])
def test_staged_rates(wrap, new_layers):
    model = _Staged()
    cfg = _cfg(NAME="sgd", LR=0.1, STAGED_LR=True, BASE_LR_MULT=0.5)
    dict.__setitem__(cfg, "NEW_LAYERS", new_layers)  # yacs itself would refuse the string
    base, new = build_optimizer(wrap(model), cfg).param_groups
    assert (base["lr"], new["lr"]) == (0.05, 0.1)
    # What the model itself holds learns too.
    assert {id(p) for p in base["params"]} == {id(model.scale), *map(id, model.backbone.parameters())}
    assert [id(p) for p in new["params"]] == [id(p) for p in model.classifier.parameters()]


def test_staged_rates_without_new_layers_warns():
    with pytest.warns(UserWarning, match="NEW_LAYERS is empty"):
        base, new = build_optimizer(_Staged(), _cfg(NAME="sgd", STAGED_LR=True)).param_groups
    assert len(base["params"]) == 5 and new["params"] == []


def test_staged_rates_errors():
    with pytest.raises(UserError, match=r"\[clasifier\].*\[classifier\]"):
        build_optimizer(_Staged(), _cfg(STAGED_LR=True, NEW_LAYERS=("clasifier",)))
    with pytest.raises(TypeError, match="list"):
        build_optimizer([nn.Parameter(torch.ones(1))], _cfg(STAGED_LR=True))


def _minimise(make, steps, gradients):
    parameter = nn.Parameter(torch.tensor([1.0, -2.0], dtype=torch.float64))
    optimizer = make([parameter])
    path = []
    for t in range(steps):
        parameter.grad = gradients[t].clone()
        optimizer.step()
        path.append(parameter.detach().clone())
    return torch.stack(path)


GRADIENTS = torch.randn(12, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def _radam_by_hand(steps, lr, beta1, beta2, eps, decay, degenerate):
    """Algorithm 2 of the paper, step by step in plain Python."""
    x, m, v, path = [1.0, -2.0], [0.0, 0.0], [0.0, 0.0], []
    rho_inf = 2 / (1 - beta2) - 1
    for t in range(1, steps + 1):
        rho = rho_inf - 2 * t * beta2**t / (1 - beta2**t)
        for i in range(2):
            g = GRADIENTS[t - 1, i].item()
            m[i] = beta1 * m[i] + (1 - beta1) * g
            v[i] = beta2 * v[i] + (1 - beta2) * g * g
            m_hat = m[i] / (1 - beta1**t)
            if rho > 5:
                rect = math.sqrt((rho - 4) * (rho - 2) * rho_inf / ((rho_inf - 4) * (rho_inf - 2) * rho))
                step = rect * m_hat * math.sqrt(1 - beta2**t) / (math.sqrt(v[i]) + eps)
            elif degenerate:
                step = m_hat
            else:
                continue
            x[i] -= lr * decay * x[i] + lr * step
        path.append(list(x))
    return torch.tensor(path, dtype=torch.float64)


@pytest.mark.parametrize("degenerate", [True, False])
@pytest.mark.parametrize("kind", [RAdam, PlainRAdam])
def test_radam_follows_the_paper(kind, degenerate):
    arguments = {"lr": 0.1, "betas": (0.9, 0.99), "eps": 1e-8, "weight_decay": 0.1}
    path = _minimise(lambda p: kind(p, degenerated_to_sgd=degenerate, **arguments), 12, GRADIENTS)
    expected = _radam_by_hand(12, 0.1, 0.9, 0.99, 1e-8, 0.1, degenerate)
    assert torch.allclose(path, expected, rtol=1e-10)
    moved_first = not torch.equal(path[0], torch.tensor([1.0, -2.0], dtype=torch.float64))
    assert moved_first == degenerate


def test_radam_reads_the_state_of_the_older_implementation():
    optimizer = RAdam([nn.Parameter(torch.ones(2))], lr=0.1, weight_decay=0.1)
    state = {"step": 7, "exp_avg": torch.zeros(2), "exp_avg_sq": torch.ones(2)}
    group = {"lr": 0.1, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.1, "buffer": [], "params": [0]}
    optimizer.load_state_dict({"state": {0: state}, "param_groups": [group]})
    (parameter,) = optimizer.param_groups[0]["params"]
    parameter.grad = torch.zeros(2)
    optimizer.step()
    # With a zero gradient and zero momentum only the decoupled decay moves the parameter.
    assert torch.allclose(parameter, torch.full((2,), 1 - 0.1 * 0.1))


def test_adamw_warmup_scales_the_first_steps():
    plain = _minimise(lambda p: torch.optim.AdamW(p, lr=0.1, weight_decay=0.1), 6, GRADIENTS)
    none = _minimise(lambda p: AdamW(p, lr=0.1, weight_decay=0.1), 6, GRADIENTS)
    assert torch.equal(none, plain)

    slow = _minimise(lambda p: AdamW(p, lr=0.1, weight_decay=0.1, warmup=4), 6, GRADIENTS)
    parameter = nn.Parameter(torch.tensor([1.0, -2.0], dtype=torch.float64))
    reference = torch.optim.AdamW([parameter], lr=0.1, weight_decay=0.1)
    for t in range(6):
        reference.param_groups[0]["lr"] = 0.1 * min(1, (t + 1) / 4)
        parameter.grad = GRADIENTS[t].clone()
        reference.step()
        assert torch.equal(slow[t], parameter.detach())


def test_adamw_rate_is_restored_after_each_step():
    parameter = nn.Parameter(torch.ones(1))
    optimizer = AdamW([parameter], lr=0.1, warmup=10)
    parameter.grad = torch.ones(1)
    optimizer.step()
    assert optimizer.param_groups[0]["lr"] == 0.1
