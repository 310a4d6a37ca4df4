import torch
from torch.nn import functional as F

from dassl.metrics import compute_accuracy
from dassl.modeling.ops.utils import sigmoid_rampup

from ..build import TRAINER_REGISTRY
from ..loops import TrainerXU
from ..parts.checks import require
from ..parts.teacher import AveragedTeacher
from ..parts.views import views_of


@TRAINER_REGISTRY.register()
class MeanTeacher(AveragedTeacher, TrainerXU):
    """On unlabelled images the network learns to agree with a teacher: the running average of its own weights.

    "Mean teachers are better role models", NeurIPS 2017, section 2:

        loss = H(y, p(x; w)) + WEIGHT_U r(t) * mean_u || p(u; w) - p(u'; w') ||^2
        w'  <- a w' + (1 - a) w        after every step,   a = min(1 - 1 / (step + 1), EMA_ALPHA)

    H: cross-entropy; r(t): rises from exp(-5) to 1 in RAMPUP epochs. Learned: w, which is saved and predicts; the
    teacher's w' follows. Required: unlabelled images. With DATALOADER.K_TRANSFORMS 2 student and teacher see different
    views u and u' of an image, as in the paper; with 1 the same.
    """

    def check_cfg(self, cfg):
        require(self, cfg, "DATALOADER.K_TRANSFORMS", lambda k: k in (1, 2), "1 or 2", 2)
        require(self, cfg, "TRAINER.MEANTEACHER.RAMPUP", lambda epochs: epochs > 0, "1 epoch or more", 5)

    @property
    def ema_alpha(self):
        return self.cfg.TRAINER.MEANTEACHER.EMA_ALPHA

    def parse_batch_train(self, batch_x, batch_u):
        """Return labelled images, labels (B,), and unlabelled images for student and teacher; images (B, 3, H, W)."""
        views_u = views_of(self, batch_u)
        return views_of(self, batch_x)[0], self._to_device(batch_x["label"]), views_u[0], views_u[-1]

    def loss(self, image_x, label, view_student, view_teacher):
        own = self.cfg.TRAINER.MEANTEACHER
        logits = self.model(image_x)
        loss_x = F.cross_entropy(logits, label)
        with torch.no_grad():
            target = self.teacher(view_teacher).softmax(dim=1)
        loss_u = (self.model(view_student).softmax(dim=1) - target).square().sum(dim=1).mean()
        loss = loss_x + own.WEIGHT_U * sigmoid_rampup(self.epoch, own.RAMPUP) * loss_u
        accuracy = compute_accuracy(logits, label)[0].item()
        return loss, {"loss_x": loss_x.item(), "acc_x": accuracy, "loss_u": loss_u.item()}
