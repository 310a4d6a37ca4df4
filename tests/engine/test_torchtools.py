"""Freezing of layers, parameter counts, initial and pretrained weights."""

import pytest
import torch
from dassl.utils import (
    UserError,
    init_network_weights,
    load_pretrained_weights,
)
from dassl.utils.torchtools import adjust_learning_rate
from torch import nn


class _Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
        self.head = nn.Linear(4, 2)


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
