from ..build import TRAINER_REGISTRY
from ..loops import TrainerX
from ..parts.checks import require_domain_sampler, require_source_domains, require_strong_transforms, require_views
from ..parts.domains import split_by_domain
from ..parts.experts import Experts
from ..parts.models import add_model, add_network
from ..parts.one_loss import OneLoss
from ..parts.views import use_weak_and_strong_views


@TRAINER_REGISTRY.register()
class DAELDG(OneLoss, TrainerX):
    """One expert for each source domain; on its images the others together learn to say what it says.

    "Domain Adaptive Ensemble Learning", TIP 2021, section 3.1, without target data:

        loss_x  = 1/K sum_i  H(y, E_i(a(x)))                             x of domain i
        loss_cr = 1/K sum_i || E_i(a(x)) - mean_{j != i} E_j(A(x)) ||^2    E_i(a(x)) is a constant here
        loss    = loss_x + loss_cr

    E_k: expert k on the features of F; H: cross-entropy; a, A: weak and strong augmentation. Learned: F and E.
    Predicted: the mean of all experts.

    Required: DATALOADER.TRAIN_X.SAMPLER RandomDomainSampler, DATALOADER.K_TRANSFORMS 1, STRONG_TRANSFORMS, and
    DATASET.SOURCE_DOMAINS with two domains or more. WEIGHT_U and CONF_THRE are for target data and have no effect.
    """

    def check_cfg(self, cfg):
        require_source_domains(self, cfg)
        require_domain_sampler(self, cfg)
        require_views(self, cfg, 1)
        require_strong_transforms(self, cfg, "DAELDG")

    def build_data_loader(self):
        use_weak_and_strong_views(self, self.cfg.TRAINER.DAELDG.STRONG_TRANSFORMS)

    def build_model(self):
        print("Building F and E")
        self.F = add_network(self, "F")
        self.E = add_model(self, "E", Experts(self.num_source_domains, self.F.fdim, self.num_classes))

    def parse_batch_train(self, batch):
        """Return weak and strong views (B, 3, H, W), labels (B,) and domains (B,) on the device."""
        return tuple(self._to_device(batch[key]) for key in ("img", "img2", "label", "domain"))

    def loss(self, weak, strong, label, domain):
        parts = split_by_domain(domain, self.F(weak), self.F(strong), label)
        loss_x, loss_cr, accuracy = self.E.collaborate(parts)
        return loss_x + loss_cr, {"loss_x": loss_x.item(), "acc_x": accuracy, "loss_cr": loss_cr.item()}

    def model_inference(self, input):
        """Images (B, 3, H, W) -> probabilities (B, C)."""
        return self.E.ensemble(self.F(input))
