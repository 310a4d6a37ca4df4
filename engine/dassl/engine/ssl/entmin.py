from torch.nn import functional as F

from dassl.metrics import compute_accuracy

from ..build import TRAINER_REGISTRY
from ..loops import TrainerXU
from ..parts.entropy import entropy
from ..parts.one_loss import OneLoss


@TRAINER_REGISTRY.register()
class EntMin(OneLoss, TrainerXU):
    """Predictions on unlabelled images are made certain, so that class borders run where there are few images.

    "Semi-supervised Learning by Entropy Minimization", NeurIPS 2004, section 2:

        loss = H(y, p(x)) + LMDA * mean_u [ - sum_c p_c(u) log p_c(u) ]

    H: cross-entropy; u: unlabelled images. Learned: the whole network. Required: unlabelled images.
    """

    def loss(self, image_x, label, image_u):
        logits = self.model(image_x)
        loss_x = F.cross_entropy(logits, label)
        loss_u = entropy(self.model(image_u)).mean()
        loss = loss_x + self.cfg.TRAINER.ENTMIN.LMDA * loss_u
        accuracy = compute_accuracy(logits, label)[0].item()
        return loss, {"loss_x": loss_x.item(), "acc_x": accuracy, "loss_u": loss_u.item()}
