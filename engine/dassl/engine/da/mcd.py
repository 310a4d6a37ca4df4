import torch
from torch import nn
from torch.nn import functional as F

from ..build import TRAINER_REGISTRY
from ..loops import TrainerXU
from ..parts.discrepancy import discrepancy
from ..parts.models import add_model, add_network
from ..parts.steps import update_lr_at_epoch_end


@TRAINER_REGISTRY.register()
class MCD(TrainerXU):
    """Two classifiers seek target images on which they disagree, and the encoder moves these to where they agree.

    "Maximum Classifier Discrepancy for Unsupervised Domain Adaptation", CVPR 2018, section 3. Every step:

        A:  min over f, c1, c2:   L(x)             L(x) = cross-entropy of c1 + cross-entropy of c2
        B:  min over c1, c2:      L(x) - d(u)      d(u) = mean |p1(u) - p2(u)|
        C:  min over f:           d(u)             N_STEP_F times

    x, u: images of source and target. Learned: the encoder f (``F``), the classifiers c1, c2 (``C1``, ``C2``), of which
    the first is tested.
    """

    def build_model(self):
        print("Building model")
        self.F = add_network(self, "F")
        self.C1 = add_model(self, "C1", nn.Linear(self.F.fdim, self.num_classes))
        self.C2 = add_model(self, "C2", nn.Linear(self.F.fdim, self.num_classes))

    def forward_backward(self, batch_x, batch_u):
        image_x, label, image_u = self.parse_batch_train(batch_x, batch_u)
        loss_a = self.step_a(image_x, label)
        loss_b = self.step_b(image_x, label, image_u)
        for _ in range(self.cfg.TRAINER.MCD.N_STEP_F):
            loss_c = self.step_c(image_u)
        update_lr_at_epoch_end(self)
        return {"loss_step_A": loss_a.item(), "loss_step_B": loss_b.item(), "loss_step_C": loss_c.item()}

    def step_a(self, image_x, label):
        loss = self.source_loss(self.F(image_x), label)
        self.model_backward_and_update(loss)
        return loss

    def step_b(self, image_x, label, image_u):
        with torch.no_grad():  # the encoder stands still
            feature_x, feature_u = self.F(image_x), self.F(image_u)
        loss = self.source_loss(feature_x, label) - discrepancy(self.C1(feature_u), self.C2(feature_u))
        self.model_backward_and_update(loss, ["C1", "C2"])
        return loss

    def step_c(self, image_u):
        feature = self.F(image_u)
        loss = discrepancy(self.C1(feature), self.C2(feature))
        self.model_backward_and_update(loss, "F")
        return loss

    def source_loss(self, feature, label):
        return F.cross_entropy(self.C1(feature), label) + F.cross_entropy(self.C2(feature), label)

    def model_inference(self, input):
        return self.C1(self.F(input))
