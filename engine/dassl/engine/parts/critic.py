"""The network that tells source from target by their features."""

import torch
from torch import nn
from torch.nn import functional as F

from dassl.modeling import build_head


class DomainCritic(nn.Module):
    """Features (B, D) -> one logit each, (B,), positive for the source; two hidden layers of width D."""

    def __init__(self, features):
        super().__init__()
        # Without batch normalisation: it would let the images of a batch, source or target, tell on each other.
        self.body = build_head(
            "mlp", verbose=False, in_features=features, hidden_layers=[features] * 2, activation="leaky_relu", bn=False
        )
        self.output = nn.Linear(features, 1)

    def forward(self, feature):
        return self.output(self.body(feature)).squeeze(1)


def domain_loss(critic, feature_x, feature_u):
    """Return the cross-entropy of the critic's verdicts: its mean over the source plus its mean over the target.

    Args:
        critic (nn.Module): features (B, D) -> logits (B,) of "from the source".
        feature_x, feature_u (Tensor): features of the source (B, D) and of the target (B', D).
    """
    return says(critic(feature_x), source=True) + says(critic(feature_u), source=False)


def says(logit, source):
    """Return the mean cross-entropy of logits (B,) with "all of them are from the source" or "none is"."""
    return F.binary_cross_entropy_with_logits(logit, torch.full_like(logit, float(source)))
