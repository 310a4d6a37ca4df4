import torch
from torch.nn import functional as F

from dassl.metrics import compute_accuracy

from ..build import TRAINER_REGISTRY
from ..loops import TrainerXU
from ..parts.checks import require_strong_transforms, require_views
from ..parts.one_loss import OneLoss
from ..parts.views import use_weak_and_strong_views


@TRAINER_REGISTRY.register()
class FixMatch(OneLoss, TrainerXU):
    """The network's confident labels of weakly augmented images are what it learns on the strongly augmented one.

    "FixMatch: Simplifying Semi-Supervised Learning with Consistency and Confidence", NeurIPS 2020, equations 3 and 4:

        q = p(a(u))
        loss = H(y, p(a(x))) + WEIGHT_U * mean_u [ 1(max q >= CONF_THRE) H(argmax q, p(A(u))) ]

    H: cross-entropy; a, A: weak and strong augmentation. Learned: the whole network.
    Required: unlabelled images, TRAINER.FIXMATCH.STRONG_TRANSFORMS, and DATALOADER.K_TRANSFORMS 1.
    """

    def check_cfg(self, cfg):
        require_views(self, cfg, 1)
        require_strong_transforms(self, cfg, "FIXMATCH")

    def build_data_loader(self):
        use_weak_and_strong_views(self, self.cfg.TRAINER.FIXMATCH.STRONG_TRANSFORMS)

    def parse_batch_train(self, batch_x, batch_u):
        """Return labelled images, their labels (B,), and weak and strong views of the unlabelled ones, (B, 3, H, W)."""
        image_x, label, weak_u = super().parse_batch_train(batch_x, batch_u)
        return image_x, label, weak_u, self._to_device(batch_u["img2"])

    def loss(self, image_x, label, weak_u, strong_u):
        own = self.cfg.TRAINER.FIXMATCH
        with torch.no_grad():
            confidence, pseudo_label = self.model(weak_u).softmax(dim=1).max(dim=1)
        confident = (confidence >= own.CONF_THRE).float()  # (B,)

        logits = self.model(torch.cat([image_x, strong_u]))  # together: both share the batch's statistics
        logits_x, logits_u = logits.split([len(image_x), len(strong_u)])
        loss_x = F.cross_entropy(logits_x, label)
        loss_u = (confident * F.cross_entropy(logits_u, pseudo_label, reduction="none")).mean()
        numbers = {
            "loss_x": loss_x.item(),
            "acc_x": compute_accuracy(logits_x, label)[0].item(),
            "loss_u": loss_u.item(),
            "confident": confident.mean().item(),
        }
        return loss_x + own.WEIGHT_U * loss_u, numbers
