import copy

import torch

from ..build import TRAINER_REGISTRY
from ..loops import TrainerXU
from ..parts.checks import require_source_weights
from ..parts.critic import DomainCritic, domain_loss, says
from ..parts.models import add_model
from ..parts.steps import update_lr_at_epoch_end


@TRAINER_REGISTRY.register()
class ADDA(TrainerXU):
    """A copy of the source's encoder moves until a critic takes its target features for the source's.

    "Adversarial Discriminative Domain Adaptation", CVPR 2017, equation 9:

        min over d:    L_d = -mean log d(f_s(x)) - mean log(1 - d(f(u)))
        min over f:    L_f = -mean log d(f(u))                            (the labels are inverted)

    x, u: images of source and target. Learned: the target's encoder f, which starts as the source's (``model``), and
    the critic d (``critic``). Frozen: the source's encoder f_s and the classifier, both of MODEL.INIT_WEIGHTS.
    """

    STATE = ("source_model",)

    def check_cfg(self, cfg):
        require_source_weights(self, cfg)

    def build_model(self):
        super().build_model()
        target_model = self._models["model"]
        self.source_model = copy.deepcopy(target_model).eval().requires_grad_(False)
        target_model.classifier.requires_grad_(False)
        self.critic = add_model(self, "critic", DomainCritic(target_model.fdim))

    def forward_backward(self, batch_x, batch_u):
        image_x, _, image_u = self.parse_batch_train(batch_x, batch_u)
        with torch.no_grad():
            _, feature_x = self.source_model(image_x, return_feature=True)
        _, feature_u = self.model(image_u, return_feature=True)

        loss_d = domain_loss(self.critic, feature_x, feature_u.detach())
        self.model_backward_and_update(loss_d, "critic")
        loss_f = says(self.critic(feature_u), source=True)
        self.model_backward_and_update(loss_f, "model")
        update_lr_at_epoch_end(self)
        return {"loss_d": loss_d.item(), "loss_f": loss_f.item()}
