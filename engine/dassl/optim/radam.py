"""Rectified Adam and AdamW with a warm-up, as thin layers over torch.optim.

RAdam: "On the Variance of the Adaptive Learning Rate and Beyond", ICLR 2020, algorithm 2. While
the length of the approximated moving average rho_t is 5 or less, the adaptive rate has no finite
variance, and the step falls back to plain momentum.
"""

import torch


class RAdam(torch.optim.RAdam):
    """Rectified Adam with decoupled weight decay.

    Args:
        degenerated_to_sgd (bool): take momentum steps while rho_t <= 5; False: the parameters stand
            still there, and only the moments are collected.
    """

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0, degenerated_to_sgd=True):
        super().__init__(params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, decoupled_weight_decay=True)
        self.degenerated_to_sgd = degenerated_to_sgd

    def __setstate__(self, state):
        super().__setstate__(state)
        for group in self.param_groups:
            # A checkpoint of the older, separate implementation lacks this key.
            group["decoupled_weight_decay"] = True

    @torch.no_grad()
    def step(self, closure=None):
        if self.degenerated_to_sgd:
            return super().step(closure)
        held = [(p, p.clone()) for group in self.param_groups for p in group["params"] if self._unrectified(p, group)]
        loss = super().step(closure)
        for parameter, before in held:
            parameter.copy_(before)
        return loss

    def _unrectified(self, parameter, group):
        """Whether the next step of ``parameter`` has rho_t <= 5 (equation in algorithm 2)."""
        step = float(self.state[parameter].get("step", 0)) + 1 if parameter in self.state else 1.0
        beta2 = group["betas"][1]
        rho_inf = 2 / (1 - beta2) - 1
        return rho_inf - 2 * step * beta2**step / (1 - beta2**step) <= 5


class PlainRAdam(RAdam):
    """The same update; the name is kept for clients that ask for the variant without caches."""


class AdamW(torch.optim.AdamW):
    """Adam with decoupled weight decay whose rate grows linearly over the first steps.

    "Decoupled Weight Decay Regularization", ICLR 2019.

    Args:
        warmup (int): number of steps; step t < warmup uses lr * t / warmup. 0: none.
    """

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0, warmup=0):
        super().__init__(params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)
        for group in self.param_groups:
            group.setdefault("warmup", warmup)

    @torch.no_grad()
    def step(self, closure=None):
        rates = [group["lr"] for group in self.param_groups]
        for group in self.param_groups:
            # Groups of an older state dict may lack the key.
            warmup = group.get("warmup", 0)
            steps = [float(self.state[p]["step"]) for p in group["params"] if self.state.get(p)]
            current = max(steps, default=0.0) + 1
            if current < warmup:
                group["lr"] = group["lr"] * current / warmup
        try:
            return super().step(closure)
        finally:
            for group, rate in zip(self.param_groups, rates, strict=True):
                group["lr"] = rate
