"""Section 1.9 and 4.5: models' parameters, checkpoints and weights."""

import re
import warnings
from collections import OrderedDict

import pytest
import torch
from dassl.utils import (
    count_num_param,
    init_network_weights,
    load_checkpoint,
    load_pretrained_weights,
    open_all_layers,
    open_specified_layers,
    resume_from_checkpoint,
    save_checkpoint,
)
from dassl.utils.torchtools import adjust_learning_rate, set_bn_to_eval
from torch import nn

from . import tiny
from .support import OURS, differs


def net():
    return nn.Sequential(OrderedDict(a=nn.Linear(2, 3), norm=nn.BatchNorm1d(3), b=nn.Linear(3, 1)))


def test_open_all():
    """Train mode, every parameter learns."""
    model = net().eval()
    model.a.requires_grad_(False)
    open_all_layers(model)
    assert model.training and model.norm.training and all(p.requires_grad for p in model.parameters())


def test_open_some():
    """A str or list of direct children learns; the others are frozen and in eval mode; unknown: AssertionError."""
    for layers in ("b", ["b"]):
        model = net()
        open_specified_layers(model, layers)
        assert model.b.training and all(p.requires_grad for p in model.b.parameters())
        assert not model.a.training and not any(p.requires_grad for p in model.a.parameters())
    with pytest.raises(AssertionError):
        open_specified_layers(net(), "c")


def test_count():
    """Counts frozen ones too; neither argument: ValueError."""
    model = net()
    model.a.requires_grad_(False)
    assert count_num_param(model) == 19
    assert count_num_param(params=model.parameters()) == 19
    with pytest.raises(ValueError):
        count_num_param()


def test_count_groups():
    """A param-group dict whose "params" is a list fails."""
    try:
        total = count_num_param(params=[{"params": list(net().parameters())}])
    except Exception:
        assert not OURS
        return
    differs(total == 19, "counts-groups")
    raise AssertionError(f"counted {total} of 19")


def test_init_weights():
    """normal, xavier, kaiming, orthogonal; normal has standard deviation gain; another is NotImplementedError."""
    for kind in ("normal", "xavier", "kaiming", "orthogonal"):
        model = nn.Sequential(nn.Linear(64, 64), nn.BatchNorm1d(64))
        before = model[0].weight.clone()
        init_network_weights(model, init_type=kind)
        assert not torch.equal(before, model[0].weight) and not model[0].bias.any()
    init_network_weights(model, "normal", gain=0.5)
    assert 0.45 < model[0].weight.std() < 0.55
    with pytest.raises(NotImplementedError):
        init_network_weights(model, "other")


def test_adjust_rate():
    """Sets the rate of the optimiser by hand: base_lr x gamma for each stepsize epochs."""
    optimizer = torch.optim.SGD(net().parameters(), lr=1.0)
    adjust_learning_rate(optimizer, 0.1, 20, stepsize=20, gamma=0.1)
    assert abs(optimizer.param_groups[0]["lr"] - 0.01) < 1e-9


def test_bn_to_eval():
    """Puts a batch normalisation into eval mode, leaves other modules; for model.apply."""
    model = net()
    model.apply(set_bn_to_eval)
    assert not model.norm.training and model.a.training


# Checkpoints


def state(epoch=3, **more):
    empty = {"optimizer": None, "scheduler": None, "val_result": None}
    return {"state_dict": net().state_dict(), "epoch": epoch, **empty, **more}


def test_save(capsys, tmp_path):
    """Writes model.pth.tar-{epoch} (or model_name) and its name as the one line of the file "checkpoint"; prints it."""
    place = tmp_path / "new"
    capsys.readouterr()
    save_checkpoint(state(), str(place))
    assert capsys.readouterr().out.splitlines() == [f"Checkpoint saved to {place}/model.pth.tar-3"]
    assert (place / "checkpoint").read_text().splitlines() == ["model.pth.tar-3"]
    save_checkpoint(state(), str(place), model_name="other.pth")
    assert (place / "checkpoint").read_text().splitlines() == ["other.pth"]
    assert {"checkpoint", "model.pth.tar-3", "other.pth"} <= {p.name for p in place.iterdir()}


def test_save_best(tmp_path):
    """is_best=True also copies to model-best.pth.tar."""
    save_checkpoint(state(), str(tmp_path), is_best=True)
    assert load_checkpoint(str(tmp_path / "model-best.pth.tar"))["epoch"] == 3
    assert (tmp_path / "checkpoint").read_text().splitlines() == ["model.pth.tar-3"]


def test_module_prefix(tmp_path):
    """A leading "module." is removed from the names of parameters, unless remove_module_from_keys is False."""
    weights = OrderedDict((f"module.{k}", v) for k, v in net().state_dict().items())
    for remove, first in ((True, "a.weight"), (False, "module.a.weight")):
        save_checkpoint(state(state_dict=OrderedDict(weights)), str(tmp_path), remove_module_from_keys=remove)
        loaded = load_checkpoint(str(tmp_path / "model.pth.tar-3"))["state_dict"]
        assert isinstance(loaded, OrderedDict)
        assert next(iter(loaded)) == first


def test_load_errors(capsys, tmp_path):
    """None: ValueError; missing: FileNotFoundError; other failures print a line and are raised again."""
    with pytest.raises(ValueError, match=re.escape("File path is None")):
        load_checkpoint(None)
    with pytest.raises(FileNotFoundError, match=re.escape(f'File is not found at "{tmp_path}/gone"')):
        load_checkpoint(str(tmp_path / "gone"))
    (tmp_path / "broken").write_bytes(b"nonsense")
    capsys.readouterr()
    with pytest.raises(Exception):  # noqa: B017
        load_checkpoint(str(tmp_path / "broken"))
    assert f'Unable to load checkpoint from "{tmp_path}/broken"' in capsys.readouterr().out.splitlines()


def test_resume(capsys):
    """Restores model, optimiser and scheduler from the file that "checkpoint" names; returns the finished epochs."""

    def learner():
        model = net()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        return model, optimizer, torch.optim.lr_scheduler.StepLR(optimizer, 1)

    model, optimizer, scheduler = learner()
    model(torch.ones(2, 2)).sum().backward()
    optimizer.step()
    scheduler.step()
    place = tiny.folder()
    save_checkpoint(
        state(1, state_dict=model.state_dict(), optimizer=optimizer.state_dict(), scheduler=scheduler.state_dict()),
        str(place),
    )
    other, other_optimizer, other_scheduler = learner()
    capsys.readouterr()
    epoch = resume_from_checkpoint(str(place), other, other_optimizer, other_scheduler)
    text = capsys.readouterr()
    assert epoch == 1
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), other.parameters(), strict=True))
    assert abs(other_optimizer.param_groups[0]["lr"] - 0.01) < 1e-9 and other_scheduler.last_epoch == 1
    assert text.out.splitlines() == [
        f'Loading checkpoint from "{place}/model.pth.tar-1"', "Loaded model weights", "Loaded optimizer",
        "Loaded scheduler", "Previous epoch: 1",
    ]  # fmt: skip
    with pytest.raises(FileNotFoundError):
        resume_from_checkpoint(str(tiny.folder()), other)


def test_pretrained(capsys, tmp_path):
    """Strips "module."; loads only keys of equal size, from a bare state dict or one under "state_dict"; prints so."""
    source = net()
    weights = {f"module.{k}": v for k, v in source.state_dict().items()}
    path = str(tmp_path / "w.pth")
    for content in (weights, {"state_dict": weights}):
        torch.save(content, path)
        model = net()
        capsys.readouterr()
        load_pretrained_weights(model, path)
        text = capsys.readouterr()
        assert torch.equal(model.a.weight, source.a.weight)
        assert text.out.splitlines() == [f"Successfully loaded pretrained weights from {path}"]
    torch.save({**weights, "module.a.weight": torch.zeros(5, 5), "extra": torch.zeros(1)}, path)
    model = net()
    capsys.readouterr()
    load_pretrained_weights(model, path)
    text = capsys.readouterr()
    assert torch.equal(model.b.weight, source.b.weight) and not torch.equal(model.a.weight, source.a.weight)
    assert text.out.splitlines()[-1] == "Layers discarded due to unmatched keys or size: ['a.weight', 'extra']"


def test_pretrained_nothing(tmp_path):
    """Warns if nothing matched."""
    path = str(tmp_path / "w.pth")
    torch.save({"extra": torch.zeros(1)}, path)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        load_pretrained_weights(net(), path)
    assert any(path in str(w.message) for w in caught)
