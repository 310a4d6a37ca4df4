import torch
from torch.nn.functional import cross_entropy

from ..build import TRAINER_REGISTRY
from ..loops import TrainerX
from ..parts.checks import require_source_domains
from ..parts.models import add_network
from ..parts.steps import update_lr_at_epoch_end


@TRAINER_REGISTRY.register()
class CrossGrad(TrainerX):
    """A label network and a domain network each learn from images that were moved to mislead the other.

    "Generalizing Across Domains via Cross-Gradient Training", ICLR 2018, algorithm 1:

        x_d = x + EPS_F grad_x J_D(x, d)        x_l = x + EPS_D grad_x J_F(x, y)
        min_F (1 - ALPHA_F) J_F(x, y) + ALPHA_F J_F(x_d, y)
        min_D (1 - ALPHA_D) J_D(x, d) + ALPHA_D J_D(x_l, d)

    J_F, J_D: cross-entropy of the label network F and of the domain network D. The gradients are those of each
    image's own loss. Learned: F, which predicts, and D. Required: DATASET.SOURCE_DOMAINS with two domains or more.
    """

    def check_cfg(self, cfg):
        require_source_domains(self, cfg)

    def build_model(self):
        print("Building F and D")
        self.F = add_network(self, "F", self.num_classes)
        self.D = add_network(self, "D", self.num_source_domains)

    def forward_backward(self, batch):
        own = self.cfg.TRAINER.CROSSGRAD
        image, label, domain = self.parse_batch_train(batch)
        image.requires_grad_()
        loss_f = cross_entropy(self.F(image), label)
        loss_d = cross_entropy(self.D(image), domain)
        moved_by_d = uphill(image, loss_d, own.EPS_F)
        moved_by_f = uphill(image, loss_f, own.EPS_D)

        loss_f = (1 - own.ALPHA_F) * loss_f + own.ALPHA_F * cross_entropy(self.F(moved_by_d), label)
        loss_d = (1 - own.ALPHA_D) * loss_d + own.ALPHA_D * cross_entropy(self.D(moved_by_f), domain)
        self.model_backward_and_update(loss_f, "F")
        self.model_backward_and_update(loss_d, "D")
        update_lr_at_epoch_end(self)
        return {"loss_f": loss_f.item(), "loss_d": loss_d.item()}

    def model_inference(self, input):
        return self.F(input)


def uphill(image, loss, step):
    """Move images in the direction in which a loss rises.

    Args:
        image (Tensor): images (B, 3, H, W), of which ``loss`` is a function.
        loss (Tensor): mean over the images.
        step (float): factor of each image's own gradient.

    Returns:
        Tensor: constants, (B, 3, H, W).
    """
    (gradient,) = torch.autograd.grad(loss * len(image), image, retain_graph=True)
    return image.detach() + step * gradient
