"""Classifiers that share a feature: one expert for each source domain."""

import torch
from torch import nn
from torch.nn import functional as F

from dassl.metrics import compute_accuracy


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

    def collaborate(self, parts):
        """Return the two losses of the sources, and the experts' accuracy in percent (float).

            loss_x  = 1/K sum_i  H(y, E_i(a(x)))                               x of domain i
            loss_cr = 1/K sum_i || E_i(a(x)) - mean_{j != i} E_j(A(x)) ||^2    E_i(a(x)) is a constant here

        Args:
            parts (dict): domain i -> (features of weak views a(x) and of strong ones A(x), (B_i, D), labels y (B_i,)).
        """
        losses_x, losses_cr, accuracies = [], [], []
        for number, (weak, strong, label) in parts.items():
            logit = self(number, weak)
            others = self.ensemble(strong, without=number)
            losses_x.append(F.cross_entropy(logit, label))
            losses_cr.append((logit.detach().softmax(dim=1) - others).square().sum(dim=1).mean())
            accuracies.append(compute_accuracy(logit, label)[0].item())
        return torch.stack(losses_x).mean(), torch.stack(losses_cr).mean(), sum(accuracies) / len(accuracies)
