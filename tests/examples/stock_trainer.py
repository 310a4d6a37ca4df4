"""A trainer as one writes it for upstream's Dassl: nothing but the framework's own names, and no CLIP."""

from dassl.engine import TRAINER_REGISTRY, TrainerX
from dassl.metrics import compute_accuracy
from torch.nn import functional as F


@TRAINER_REGISTRY.register()
class Supervised(TrainerX):
    """Trains a whole network (the default ``build_model``) with cross-entropy."""

    def forward_backward(self, batch):
        image, label, _ = self.parse_batch_train(batch)
        output = self.model(image)
        loss = F.cross_entropy(output, label)
        self.model_backward_and_update(loss)
        if (self.batch_idx + 1) == self.num_batches:
            self.update_lr()
        return {"loss": loss.item(), "acc": compute_accuracy(output, label)[0].item()}
