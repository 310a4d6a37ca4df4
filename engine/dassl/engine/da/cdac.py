import torch
from torch.nn import functional as F
from torch.optim.lr_scheduler import LambdaLR

from dassl.metrics import compute_accuracy
from dassl.modeling.ops import ReverseGrad
from dassl.modeling.ops.utils import sigmoid_rampup

from ..build import TRAINER_REGISTRY
from ..loops import TrainerXU
from ..parts.checks import require, require_strong_transforms, require_views
from ..parts.models import add_model, add_network
from ..parts.prototypes import Prototypes
from ..parts.steps import steps_done
from ..parts.views import use_weak_and_strong_views


def are_similar(feature, k):
    """Return which pairs of features (B, D) have the same k largest elements, in any order: (B, B) of bool."""
    largest = feature.topk(k, dim=1).indices.sort(dim=1).values
    return (largest[:, None] == largest[None]).all(dim=2)


def clustering_loss(p, q, similar):
    """Return -mean_ij log r_ij, where r_ij is p_i . q_j for similar images i and j, else 1 - p_i . q_j.

    "Cross-Domain Adaptive Clustering for Semi-Supervised Domain Adaptation", CVPR 2021, section 3.

    Args:
        p, q (Tensor): probabilities of two views of the same images, (B, C).
        similar (Tensor): (B, B) of bool.
    """
    same_class = p @ q.T
    return -torch.where(similar, same_class, 1 - same_class).clamp_min(1e-7).log().mean()


def _decay(step):
    # The annealing of DANN (JMLR 2016, section 5.2.2), 1 / (1 + 10 p)^0.75, where 100,000 steps are the whole run.
    return (1 + 1e-4 * step) ** -0.75


@TRAINER_REGISTRY.register()
class CDAC(TrainerXU):
    """Target images with like features are drawn into one class, against prototypes that keep them apart.

    "Cross-Domain Adaptive Clustering for Semi-Supervised Domain Adaptation", CVPR 2021, section 3:

        min over f:  L_x + L_aac + L_pl + w L_con
        min over c:  L_x - L_aac + L_pl + w L_con
        L_aac: clustering_loss of p(u) and p(U1), where images are similar that share the TOPK_MATCH largest features
        L_pl  = mean_u [max_k p_k(u) >= P_THRESH] cross-entropy(p(U2), argmax_k p_k(u))
        L_con = mean (p(U1) - p(U2))^2
        w     = RAMPUP_COEF exp(-5 (1 - t / RAMPUP_ITRS)^2)

    L_x: cross-entropy of all labelled images, those of the target included where a dataset has some; u, U1, U2: a weak
    and two strong views of unlabelled target images; t: step. Learned: the encoder f (``F``) and the prototypes c
    (``C``), these CLASS_LR_MULTI times as fast. The rate of step t is OPTIM.LR / (1 + 0.0001 t)^0.75, whatever
    OPTIM.LR_SCHEDULER is.
    """

    def check_cfg(self, cfg):
        require_views(self, cfg, 2)
        require_strong_transforms(self, cfg, "CDAC")
        require(self, cfg, "TRAINER.CDAC.RAMPUP_ITRS", lambda steps: steps > 0, "1 step or more", 1000)

    def build_data_loader(self):
        use_weak_and_strong_views(self, self.cfg.TRAINER.CDAC.STRONG_TRANSFORMS)

    def build_model(self):
        print("Building model")

        def schedule(optim):
            return LambdaLR(optim, _decay)

        self.F = add_network(self, "F", schedule=schedule)
        width = self.F.fdim
        rule = f"1 to {width}, the width of the feature"
        require(self, self.cfg, "TRAINER.CDAC.TOPK_MATCH", lambda k: 1 <= k <= width, rule, min(5, width))
        prototypes = Prototypes(width, self.num_classes)
        self.C = add_model(self, "C", prototypes, lr_mult=self.cfg.TRAINER.CDAC.CLASS_LR_MULTI, schedule=schedule)
        self.reverse = ReverseGrad()

    def parse_batch_train(self, batch_x, batch_u):
        """Return labelled images, their labels, and a weak and two strong views of unlabelled images."""
        parsed = batch_x["img"][0], batch_x["label"], batch_u["img"][0], *batch_u["img2"]
        return tuple(self._to_device(tensor) for tensor in parsed)

    def forward_backward(self, batch_x, batch_u):
        image_x, label, weak, strong1, strong2 = self.parse_batch_train(batch_x, batch_u)
        own = self.cfg.TRAINER.CDAC
        logit = self.model_inference(image_x)
        loss_x = F.cross_entropy(logit, label)

        feature, feature1, feature2 = self.F(weak), self.F(strong1), self.F(strong2)
        loss_aac = self.adversarial_clustering(feature, feature1)
        loss_pl = self.pseudo_label_loss(feature, feature2)
        loss_con = F.mse_loss(self.C(feature1).softmax(dim=1), self.C(feature2).softmax(dim=1))
        w = own.RAMPUP_COEF * sigmoid_rampup(steps_done(self), own.RAMPUP_ITRS)

        self.model_backward_and_update(loss_x - loss_aac + loss_pl + w * loss_con)
        self.update_lr()
        return {
            "loss_x": loss_x.item(),
            "acc_x": compute_accuracy(logit, label)[0].item(),
            "loss_aac": loss_aac.item(),
            "loss_pl": loss_pl.item(),
            "loss_con": loss_con.item(),
        }

    def adversarial_clustering(self, feature, feature1):
        """Return L_aac; its gradient has the opposite sign for the encoder."""
        p, q = (self.C(self.reverse(f)).softmax(dim=1) for f in (feature, feature1))
        return clustering_loss(p, q, are_similar(feature.detach(), self.cfg.TRAINER.CDAC.TOPK_MATCH))

    def pseudo_label_loss(self, feature, feature2):
        with torch.no_grad():
            confidence, guess = self.C(feature).softmax(dim=1).max(dim=1)
        is_sure = confidence >= self.cfg.TRAINER.CDAC.P_THRESH
        return (F.cross_entropy(self.C(feature2), guess, reduction="none") * is_sure).mean()

    def model_inference(self, input):
        return self.C(self.F(input))
