import torch
from torch.nn import functional as F

from ..build import TRAINER_REGISTRY
from ..loops import TrainerX
from ..parts.checks import require, require_source_domains
from ..parts.one_loss import OneLoss

TYPES = ("crossdomain", "random")


@TRAINER_REGISTRY.register()
class DomainMix(OneLoss, TrainerX):
    """Every image is blended with one of another domain, which simulates domains between the known ones.

    "Dynamic Domain Generalization", IJCAI 2022:

        x~ = l x_i + (1 - l) x_j,   domain of j other than that of i,   l ~ Beta(ALPHA, BETA), one a batch
        loss = l H(y_i, p(x~)) + (1 - l) H(y_j, p(x~))

    H: cross-entropy. Learned: the whole network. TYPE ``random`` takes j from any domain, which is plain mixup.
    Required: DATASET.SOURCE_DOMAINS with two domains or more.
    """

    def check_cfg(self, cfg):
        require_source_domains(self, cfg)
        kind = "TRAINER.DOMAINMIX.TYPE"
        require(self, cfg, kind, lambda kind: kind in TYPES, " or ".join(TYPES), TYPES[0])

    def loss(self, image, label, domain):
        own = self.cfg.TRAINER.DOMAINMIX
        partner = partners(domain, across=own.TYPE == "crossdomain")
        share = torch.distributions.Beta(own.ALPHA, own.BETA).sample().item()
        logits = self.model(share * image + (1 - share) * image[partner])
        loss = share * F.cross_entropy(logits, label) + (1 - share) * F.cross_entropy(logits, label[partner])
        return loss, {"loss": loss.item()}


def partners(domain, across):
    """Draw for each image of a batch the one to blend it with.

    Args:
        domain (Tensor): domains, (B,).
        across (bool): only of another domain, where the batch has one.

    Returns:
        Tensor: positions in the batch, (B,).
    """
    if not across:
        return torch.randperm(len(domain)).to(domain.device)
    allowed = domain[:, None] != domain[None, :]  # (B, B)
    allowed[~allowed.any(dim=1)] = True  # a batch of one domain: any image
    return torch.multinomial(allowed.float(), 1).squeeze(1)
