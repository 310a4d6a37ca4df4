import itertools

import torch
from torch import nn
from torch.nn import functional as F

from ..build import TRAINER_REGISTRY
from ..loops import TrainerXU
from ..parts.checks import require_domain_sampler, require_own_target_loader
from ..parts.discrepancy import discrepancy
from ..parts.domains import split_by_domain
from ..parts.models import add_model, add_network
from ..parts.steps import update_lr_at_epoch_end


def moment_distance(features_x, feature_u):
    """Return the distance between the first two moments of all domains.

        MD = sum_(k=1,2) mean_i |E(f_i^k) - E(f_u^k)| + mean_(i<j) |E(f_i^k) - E(f_j^k)|

    "Moment Matching for Multi-Source Domain Adaptation", ICCV 2019, definition 1.

    Args:
        features_x (list of Tensor): features f_i of each source domain, (B_i, D).
        feature_u (Tensor): features f_u of the target, (B, D).
    """
    total = 0
    for k in (1, 2):
        moments_x, moment_u = [f.pow(k).mean(dim=0) for f in features_x], feature_u.pow(k).mean(dim=0)
        total += torch.stack([(m - moment_u).norm() for m in moments_x]).mean()
        if len(moments_x) > 1:
            total += torch.stack([(a - b).norm() for a, b in itertools.combinations(moments_x, 2)]).mean()
    return total


class ClassifierPairs(nn.Module):
    """Two linear classifiers for each source domain.

    Args:
        features (int): D.
        num_classes (int): C.
        domains (int): N.
    """

    def __init__(self, features, num_classes, domains):
        super().__init__()
        self.pairs = nn.ModuleList(
            nn.ModuleList(nn.Linear(features, num_classes) for _ in range(2)) for _ in range(domains)
        )

    def forward(self, feature, domain):
        """Features (B, D) -> the logits of both classifiers of a domain (int), each (B, C)."""
        first, second = self.pairs[domain]
        return first(feature), second(feature)


@TRAINER_REGISTRY.register()
class M3SDA(TrainerXU):
    """The moments of all domains are matched, while a pair of classifiers for each source plays MCD's game.

    "Moment Matching for Multi-Source Domain Adaptation", ICCV 2019, definition 1 and M3SDA-beta. Every step:

        A:  min over f, c:   sum_i L_i(x_i) + LMDA MD         L_i: cross-entropies of both classifiers of source i
        B:  min over c:      sum_i L_i(x_i) - d_i(u)          d_i: mean |p_i1(u) - p_i2(u)|
        C:  min over f:      sum_i d_i(u)                     N_STEP_F times

    MD: :func:`moment_distance`; x_i, u: images of source i and of the target. Learned: the encoder f (``F``), the pairs
    c (``C``). Tested: the mean of the probabilities of all classifiers.
    """

    def check_cfg(self, cfg):
        require_domain_sampler(self, cfg)
        require_own_target_loader(self, cfg)

    def build_model(self):
        print("Building model")
        self.F = add_network(self, "F")
        self.C = add_model(self, "C", ClassifierPairs(self.F.fdim, self.num_classes, self.num_source_domains))

    def parse_batch_train(self, batch_x, batch_u):
        """Return {domain (int): (images (B_i, 3, H, W), labels (B_i,))} of the sources, and target images."""
        image_x, label, image_u = super().parse_batch_train(batch_x, batch_u)
        return split_by_domain(batch_x["domain"], image_x, label), image_u

    def forward_backward(self, batch_x, batch_u):
        sources, image_u = self.parse_batch_train(batch_x, batch_u)
        loss_a, distance = self.step_a(sources, image_u)
        loss_b = self.step_b(sources, image_u)
        for _ in range(self.cfg.TRAINER.M3SDA.N_STEP_F):
            loss_c = self.step_c(sources, image_u)
        update_lr_at_epoch_end(self)
        return {
            "loss_step_A": loss_a.item(),
            "moment_distance": distance.item(),
            "loss_step_B": loss_b.item(),
            "loss_step_C": loss_c.item(),
        }

    def step_a(self, sources, image_u):
        features = {domain: self.F(image) for domain, (image, _) in sources.items()}
        distance = moment_distance(list(features.values()), self.F(image_u))
        loss = self.source_loss(features, sources) + self.cfg.TRAINER.M3SDA.LMDA * distance
        self.model_backward_and_update(loss)
        return loss, distance

    def step_b(self, sources, image_u):
        with torch.no_grad():  # the encoder stands still
            features = {domain: self.F(image) for domain, (image, _) in sources.items()}
            feature_u = self.F(image_u)
        loss = self.source_loss(features, sources) - self.discrepancy(sources, feature_u)
        self.model_backward_and_update(loss, "C")
        return loss

    def step_c(self, sources, image_u):
        loss = self.discrepancy(sources, self.F(image_u))
        self.model_backward_and_update(loss, "F")
        return loss

    def source_loss(self, features, sources):
        losses = [
            F.cross_entropy(logit, label)
            for domain, (_, label) in sources.items()
            for logit in self.C(features[domain], domain)
        ]
        return torch.stack(losses).sum()

    def discrepancy(self, domains, feature_u):
        return torch.stack([discrepancy(*self.C(feature_u, domain)) for domain in domains]).sum()

    def model_inference(self, input):
        feature = self.F(input)
        logits = [logit for domain in range(self.num_source_domains) for logit in self.C(feature, domain)]
        return torch.stack(logits).softmax(dim=2).mean(dim=0)
