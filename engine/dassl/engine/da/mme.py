from torch.nn import functional as F

from dassl.metrics import compute_accuracy
from dassl.modeling.ops import ReverseGrad

from ..build import TRAINER_REGISTRY
from ..loops import TrainerXU
from ..parts.entropy import entropy
from ..parts.models import add_model, add_network
from ..parts.one_loss import OneLoss
from ..parts.prototypes import Prototypes


@TRAINER_REGISTRY.register()
class MME(OneLoss, TrainerXU):
    """The prototypes move to where target features are uncertain, and the encoder gathers the features around them.

    "Semi-supervised Domain Adaptation via Minimax Entropy", ICCV 2019, section 3:

        min over f:  L(x) + LMDA H(u)          L: cross-entropy of the labelled images
        min over c:  L(x) - LMDA H(u)          H = -mean_u sum_k p_k(u) log p_k(u)

    x: all labelled images, those of the target included where a dataset has some; u: unlabelled target.
    Learned: the encoder f (``F``), the prototypes c (``C``).
    """

    def build_model(self):
        print("Building model")
        self.F = add_network(self, "F")
        self.C = add_model(self, "C", Prototypes(self.F.fdim, self.num_classes))
        self.reverse = ReverseGrad()

    def loss(self, image_x, label, image_u):
        logit = self.model_inference(image_x)
        loss_x = F.cross_entropy(logit, label)
        loss_h = self.adversarial_entropy(image_u)
        accuracy = compute_accuracy(logit, label)[0].item()
        loss = loss_x - self.cfg.TRAINER.MME.LMDA * loss_h
        return loss, {"loss_x": loss_x.item(), "acc_x": accuracy, "entropy_u": loss_h.item()}

    def adversarial_entropy(self, image_u):
        """Return H; its gradient has the opposite sign for the encoder."""
        logit = self.C(self.reverse(self.F(image_u)))
        return entropy(logit).mean()

    def model_inference(self, input):
        return self.C(self.F(input))
