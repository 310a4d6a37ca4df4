import torch
from torch.nn import functional as F

from dassl.modeling.ops import mixup
from dassl.modeling.ops.utils import create_onehot, linear_rampup, sharpen_prob, shuffle_index

from ..build import TRAINER_REGISTRY
from ..loops import TrainerXU
from ..parts.checks import require
from ..parts.one_loss import OneLoss
from ..parts.steps import steps_done
from ..parts.views import views_of


@TRAINER_REGISTRY.register()
class MixMatch(OneLoss, TrainerXU):
    """Unlabelled images get the sharpened mean prediction over several views, then all images are blended.

    "MixMatch: A Holistic Approach to Semi-Supervised Learning", NeurIPS 2019, algorithm 1:

        q  = sharpen( 1/K sum_k p(u_k) ),     sharpen(p)_c = p_c^TEMP / sum_c' p_c'^TEMP
        (x', y'), (u', q') = mixup of (x, y), (u_k, q) with all of them in random order
        loss = mean H(y', p(x')) + WEIGHT_U r(t) * mean || q' - p(u') ||^2 / C

    H: cross-entropy; C: classes; TEMP: the inverse of the paper's T; in mixup the first of a pair has the larger share
    l or 1 - l, l ~ Beta(MIXUP_BETA, MIXUP_BETA); r(t) rises from 0 to 1 in RAMPUP steps. Learned: the whole network.
    Required: unlabelled images, and DATALOADER.K_TRANSFORMS (K) of 2 or more.
    """

    def check_cfg(self, cfg):
        require(self, cfg, "DATALOADER.K_TRANSFORMS", lambda k: k > 1, "2 or more", 2)
        require(self, cfg, "TRAINER.MIXMATCH.RAMPUP", lambda steps: steps > 0, "1 step or more", 20000)

    def parse_batch_train(self, batch_x, batch_u):
        """Return labelled images, labels (B,), and a list of K views of unlabelled images; images (B, 3, H, W)."""
        return views_of(self, batch_x)[0], self._to_device(batch_x["label"]), views_of(self, batch_u)

    @torch.no_grad()
    def guess(self, views):
        """K views, each (B, 3, H, W), to the probabilities (B, C) that stand for their labels."""
        mean = torch.stack([self.model(view).softmax(dim=1) for view in views]).mean(dim=0)
        return sharpen_prob(mean, self.cfg.TRAINER.MIXMATCH.TEMP)

    def loss(self, image_x, label, views):
        own = self.cfg.TRAINER.MIXMATCH
        images = torch.cat([image_x, *views])
        targets = torch.cat([create_onehot(label, self.num_classes)] + [self.guess(views)] * len(views))
        others, their_targets = shuffle_index(images, targets)
        images, targets = mixup(images, others, targets, their_targets, own.MIXUP_BETA, preserve_order=True)

        logits, labelled = self.model(images), len(image_x)
        loss_x = F.cross_entropy(logits[:labelled], targets[:labelled])
        loss_u = F.mse_loss(logits[labelled:].softmax(dim=1), targets[labelled:])
        weight_u = own.WEIGHT_U * linear_rampup(steps_done(self), own.RAMPUP)
        return loss_x + weight_u * loss_u, {"loss_x": loss_x.item(), "loss_u": loss_u.item()}
