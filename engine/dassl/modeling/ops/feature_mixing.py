"""Common part of MixStyle and EFDMix: when they act, with which images, and how they are switched."""

import contextlib
import random

import torch
from torch import nn

from dassl.utils import UnknownNameError

_MIX_METHODS = ("random", "crossdomain")


class FeatureMixing(nn.Module):
    """Base of layers that give each image of a batch some of the style of another.

    Such a layer acts in training mode only, while it is active, and then on a share p of the batches.
    Feature maps (B, C, H, W) keep their shape.

    Args:
        p (float): probability that a batch is mixed.
        alpha (float): both parameters of the Beta distribution of the share that an image keeps.
        eps (float): added to variances.
        mix (str): where the partner of an image comes from: ``random``, the whole batch, or
            ``crossdomain``, the other half of the batch, for batches of one domain in each half.

    Raises:
        UnknownNameError: (a ValueError) another ``mix``.
    """

    def __init__(self, p=0.5, alpha=0.1, eps=1e-6, mix="random"):
        super().__init__()
        self.p = p
        self.alpha = alpha
        self.eps = eps
        # On the CPU whatever the default device, so that a seed means the same shares everywhere.
        parameter = torch.tensor(float(alpha), device="cpu")
        self.beta = torch.distributions.Beta(parameter, parameter)
        self.update_mix_method(mix)
        self._activated = True

    def extra_repr(self):
        return f"p={self.p}, alpha={self.alpha}, eps={self.eps}, mix={self.mix}"

    def set_activation_status(self, status=True):
        """Switch the layer on or off; off, it returns its input."""
        self._activated = status

    def update_mix_method(self, mix="random"):
        """Set where partners come from: ``random`` or ``crossdomain``."""
        if mix not in _MIX_METHODS:
            raise UnknownNameError(f"Unknown mix method '{mix}'. Known: {', '.join(_MIX_METHODS)}")
        self.mix = mix

    def forward(self, x):
        if not self.training or not self._activated or random.random() > self.p:
            return x
        share = self.beta.sample((x.size(0), 1, 1, 1)).to(x)
        partners = self._draw_partners(x.size(0)).to(x.device)
        return self._mix_with(x, partners, share)

    def _draw_partners(self, size):
        """Return the index of each image's partner, a permutation, (B,)."""
        if self.mix == "random":
            return torch.randperm(size)
        # The halves change places, and each is shuffled. They count downwards, as in the published code, so that
        # a seed means the same partners.
        halves = torch.arange(size - 1, -1, -1).chunk(2)
        return torch.cat([half[torch.randperm(len(half))] for half in halves])

    def _mix_with(self, x, partners, share):
        """Return x (B, C, H, W), of whose style the share (B, 1, 1, 1) stays and the rest is the partners' (B,)."""
        raise NotImplementedError


def make_switches(layer):
    """Return the helper functions for one class of layers.

    Returns:
        tuple: random, crossdomain, activate and deactivate, which take a module and change every such
        layer in it, and the context managers run_with(model, mix=None) and run_without(model).
    """

    def for_each(module, change):
        for part in module.modules():
            if isinstance(part, layer):
                change(part)

    def use_random(m):
        for_each(m, lambda part: part.update_mix_method("random"))

    def use_crossdomain(m):
        for_each(m, lambda part: part.update_mix_method("crossdomain"))

    def activate(m):
        for_each(m, lambda part: part.set_activation_status(True))

    def deactivate(m):
        for_each(m, lambda part: part.set_activation_status(False))

    @contextlib.contextmanager
    def run_with(model, mix=None):
        if mix is not None:
            for_each(model, lambda part: part.update_mix_method(mix))
        activate(model)
        try:
            yield
        finally:
            deactivate(model)

    @contextlib.contextmanager
    def run_without(model):
        deactivate(model)
        try:
            yield
        finally:
            activate(model)

    name = layer.__name__
    documents = {
        use_random: f"Let every {name} in the module take partners from the whole batch.",
        use_crossdomain: f"Let every {name} in the module take partners from the other half of the batch.",
        activate: f"Switch on every {name} in the module.",
        deactivate: f"Switch off every {name} in the module.",
        run_with: f"Inside the block every {name} in the model is on, with method ``mix`` unless None; after it, off.",
        run_without: f"Inside the block every {name} in the model is off; after it, on.",
    }
    titles = ("random", "crossdomain", "activate", "deactivate", "run_with", "run_without")
    for title, (function, document) in zip(titles, documents.items(), strict=True):
        function.__name__ = function.__qualname__ = f"{title}_{name.lower()}"
        function.__module__ = layer.__module__
        function.__doc__ = document
    return tuple(documents)
