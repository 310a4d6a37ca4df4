import math

from torch.nn import functional as F

from dassl.metrics import compute_accuracy
from dassl.modeling.ops import ReverseGrad

from ..build import TRAINER_REGISTRY
from ..loops import TrainerXU
from ..parts.critic import DomainCritic, domain_loss
from ..parts.models import add_model
from ..parts.one_loss import OneLoss
from ..parts.steps import progress


@TRAINER_REGISTRY.register()
class DANN(OneLoss, TrainerXU):
    """A critic learns to tell the domains by their features, and its reversed gradient teaches them to be alike.

    "Domain-Adversarial Training of Neural Networks", JMLR 2016, equations 9 to 11 and section 5.2.2:

        min over f, y, max over d:  L_y(y(f(x))) - lambda (L_d(d(f(x)), source) + L_d(d(f(u)), target))
        lambda = 2 / (1 + exp(-10 p)) - 1

    x, u: images of source and target; p: the finished share of the run, so that lambda grows from 0 to 1.
    Learned: the encoder f and the classifier y (``model``), the critic d (``critic``).
    """

    def build_model(self):
        super().build_model()
        self.critic = add_model(self, "critic", DomainCritic(self._models["model"].fdim))
        self.reverse = ReverseGrad()

    def loss(self, image_x, label, image_u):
        logit, feature_x = self.model(image_x, return_feature=True)
        _, feature_u = self.model(image_u, return_feature=True)
        loss_y = F.cross_entropy(logit, label)
        loss_d = self.domain_loss(feature_x, feature_u)
        accuracy = compute_accuracy(logit, label)[0].item()
        # Plus: the reversal turns the sign where it matters, for the encoder.
        return loss_y + loss_d, {"loss_y": loss_y.item(), "acc_x": accuracy, "loss_d": loss_d.item()}

    def domain_loss(self, feature_x, feature_u):
        """Return the critic's loss; its gradient arrives at the features times -lambda."""
        lmda = 2 / (1 + math.exp(-10 * progress(self))) - 1
        return domain_loss(self.critic, self.reverse(feature_x, lmda), self.reverse(feature_u, lmda))
