"""Helpers for models: which layers learn, how many parameters, initial and pretrained weights."""

import warnings
from collections import OrderedDict

import torch
from torch import nn

from .checkpoint import load_checkpoint, resume_from_checkpoint, save_checkpoint  # noqa: F401
from .checkpoint_fields import check_values
from .errors import CheckpointError


def adjust_learning_rate(
    optimizer, base_lr, epoch, stepsize=20, gamma=0.1, linear_decay=False, final_lr=0, max_epoch=100
):
    """Set the rate of every group by hand, without a scheduler, in an ``epoch`` from 0.

    It is multiplied by ``gamma`` every ``stepsize`` epochs, or with ``linear_decay`` goes straight to ``final_lr``.
    """
    if linear_decay:
        share = epoch / max_epoch
        lr = share * final_lr + (1 - share) * base_lr
    else:
        lr = base_lr * gamma ** (epoch // stepsize)
    for group in optimizer.param_groups:
        group["lr"] = lr


def set_bn_to_eval(m):
    """Put ``m`` into eval mode if it is a batch normalisation; meant for ``model.apply``."""
    if isinstance(m, nn.modules.batchnorm._BatchNorm):
        m.eval()


def open_all_layers(model):
    """Train mode, and every parameter learns."""
    model.train()
    model.requires_grad_(True)


def open_specified_layers(model, open_layers):
    """Let only the direct children ``open_layers`` (one name, or a list) learn; the others are frozen, in eval mode.

    Raises AssertionError for a name that is no child's.
    """
    if isinstance(model, nn.DataParallel):
        model = model.module
    open_layers = [open_layers] if isinstance(open_layers, str) else list(open_layers)
    children = dict(model.named_children())
    for name in open_layers:
        if name not in children:
            raise AssertionError(f'"{name}" is not a child of the model. Its children: {list(children)}')
    for name, child in children.items():
        is_open = name in open_layers
        child.train(is_open)
        child.requires_grad_(is_open)


def count_num_param(model=None, params=None):
    """Count the elements of all parameters, frozen ones included: of ``model``, or of ``params``.

    ``params``: parameters, or param-group dicts. Raises ValueError if neither is given.
    """
    if model is not None:
        return sum(p.numel() for p in model.parameters())
    if params is None:
        raise ValueError("model and params must provide at least one")
    total = 0
    for item in params:
        group = item["params"] if isinstance(item, dict) else item
        total += group.numel() if isinstance(group, torch.Tensor) else sum(p.numel() for p in group)
    return total


def load_pretrained_weights(model, weight_path):
    """Load what fits by name and size; the rest of the model stays as it is.

    Args:
        weight_path (str): a state dict, or a checkpoint with one under ``state_dict``.

    Raises MissingFileError, CheckpointError: as ``load_checkpoint``.
    """
    checkpoint = load_checkpoint(weight_path)
    loaded = checkpoint.get("state_dict", checkpoint) if isinstance(checkpoint, dict) else None
    if not isinstance(loaded, dict):
        raise CheckpointError(f'"{weight_path}" holds no state dict. Give a file with weights by name.')
    own = model.state_dict()
    matched, discarded = OrderedDict(), []
    for key, value in loaded.items():
        key = key.removeprefix("module.")
        if key in own and isinstance(value, torch.Tensor) and own[key].size() == value.size():
            matched[key] = value
        else:
            discarded.append(key)
    check_values(matched, model, weight_path)
    own.update(matched)
    model.load_state_dict(own)
    if not matched:
        warnings.warn(f'No weight of "{weight_path}" fits the model by name and size, so none was loaded', stacklevel=2)
        return
    print(f"Successfully loaded pretrained weights from {weight_path}")
    if discarded:
        print(f"Layers discarded due to unmatched keys or size: {discarded}")


def init_network_weights(model, init_type="normal", gain=0.02):
    """Initialise convolutions, linear layers and normalisations.

    Args:
        init_type (str): ``normal``, ``xavier``, ``kaiming`` or ``orthogonal``.
        gain (float): standard deviation of ``normal``, gain of ``xavier`` and ``orthogonal``.

    Raises NotImplementedError: another ``init_type``.
    """
    fill = {
        "normal": lambda w: nn.init.normal_(w, 0.0, gain),
        "xavier": lambda w: nn.init.xavier_normal_(w, gain=gain),
        "kaiming": lambda w: nn.init.kaiming_normal_(w, a=0, mode="fan_in"),
        "orthogonal": lambda w: nn.init.orthogonal_(w, gain=gain),
    }.get(init_type)
    if fill is None:
        raise NotImplementedError(f"initialization method [{init_type}] is not implemented")

    def initialise(module):
        weight, bias = getattr(module, "weight", None), getattr(module, "bias", None)
        if isinstance(module, (nn.modules.conv._ConvNd, nn.Linear)):
            fill(weight)
        elif isinstance(module, (nn.modules.batchnorm._BatchNorm, nn.modules.instancenorm._InstanceNorm)):
            if weight is not None:
                nn.init.constant_(weight, 1.0)
        else:
            return
        if bias is not None:
            nn.init.constant_(bias, 0.0)

    model.apply(initialise)
