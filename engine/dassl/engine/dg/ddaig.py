import torch
from torch.nn.functional import cross_entropy

from dassl.modeling import NETWORK_REGISTRY, build_network

from ..build import TRAINER_REGISTRY
from ..loops import TrainerX
from ..parts.checks import require, require_source_domains
from ..parts.models import add_model, add_network
from ..parts.steps import update_lr_at_epoch_end


@TRAINER_REGISTRY.register()
class DDAIG(TrainerX):
    """A generator learns to change images so that their domain is lost and their class is not; both kinds train.

    "Deep Domain-Adversarial Image Generation for Domain Generalisation", AAAI 2020, section 3:

        x~ = x + LMDA G'(x)       by the network G, whose last step this is
        min_G  H(y, F(x~)) - H(d, D(x~))
        min_F  (1 - ALPHA) H(y, F(x)) + ALPHA H(y, F(x~))     in the first WARMUP epochs  H(y, F(x))
        min_D  H(d, D(x))

    H: cross-entropy; d: domain. CLAMP keeps x~ within CLAMP_MIN and CLAMP_MAX. Learned: the generator G, the domain
    network D and the label network F, which predicts. Required: TRAINER.DDAIG.G_ARCH, the name of a network that
    maps (x, lmda) to x~, and DATASET.SOURCE_DOMAINS with two domains or more.
    """

    def check_cfg(self, cfg):
        require_source_domains(self, cfg)
        known = NETWORK_REGISTRY.registered_names()
        rule = f"the name of a network ({', '.join(known)})"
        require(self, cfg, "TRAINER.DDAIG.G_ARCH", lambda name: name in known, rule, known[0])

    def build_model(self):
        print("Building F, D and G")
        self.F = add_network(self, "F", self.num_classes)
        self.D = add_network(self, "D", self.num_source_domains)
        self.G = add_model(self, "G", build_network(self.cfg.TRAINER.DDAIG.G_ARCH, verbose=self.cfg.VERBOSE))

    def forward_backward(self, batch):
        own = self.cfg.TRAINER.DDAIG
        image, label, domain = self.parse_batch_train(batch)

        changed = self.change(image)
        loss_g = cross_entropy(self.F(changed), label) - cross_entropy(self.D(changed), domain)
        self.model_backward_and_update(loss_g, "G")

        loss_f = cross_entropy(self.F(image), label)
        if self.epoch >= own.WARMUP:
            with torch.no_grad():
                changed = self.change(image)  # by the generator as it is now
            loss_f = (1 - own.ALPHA) * loss_f + own.ALPHA * cross_entropy(self.F(changed), label)
        self.model_backward_and_update(loss_f, "F")

        loss_d = cross_entropy(self.D(image), domain)
        self.model_backward_and_update(loss_d, "D")
        update_lr_at_epoch_end(self)
        return {"loss_g": loss_g.item(), "loss_f": loss_f.item(), "loss_d": loss_d.item()}

    def change(self, image):
        """Images x (B, 3, H, W) -> x~, of the same shape."""
        own = self.cfg.TRAINER.DDAIG
        changed = self.G(image, lmda=own.LMDA)
        return changed.clamp(own.CLAMP_MIN, own.CLAMP_MAX) if own.CLAMP else changed

    def model_inference(self, input):
        return self.F(input)
