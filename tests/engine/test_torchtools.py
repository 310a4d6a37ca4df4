"""Which layers learn, parameter counts, initial and pretrained weights."""

import pytest
import torch
from dassl.utils import (
    UserError,
    count_num_param,
    init_network_weights,
    load_pretrained_weights,
    open_all_layers,
    open_specified_layers,
)
from dassl.utils.torchtools import adjust_learning_rate, set_bn_to_eval
from torch import nn


class _Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
        self.head = nn.Linear(4, 2)


def _learning(module):
    return {p.requires_grad for p in module.parameters()}


def test_open_layers():
    net = _Net()
    open_specified_layers(net, "head")
    assert _learning(net.head) == {True} and net.head.training
    assert _learning(net.body) == {False} and not net.body[1].training
    open_all_layers(net)
    assert _learning(net) == {True} and net.body[1].training
    open_specified_layers(nn.DataParallel(net), ["body"])
    assert _learning(net.head) == {False} and _learning(net.body) == {True}
    with pytest.raises(AssertionError, match="tail"):
        open_specified_layers(net, ["tail"])


def test_count():
    net = _Net()
    total = 3 * 4 * 9 + 4 + 8 + 4 * 2 + 2
    net.head.requires_grad_(False)
    assert count_num_param(net) == total
    assert count_num_param(params=net.parameters()) == total
    assert count_num_param(params=[{"params": list(net.body.parameters())}, {"params": net.head.weight}]) == total - 2
    with pytest.raises(ValueError):
        count_num_param()


def test_pretrained_weights_fit_by_name_and_size(tmp_path, capsys):
    source, target = _Net(), _Net()
    weights = {f"module.{k}": v for k, v in source.state_dict().items()}
    weights["module.head.weight"] = torch.zeros(7, 4)
    weights["extra"] = torch.zeros(1)
    kept = target.head.weight.detach().clone()
    torch.save({"state_dict": weights}, tmp_path / "w")
    load_pretrained_weights(target, str(tmp_path / "w"))
    assert torch.equal(target.body[0].weight, source.body[0].weight)
    assert torch.equal(target.head.bias, source.head.bias)
    assert torch.equal(target.head.weight, kept)
    assert capsys.readouterr().out.splitlines() == [
        f"Successfully loaded pretrained weights from {tmp_path / 'w'}",
        "Layers discarded due to unmatched keys or size: ['head.weight', 'extra']",
    ]


def test_pretrained_weights_from_a_bare_state_dict(tmp_path, capsys):
    source, target = _Net(), _Net()
    torch.save(source.state_dict(), tmp_path / "w")
    load_pretrained_weights(target, str(tmp_path / "w"))
    assert torch.equal(target.head.weight, source.head.weight)
    assert "discarded" not in capsys.readouterr().out


def test_pretrained_weights_without_a_match_warn(tmp_path, capsys):
    torch.save({"other": torch.zeros(1)}, tmp_path / "w")
    with pytest.warns(UserWarning, match="none was loaded"):
        load_pretrained_weights(_Net(), str(tmp_path / "w"))
    assert capsys.readouterr().out == ""


def test_pretrained_weights_need_names(tmp_path):
    torch.save(torch.zeros(3), tmp_path / "w")
    with pytest.raises(UserError, match="no state dict"):
        load_pretrained_weights(_Net(), str(tmp_path / "w"))


@pytest.mark.parametrize("init_type", ["normal", "xavier", "kaiming", "orthogonal"])
def test_init(init_type):
    torch.manual_seed(0)
    net = _Net()
    before = net.head.weight.detach().clone()
    init_network_weights(net, init_type, gain=0.5)
    assert not torch.equal(net.head.weight, before)
    assert net.head.bias.abs().sum() == 0 and net.body[0].bias.abs().sum() == 0
    assert torch.equal(net.body[1].weight, torch.ones(4))
    if init_type == "orthogonal":
        assert torch.allclose(net.head.weight @ net.head.weight.t(), 0.25 * torch.eye(2), atol=1e-6)
    if init_type == "normal":
        assert net.body[0].weight.std().item() == pytest.approx(0.5, rel=0.2)


def test_init_unknown():
    with pytest.raises(NotImplementedError, match="uniform"):
        init_network_weights(_Net(), "uniform")


def test_set_bn_to_eval():
    net = _Net().train()
    net.apply(set_bn_to_eval)
    assert not net.body[1].training and net.head.training


@pytest.mark.parametrize(
    "arguments,expected",
    [
        ({"epoch": 19}, 0.1),
        ({"epoch": 20}, 0.01),
        ({"epoch": 5, "stepsize": 2, "gamma": 0.5}, 0.025),
        ({"epoch": 25, "linear_decay": True, "final_lr": 0.02, "max_epoch": 100}, 0.08),
    ],
)
def test_adjust_learning_rate(arguments, expected):
    optimizer = torch.optim.SGD([nn.Parameter(torch.ones(1))], lr=9.0)
    adjust_learning_rate(optimizer, 0.1, **arguments)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(expected)
