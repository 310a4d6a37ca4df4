"""Names of version 0.1, for plug-ins that import them; removed in version 0.3."""

import torch.nn.functional as F

from .trainer import CLIPTrainer


class PromptTrainer(CLIPTrainer):
    """``CLIPTrainer`` that minimizes the cross-entropy of the labels."""

    def loss_terms(self, seen, label):
        return {"ce": F.cross_entropy(seen.logits, label)}
