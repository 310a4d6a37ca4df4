from torch import nn
from torch.nn import functional as F


class Prototypes(nn.Module):
    """A linear classifier on the direction of a feature: (B, D) -> logits w f / (|f| T), (B, C).

    "Semi-supervised Domain Adaptation via Minimax Entropy", ICCV 2019, section 3.1. A row of w, (C, D), stands for
    its class as a prototype does.

    Args:
        features (int): D.
        num_classes (int): C.
        temperature (float): T; 0.05 is the paper's.
    """

    def __init__(self, features, num_classes, temperature=0.05):
        super().__init__()
        self.prototypes = nn.Linear(features, num_classes, bias=False)
        self.temperature = temperature

    def forward(self, feature):
        return self.prototypes(F.normalize(feature, dim=1)) / self.temperature
