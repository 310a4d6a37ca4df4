from torch.nn import functional as F

from dassl.metrics import compute_accuracy
from dassl.modeling.ops.utils import sigmoid_rampup

from ..build import TRAINER_REGISTRY
from ..loops import TrainerXU
from ..parts.checks import require, require_views
from ..parts.steps import steps_done
from ..parts.teacher import AveragedTeacher
from ..parts.views import views_of


@TRAINER_REGISTRY.register()
class SE(AveragedTeacher, TrainerXU):
    """Self-ensembling: the network learns to see a target image as its own running average sees another view of it.

    "Self-ensembling for visual domain adaptation", ICLR 2018, section 3:

        loss = cross-entropy(p(x)) + w mean_u [max_k q_k(u2) > CONF_THRE] |p(u1) - q(u2)|^2

    x: images of the source; u1, u2: two views of those of the target; q: the teacher, whose weights are the running
    average of p's. With the threshold w is 1; with CONF_THRE 0 every image counts, and w grows to 1 in RAMPUP steps.
    Learned: the network p, which is also the one that is tested. Source and target go through it in batches of their
    own, so that batch normalisation treats each by its own statistics.
    """

    def check_cfg(self, cfg):
        require_views(self, cfg, 2)
        require(self, cfg, "TRAINER.SE.RAMPUP", lambda steps: steps > 0, "1 step or more", 300)

    @property
    def ema_alpha(self):
        return self.cfg.TRAINER.SE.EMA_ALPHA

    def parse_batch_train(self, batch_x, batch_u):
        """Return images (B, 3, H, W) and labels (B,) of the source, and two views of the same target images."""
        return views_of(self, batch_x)[0], self._to_device(batch_x["label"]), *views_of(self, batch_u)

    def loss(self, image_x, label, view1, view2):
        logit = self.model(image_x)
        loss_x = F.cross_entropy(logit, label)
        loss_u = self.consistency(view1, view2)
        accuracy = compute_accuracy(logit, label)[0].item()
        return loss_x + loss_u, {"loss_x": loss_x.item(), "acc_x": accuracy, "loss_u": loss_u.item()}

    def consistency(self, view1, view2):
        own = self.cfg.TRAINER.SE
        p, q = self.model(view1).softmax(dim=1), self.teacher(view2).softmax(dim=1)
        distance = (p - q).square().sum(dim=1)
        if own.CONF_THRE > 0:
            return (distance * (q.amax(dim=1) > own.CONF_THRE)).mean()
        return sigmoid_rampup(steps_done(self), own.RAMPUP) * distance.mean()
