"""Classifiers that share a feature: one expert for each source domain."""

import torch
from torch import nn


class Experts(nn.Module):
    """K linear classifiers, expert k for domain k.

    "Domain Adaptive Ensemble Learning", TIP 2021, section 3.

    Args:
        num_experts (int): K.
        in_features (int): D, width of the feature.
        num_classes (int): C.
    """

    def __init__(self, num_experts, in_features, num_classes):
        super().__init__()
        self.classifiers = nn.ModuleList(nn.Linear(in_features, num_classes) for _ in range(num_experts))

    def forward(self, number, features):
        """Features (B, D) -> logits (B, C) of one expert."""
        return self.classifiers[number](features)

    def probabilities(self, features):
        """Features (B, D) -> probabilities (K, B, C) of every expert."""
        return torch.stack([classifier(features).softmax(dim=1) for classifier in self.classifiers])

    def ensemble(self, features, without=None):
        """Features (B, D) -> probabilities (B, C), the mean over all experts, or all but one."""
        kept = [n for n in range(len(self.classifiers)) if n != without]
        return self.probabilities(features)[kept].mean(dim=0)
