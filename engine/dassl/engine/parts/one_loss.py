"""The step of a method that minimises one loss over all its models."""

from torch.nn import functional as F

from dassl.metrics import compute_accuracy

from .steps import update_lr_at_epoch_end


class OneLoss:
    """Mixin before TrainerX or TrainerXU: a subclass writes ``loss``."""

    def loss(self, *parsed):
        """Return the scalar loss and the numbers to report (dict) from what ``parse_batch_train`` returns."""
        raise NotImplementedError

    def forward_backward(self, *batches):
        loss, numbers = self.loss(*self.parse_batch_train(*batches))
        self.model_backward_and_update(loss)
        update_lr_at_epoch_end(self)
        return numbers


class Supervised(OneLoss):
    """The loss of a baseline: cross-entropy of the labelled images. What else the batches hold has no effect."""

    def loss(self, image, label, _):
        logits = self.model(image)
        loss = F.cross_entropy(logits, label)
        return loss, {"loss": loss.item(), "acc": compute_accuracy(logits, label)[0].item()}
