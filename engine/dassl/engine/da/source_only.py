from torch.nn import functional as F

from dassl.metrics import compute_accuracy

from ..build import TRAINER_REGISTRY
from ..loops import TrainerXU
from ..parts.one_loss import OneLoss


@TRAINER_REGISTRY.register()
class SourceOnly(OneLoss, TrainerXU):
    """Supervised learning on the source; the target's images are loaded, and not looked at.

    The baseline of domain adaptation, and the start of ADDA and AdaBN:

        loss = cross-entropy(source)

    Learned: the whole network.
    """

    def loss(self, image_x, label, image_u):
        logit = self.model(image_x)
        loss = F.cross_entropy(logit, label)
        return loss, {"loss": loss.item(), "acc": compute_accuracy(logit, label)[0].item()}
