from torch.nn import functional as F

from dassl.metrics import compute_accuracy

from ..build import TRAINER_REGISTRY
from ..loops import TrainerXU
from ..parts.one_loss import OneLoss


@TRAINER_REGISTRY.register()
class SupBaseline(OneLoss, TrainerXU):
    """The baseline: plain training on the labelled images; the others only set the length of an epoch.

        loss = H(y, p(x))

    H: cross-entropy. Learned: the whole network. Required: a dataset with unlabelled images, as for the methods that
    are compared with it.
    """

    def loss(self, image_x, label, image_u):
        logits = self.model(image_x)
        loss = F.cross_entropy(logits, label)
        return loss, {"loss": loss.item(), "acc": compute_accuracy(logits, label)[0].item()}
