"""Section 1.9 and 4.5: models' parameters, checkpoints and weights."""

import warnings
from collections import OrderedDict

from ..checking import check, differs, equal, folder, printed, raises


def net():
    from torch import nn

    return nn.Sequential(OrderedDict(a=nn.Linear(2, 3), norm=nn.BatchNorm1d(3), b=nn.Linear(3, 1)))


@check("dassl.utils.open_all_layers")
def open_all():
    """Train mode, every parameter learns."""
    from dassl.utils import open_all_layers

    model = net().eval()
    model.a.requires_grad_(False)
    open_all_layers(model)
    assert model.training and model.norm.training and all(p.requires_grad for p in model.parameters())


@check("dassl.utils.open_specified_layers")
def open_some():
    """A str or list of direct children learns; the others are frozen and in eval mode; unknown: AssertionError."""
    from dassl.utils import open_specified_layers

    for layers in ("b", ["b"]):
        model = net()
        open_specified_layers(model, layers)
        assert model.b.training and all(p.requires_grad for p in model.b.parameters())
        assert not model.a.training and not any(p.requires_grad for p in model.a.parameters())
    with raises(AssertionError):
        open_specified_layers(net(), "c")


@check("dassl.utils.count_num_param", "dassl.engine.trainer.count_num_param")
def count():
    """Counts frozen ones too; neither argument: ValueError."""
    from dassl.utils import count_num_param

    model = net()
    model.a.requires_grad_(False)
    equal(count_num_param(model), 19)
    equal(count_num_param(params=model.parameters()), 19)
    with raises(ValueError):
        count_num_param()


@check("dassl.utils.count_num_param")
def count_groups():
    """A param-group dict whose "params" is a list fails."""
    from dassl.utils import count_num_param

    try:
        total = count_num_param(params=[{"params": list(net().parameters())}])
    except Exception:
        return
    differs(total == 19, "counts-groups")
    raise AssertionError(f"counted {total} of 19")


@check("dassl.utils.init_network_weights")
def init_weights():
    """normal, xavier, kaiming, orthogonal; normal has standard deviation gain; another is NotImplementedError."""
    import torch
    from dassl.utils import init_network_weights
    from torch import nn

    for kind in ("normal", "xavier", "kaiming", "orthogonal"):
        model = nn.Sequential(nn.Linear(64, 64), nn.BatchNorm1d(64))
        before = model[0].weight.clone()
        init_network_weights(model, init_type=kind)
        assert not torch.equal(before, model[0].weight) and not model[0].bias.any()
    init_network_weights(model, "normal", gain=0.5)
    assert 0.45 < model[0].weight.std() < 0.55
    with raises(NotImplementedError):
        init_network_weights(model, "other")


@check("dassl.utils.torchtools.adjust_learning_rate")
def adjust_rate():
    """Sets the rate of the optimiser by hand: base_lr x gamma for each stepsize epochs."""
    import torch
    from dassl.utils.torchtools import adjust_learning_rate

    optimizer = torch.optim.SGD(net().parameters(), lr=1.0)
    adjust_learning_rate(optimizer, 0.1, 20, stepsize=20, gamma=0.1)
    assert abs(optimizer.param_groups[0]["lr"] - 0.01) < 1e-9


@check("dassl.utils.torchtools.set_bn_to_eval")
def bn_to_eval():
    """Puts a batch normalisation into eval mode, leaves other modules; for model.apply."""
    from dassl.utils.torchtools import set_bn_to_eval

    model = net()
    model.apply(set_bn_to_eval)
    assert not model.norm.training and model.a.training


# Checkpoints


def state(epoch=3, **more):
    empty = {"optimizer": None, "scheduler": None, "val_result": None}
    return {"state_dict": net().state_dict(), "epoch": epoch, **empty, **more}


@check(
    "dassl.utils.save_checkpoint", "dassl.engine.trainer.save_checkpoint", "line:Checkpoint saved to {path}",
    "file:{OUTPUT_DIR}/{model name}/checkpoint", "file:{OUTPUT_DIR}/{model name}/model.pth.tar-{N}",
)  # fmt: skip
def save():
    """Writes model.pth.tar-{epoch} (or model_name) and its name as the one line of the file "checkpoint"; prints it."""
    from dassl.utils import save_checkpoint

    place = folder() / "new"
    with printed() as text:
        save_checkpoint(state(), str(place))
    equal(text.lines, [f"Checkpoint saved to {place}/model.pth.tar-3"])
    equal((place / "checkpoint").read_text().splitlines(), ["model.pth.tar-3"])
    with printed():
        save_checkpoint(state(), str(place), model_name="other.pth")
    equal((place / "checkpoint").read_text().splitlines(), ["other.pth"])
    assert {"checkpoint", "model.pth.tar-3", "other.pth"} <= {p.name for p in place.iterdir()}


@check("dassl.utils.save_checkpoint", "file:{OUTPUT_DIR}/{model name}/model-best.pth.tar")
def save_best():
    """is_best=True also copies to model-best.pth.tar."""
    from dassl.utils import load_checkpoint, save_checkpoint

    place = folder()
    save_checkpoint(state(), str(place), is_best=True)
    equal(load_checkpoint(str(place / "model-best.pth.tar"))["epoch"], 3)


@check("dassl.utils.save_checkpoint", "checkpoint:state_dict")
def module_prefix():
    """A leading "module." is removed from the names of parameters, unless remove_module_from_keys is False."""
    from dassl.utils import load_checkpoint, save_checkpoint

    weights = OrderedDict((f"module.{k}", v) for k, v in net().state_dict().items())
    for remove, first in ((True, "a.weight"), (False, "module.a.weight")):
        place = folder()
        save_checkpoint(state(state_dict=OrderedDict(weights)), str(place), remove_module_from_keys=remove)
        loaded = load_checkpoint(str(place / "model.pth.tar-3"))["state_dict"]
        assert isinstance(loaded, OrderedDict)
        equal(next(iter(loaded)), first)


@check(
    "dassl.utils.load_checkpoint", "dassl.engine.trainer.load_checkpoint", "message:File path is None",
    'message:File is not found at "{p}"', 'line:Unable to load checkpoint from "{p}"',
)  # fmt: skip
def load_errors():
    """None: ValueError; missing: FileNotFoundError; other failures print a line and are raised again."""
    from dassl.utils import load_checkpoint

    with raises(ValueError, "File path is None"):
        load_checkpoint(None)
    place = folder()
    with raises(FileNotFoundError, f'File is not found at "{place}/gone"'):
        load_checkpoint(str(place / "gone"))
    (place / "broken").write_bytes(b"nonsense")
    with printed() as text, raises(Exception):  # noqa: B017
        load_checkpoint(str(place / "broken"))
    assert f'Unable to load checkpoint from "{place}/broken"' in text.lines


@check(
    "dassl.utils.resume_from_checkpoint", "dassl.engine.trainer.resume_from_checkpoint",
    'line:Loading checkpoint from "{file}"', "line:Loaded model weights", "line:Loaded optimizer",
    "line:Loaded scheduler", "line:Previous epoch: {n}",
)  # fmt: skip
def resume():
    """Restores model, optimiser and scheduler from the file that "checkpoint" names; returns the finished epochs."""
    import torch
    from dassl.utils import resume_from_checkpoint, save_checkpoint

    def learner():
        model = net()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        return model, optimizer, torch.optim.lr_scheduler.StepLR(optimizer, 1)

    model, optimizer, scheduler = learner()
    model(torch.ones(2, 2)).sum().backward()
    optimizer.step()
    scheduler.step()
    place = folder()
    with printed():
        save_checkpoint(
            state(1, state_dict=model.state_dict(), optimizer=optimizer.state_dict(), scheduler=scheduler.state_dict()),
            str(place),
        )
    other, other_optimizer, other_scheduler = learner()
    with printed() as text:
        epoch = resume_from_checkpoint(str(place), other, other_optimizer, other_scheduler)
    equal(epoch, 1)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), other.parameters(), strict=True))
    assert abs(other_optimizer.param_groups[0]["lr"] - 0.01) < 1e-9 and other_scheduler.last_epoch == 1
    equal(text.lines, [
        f'Loading checkpoint from "{place}/model.pth.tar-1"', "Loaded model weights", "Loaded optimizer",
        "Loaded scheduler", "Previous epoch: 1",
    ])  # fmt: skip
    with raises(FileNotFoundError):
        resume_from_checkpoint(str(folder()), other)


@check(
    "dassl.utils.load_pretrained_weights", "dassl.engine.trainer.load_pretrained_weights",
    "line:Successfully loaded pretrained weights from {p}",
    "line:Layers discarded due to unmatched keys or size: [...]",
)  # fmt: skip
def pretrained():
    """Strips "module."; loads only keys of equal size, from a bare state dict or one under "state_dict"; prints so."""
    import torch
    from dassl.utils import load_pretrained_weights

    source = net()
    weights = {f"module.{k}": v for k, v in source.state_dict().items()}
    path = str(folder() / "w.pth")
    for content in (weights, {"state_dict": weights}):
        torch.save(content, path)
        model = net()
        with printed() as text:
            load_pretrained_weights(model, path)
        assert torch.equal(model.a.weight, source.a.weight)
        equal(text.lines, [f"Successfully loaded pretrained weights from {path}"])
    torch.save({**weights, "module.a.weight": torch.zeros(5, 5), "extra": torch.zeros(1)}, path)
    model = net()
    with printed() as text:
        load_pretrained_weights(model, path)
    assert torch.equal(model.b.weight, source.b.weight) and not torch.equal(model.a.weight, source.a.weight)
    equal(text.lines[-1], "Layers discarded due to unmatched keys or size: ['a.weight', 'extra']")


@check("dassl.utils.load_pretrained_weights")
def pretrained_nothing():
    """Warns if nothing matched."""
    import torch
    from dassl.utils import load_pretrained_weights

    path = str(folder() / "w.pth")
    torch.save({"extra": torch.zeros(1)}, path)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        load_pretrained_weights(net(), path)
    assert any(path in str(w.message) for w in caught)
