"""AnchoredCoOp: CoOp whose text features are held near those of the hand-crafted prompt."""

from dassl.engine import TRAINER_REGISTRY

from clip_prompts.clip import unit
from clip_prompts.clip.templates import template_of
from trainers.coop import CoOp


@TRAINER_REGISTRY.register()
class AnchoredCoOp(CoOp):
    """After "Visual-Language Prompt Tuning with Knowledge-guided Context Optimization", CVPR 2023, equation 6.

        loss = cross-entropy + WEIGHT * (1 - mean_c cos(w_c, w0_c))

    w_c: text feature of the learned prompt; w0_c: of the dataset's hand-crafted one. Learned: the context vectors.
    """

    CONFIG = CoOp.CONFIG | {"WEIGHT": 8.0}  # becomes TRAINER.ANCHOREDCOOP.*

    def build_model(self):
        super().build_model()
        self.w0 = unit(self.teacher.text_features(template_of(self.dm.dataset), self.dm.dataset.classnames))  # (C, D)

    def loss_terms(self, seen, label):
        distance = 1 - (seen.w * self.w0).sum(dim=-1).mean()
        return super().loss_terms(seen, label) | {"distance": self.settings.WEIGHT * distance}
