"""Registering the networks of a method, each with its own optimiser and schedule."""

from dassl.optim import build_lr_scheduler, build_optimizer
from dassl.utils import count_num_param, load_pretrained_weights

from ..simple_net import SimpleNet


def add_network(trainer, name, num_classes=0, **kwargs):
    """Build a :class:`SimpleNet` as MODEL describes it, with MODEL.INIT_WEIGHTS, and register it.

    Args:
        trainer (SimpleTrainer): one that is in its ``build_model``.
        name (str): also the name of the checkpoint's folder.
        num_classes (int): 0: the network returns features, (B, fdim).
        kwargs: of :func:`add_model`.

    Returns:
        SimpleNet: on the trainer's device.
    """
    settings = trainer.cfg.MODEL
    network = SimpleNet(trainer.cfg, settings, num_classes)
    if settings.INIT_WEIGHTS:
        load_pretrained_weights(network, settings.INIT_WEIGHTS)
    return add_model(trainer, name, network, **kwargs)


def add_model(trainer, name, module, lr_mult=1, schedule=None):
    """Move a module to the trainer's device and register it as one that learns, with OPTIM's settings.

    OPTIM.STAGED_LR holds for a :class:`SimpleNet`; what a method adds to it is new, and learns at OPTIM.LR.

    Args:
        trainer (SimpleTrainer): one that is in its ``build_model``.
        name (str): also the name of the checkpoint's folder.
        module (nn.Module): the network.
        lr_mult (float): it learns at OPTIM.LR times this.
        schedule (callable): optimiser -> scheduler, where it is not OPTIM's.

    Returns:
        nn.Module: the same module.
    """
    settings = trainer.cfg.OPTIM.clone()
    settings.defrost()
    settings.LR = float(settings.LR * lr_mult)
    settings.STAGED_LR = settings.STAGED_LR and isinstance(module, SimpleNet)
    module.to(trainer.device)
    print(f"# params of {name}: {count_num_param(module):,}")
    optim = build_optimizer(module, settings)
    sched = build_lr_scheduler(optim, settings) if schedule is None else schedule(optim)
    trainer.register_model(name, module, optim, sched)
    return module
