import torch
from torch.nn import functional as F

from ..build import TRAINER_REGISTRY
from ..loops import TrainerXU
from ..parts import checks
from ..parts.domains import split_by_domain
from ..parts.experts import Experts
from ..parts.models import add_model, add_network
from ..parts.one_loss import OneLoss
from ..parts.views import use_weak_and_strong_views


@TRAINER_REGISTRY.register()
class DAEL(OneLoss, TrainerXU):
    """Each source has an expert that teaches the ensemble of the others; the surest expert labels the target for all.

    "Domain Adaptive Ensemble Learning", TIP 2021, section 3:

        loss = L_x + L_cr + WEIGHT_U L_u
        L_x  = mean_i cross-entropy(E_i(x_i))
        L_cr = mean_i |E_i(x_i) - mean_(j != i) E_j(X_i)|^2                  (no gradient through E_i)
        L_u  = mean_u [max_k E_s(u)_k >= CONF_THRE] cross-entropy(mean_j E_j(U), argmax_k E_s(u)_k)

    x_i, X_i: weak and strong view of images of source i; u, U: of the target; E_i: probabilities by expert i; s: the
    expert that is surest of u. Learned: the encoder (``F``), the experts on top of it (``E``). Tested: their mean.
    """

    def check_cfg(self, cfg):
        checks.require_domain_sampler(self, cfg)
        checks.require_own_target_loader(self, cfg)
        checks.require_source_domains(self, cfg)
        checks.require_views(self, cfg, 1)
        checks.require_strong_transforms(self, cfg, "DAEL")

    def build_data_loader(self):
        use_weak_and_strong_views(self, self.cfg.TRAINER.DAEL.STRONG_TRANSFORMS)

    def build_model(self):
        print("Building model")
        self.F = add_network(self, "F")
        self.E = add_model(self, "E", Experts(self.num_source_domains, self.F.fdim, self.num_classes))

    def parse_batch_train(self, batch_x, batch_u):
        """Return weak and strong views, labels and domains of the sources, and both views of the target."""
        parsed = *(batch_x[key] for key in ("img", "img2", "label", "domain")), batch_u["img"], batch_u["img2"]
        return tuple(self._to_device(tensor) for tensor in parsed)

    def loss(self, weak, strong, label, domain, weak_u, strong_u):
        parts = split_by_domain(domain, self.F(weak), self.F(strong), label)
        loss_x, loss_cr, accuracy = self.E.collaborate(parts)
        loss_u = self.target_loss(weak_u, strong_u)
        loss = loss_x + loss_cr + self.cfg.TRAINER.DAEL.WEIGHT_U * loss_u
        numbers = {"loss_x": loss_x.item(), "acc_x": accuracy, "loss_cr": loss_cr.item(), "loss_u": loss_u.item()}
        return loss, numbers

    def target_loss(self, weak_u, strong_u):
        with torch.no_grad():
            of_surest = self.E.probabilities(self.F(weak_u)).transpose(0, 1).flatten(1)  # (B, K C)
            confidence, place = of_surest.max(dim=1)
            guess = place % self.num_classes
        log_p = self.E.ensemble(self.F(strong_u)).clamp_min(1e-8).log()
        is_sure = confidence >= self.cfg.TRAINER.DAEL.CONF_THRE
        return (F.nll_loss(log_p, guess, reduction="none") * is_sure).mean()

    def model_inference(self, input):
        return self.E.ensemble(self.F(input))
