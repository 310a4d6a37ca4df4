"""Optimisers by name, with an optional lower rate for all but the new layers."""

import warnings

import torch
from torch import nn

from dassl.utils import UnknownNameError, get_most_similar_str_to_a_from_b

from .radam import RAdam

AVAI_OPTIMS = ["adam", "amsgrad", "sgd", "rmsprop", "radam", "adamw"]


def build_optimizer(model, optim_cfg, param_groups=None):
    """Build the optimiser that a config node describes.

    Args:
        model (nn.Module or iterable): all its parameters, frozen ones included; or an iterable of
            parameters or groups.
        optim_cfg (CfgNode): the node OPTIM.
        param_groups (list of dict): used instead of ``model`` when given.

    Raises:
        UnknownNameError: (a ValueError) unknown ``NAME``, or a name in NEW_LAYERS that is no child.
        TypeError: STAGED_LR with something that is not a module.
    """
    if optim_cfg.NAME not in AVAI_OPTIMS:
        closest = get_most_similar_str_to_a_from_b(optim_cfg.NAME, AVAI_OPTIMS)
        raise UnknownNameError(
            f"optim must be one of {AVAI_OPTIMS}, but got {optim_cfg.NAME} (do you mean [{closest}]?)"
        )
    if param_groups is not None:
        if optim_cfg.STAGED_LR:
            warnings.warn("STAGED_LR is ignored, because param_groups are given", stacklevel=2)
    elif optim_cfg.STAGED_LR:
        param_groups = staged_param_groups(
            model, lr=optim_cfg.LR, base_lr_mult=optim_cfg.BASE_LR_MULT, new_layers=optim_cfg.NEW_LAYERS
        )
    else:
        param_groups = model.parameters() if isinstance(model, nn.Module) else model
    name = optim_cfg.NAME
    common = {"lr": optim_cfg.LR, "weight_decay": optim_cfg.WEIGHT_DECAY}
    adam = {"betas": (optim_cfg.ADAM_BETA1, optim_cfg.ADAM_BETA2), "eps": optim_cfg.get("ADAM_EPS", 1e-8), **common}
    if name == "sgd":
        sgd = {"dampening": optim_cfg.SGD_DAMPNING, "nesterov": optim_cfg.SGD_NESTEROV}
        return torch.optim.SGD(param_groups, momentum=optim_cfg.MOMENTUM, **sgd, **common)
    if name == "rmsprop":
        return torch.optim.RMSprop(param_groups, momentum=optim_cfg.MOMENTUM, alpha=optim_cfg.RMSPROP_ALPHA, **common)
    if name == "radam":
        return RAdam(param_groups, **adam)
    if name == "adamw":
        return torch.optim.AdamW(param_groups, **adam)
    return torch.optim.Adam(param_groups, amsgrad=name == "amsgrad", **adam)


def staged_param_groups(model, lr, base_lr_mult, new_layers):
    """Split a model into pretrained and new layers.

    Args:
        new_layers (str or list of str): names of direct children.

    Returns:
        list of two dicts: everything else at ``lr * base_lr_mult``, then the named children at
        ``lr``. Parameters that the model itself holds are in the first.

    Raises:
        TypeError: the model is not a module.
        UnknownNameError: no child has such a name.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"STAGED_LR needs a model (nn.Module), but got {type(model).__name__}")
    if isinstance(model, nn.DataParallel):
        model = model.module
    new_layers = [new_layers] if isinstance(new_layers, str) else list(new_layers)
    if not new_layers:
        warnings.warn("OPTIM.NEW_LAYERS is empty: all layers learn at LR * BASE_LR_MULT", stacklevel=3)
    children = dict(model.named_children())
    for name in new_layers:
        if name not in children:
            closest = get_most_similar_str_to_a_from_b(name, list(children))
            raise UnknownNameError(
                f"OPTIM.NEW_LAYERS must name layers of {list(children)}, but got [{name}] (do you mean [{closest}]?)"
            )
    base = list(model.parameters(recurse=False))
    new = []
    for name, child in children.items():
        (new if name in new_layers else base).extend(child.parameters())
    return [{"params": base, "lr": lr * base_lr_mult}, {"params": new}]
