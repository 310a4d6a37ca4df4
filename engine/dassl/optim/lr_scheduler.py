"""Learning-rate schedules by name, with an optional warm-up before them.

All count epochs: a trainer calls ``step()`` once at the end of each.
"""

from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, MultiStepLR, StepLR

from dassl.utils import ConfigError, UnknownNameError, get_most_similar_str_to_a_from_b

AVAI_SCHEDS = ["single_step", "multi_step", "cosine"]
AVAI_WARMUPS = ["constant", "linear"]


class _BaseWarmupScheduler(LRScheduler):
    """Gives its own rates for ``warmup_epoch`` epochs, then ``successor`` takes over.

    Args:
        optimizer (Optimizer): the one that ``successor`` also drives.
        successor (LRScheduler): the main schedule.
        warmup_epoch (int): number of warm-up epochs.
    """

    def __init__(self, optimizer, successor, warmup_epoch, last_epoch=-1, verbose=False):
        # ``verbose`` is accepted for callers of the older interface; torch dropped its effect.
        self.successor = successor
        self.warmup_epoch = warmup_epoch
        super().__init__(optimizer, last_epoch)

    def get_warmup_lr(self):
        """Return the rate of each parameter group in epoch ``last_epoch`` of the warm-up."""
        raise NotImplementedError

    def get_lr(self):
        if self.last_epoch < self.warmup_epoch:
            return self.get_warmup_lr()
        # The first epoch after the warm-up has the successor's first rate, the base rate.
        return self.successor.get_last_lr()

    def step(self, epoch=None):
        if self.last_epoch < self.warmup_epoch:
            super().step(epoch)
        else:
            self.successor.step(epoch)
            self._last_lr = self.successor.get_last_lr()

    def state_dict(self):
        """Return plain data; the successor's state is a dict of its own under ``successor``."""
        state = {key: value for key, value in super().state_dict().items() if key != "successor"}
        return {**state, "successor": self.successor.state_dict()}

    def load_state_dict(self, state_dict):
        """Go on from a saved state, with the optimiser given to the constructor.

        ``successor`` may be a dict, or the object that upstream's Dassl pickles. Of an object only
        the counters are taken: its optimiser is a copy that nobody trains with. The rates are then
        written into the optimiser, which a run that trained with such a copy had left behind.
        """
        state = dict(state_dict)
        successor = state.pop("successor")
        successor = dict(successor if isinstance(successor, dict) else vars(successor))
        successor.pop("optimizer", None)
        self.successor.load_state_dict(successor)
        super().load_state_dict(state)
        for group, lr in zip(self.optimizer.param_groups, self.get_last_lr(), strict=True):
            group["lr"] = lr


class ConstantWarmupScheduler(_BaseWarmupScheduler):
    """Every group at the rate ``cons_lr`` during the warm-up."""

    def __init__(self, optimizer, successor, warmup_epoch, cons_lr, last_epoch=-1, verbose=False):
        self.cons_lr = cons_lr
        super().__init__(optimizer, successor, warmup_epoch, last_epoch, verbose)

    def get_warmup_lr(self):
        return [self.cons_lr for _ in self.base_lrs]


class LinearWarmupScheduler(_BaseWarmupScheduler):
    """Epoch 0 at ``min_lr``, epoch e at base rate x e / warmup_epoch."""

    def __init__(self, optimizer, successor, warmup_epoch, min_lr, last_epoch=-1, verbose=False):
        self.min_lr = min_lr
        super().__init__(optimizer, successor, warmup_epoch, last_epoch, verbose)

    def get_warmup_lr(self):
        if self.last_epoch == 0:
            return [self.min_lr for _ in self.base_lrs]
        return [lr * self.last_epoch / self.warmup_epoch for lr in self.base_lrs]


def build_lr_scheduler(optimizer, optim_cfg):
    """Build the schedule that a config node describes.

    ``cosine`` ends at 0 after MAX_EPOCH epochs. ``single_step`` takes the last number of STEPSIZE; 0 or less means
    MAX_EPOCH. Without WARMUP_RECOUNT the main schedule begins at epoch WARMUP_EPOCH, from the full base rate. torch
    computes a rate from the one before, so the later rates scale with it.

    Args:
        optimizer (Optimizer): its rates are the base rates.
        optim_cfg (CfgNode): the node OPTIM.

    Raises:
        UnknownNameError: (a ValueError) unknown LR_SCHEDULER.
        TypeError: STEPSIZE has the wrong type for the schedule.
        ConfigError: (a ValueError) unknown WARMUP_TYPE.
    """
    scheduler = _main_schedule(optimizer, optim_cfg)
    epochs, kind = optim_cfg.WARMUP_EPOCH, optim_cfg.WARMUP_TYPE
    if epochs <= 0:
        return scheduler
    if kind not in AVAI_WARMUPS:
        raise ConfigError(f"OPTIM.WARMUP_TYPE must be one of {AVAI_WARMUPS}, but got {kind}")
    if not optim_cfg.WARMUP_RECOUNT:
        scheduler.last_epoch = epochs
    if kind == "constant":
        return ConstantWarmupScheduler(optimizer, scheduler, epochs, optim_cfg.WARMUP_CONS_LR)
    return LinearWarmupScheduler(optimizer, scheduler, epochs, optim_cfg.WARMUP_MIN_LR)


def _main_schedule(optimizer, optim_cfg):
    name, stepsize, gamma = optim_cfg.LR_SCHEDULER, optim_cfg.STEPSIZE, optim_cfg.GAMMA
    if name not in AVAI_SCHEDS:
        closest = get_most_similar_str_to_a_from_b(name, AVAI_SCHEDS)
        raise UnknownNameError(f"scheduler must be one of {AVAI_SCHEDS}, but got {name} (do you mean [{closest}]?)")
    if name == "cosine":
        return CosineAnnealingLR(optimizer, float(optim_cfg.MAX_EPOCH))
    if name == "multi_step":
        if not isinstance(stepsize, (list, tuple)):
            raise TypeError(
                f"For multi_step, OPTIM.STEPSIZE must be a list or tuple, but got {type(stepsize).__name__}"
            )
        return MultiStepLR(optimizer, milestones=stepsize, gamma=gamma)
    if isinstance(stepsize, (list, tuple)):
        stepsize = stepsize[-1]
    if not isinstance(stepsize, int):
        raise TypeError(f"For single_step, OPTIM.STEPSIZE must be an integer, but got {type(stepsize).__name__}")
    return StepLR(optimizer, step_size=stepsize if stepsize > 0 else optim_cfg.MAX_EPOCH, gamma=gamma)
