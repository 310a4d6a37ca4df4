from torch.nn import functional as F

from dassl.metrics import compute_accuracy

from ..build import TRAINER_REGISTRY
from ..loops import TrainerX
from ..parts.one_loss import OneLoss


@TRAINER_REGISTRY.register()
class Vanilla(OneLoss, TrainerX):
    """The baseline: plain training on the images of all source domains, also called empirical risk minimisation.

        loss = H(y, p(x))

    H: cross-entropy. Learned: the whole network. Required: nothing.
    """

    def loss(self, image, label, domain):
        logits = self.model(image)
        loss = F.cross_entropy(logits, label)
        return loss, {"loss": loss.item(), "acc": compute_accuracy(logits, label)[0].item()}
