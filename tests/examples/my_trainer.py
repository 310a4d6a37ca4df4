"""AnchoredCoOp: CoOp whose text features are held near those of the hand-crafted prompt."""

import torch
import torch.nn.functional as F
from dassl.engine import TRAINER_REGISTRY

from clip_prompts.clip.learners import encode_texts
from clip_prompts.clip.templates import fill, template_of
from trainers.coop import CoOp


@TRAINER_REGISTRY.register()
class AnchoredCoOp(CoOp):
    """After "Visual-Language Prompt Tuning with Knowledge-guided Context Optimization", CVPR 2023, equation 6.

        loss = cross-entropy + WEIGHT * (1 - mean_c cos(w_c, w0_c))

    w_c: text feature of the learned prompt; w0_c: of the dataset's hand-crafted one. Learned: the context vectors.
    """

    CONFIG = CoOp.CONFIG | {"WEIGHT": 8.0}  # becomes TRAINER.ANCHOREDCOOP.*

    def build_prompt_learner(self, clip_model, text_encoder, classnames):
        texts = fill(template_of(self.dm.dataset), classnames)
        with torch.no_grad():
            anchor = F.normalize(encode_texts(text_encoder, texts, classnames), dim=-1)  # (C, D)
        self.anchor = anchor.to(self.device)
        return super().build_prompt_learner(clip_model, text_encoder, classnames)

    def loss(self, image, label):
        w = self.model.text_features()  # (C, D), unit vectors
        logits = self.model.logits(self.model.image_features(image), w)  # (B, C)
        distance = 1 - (w * self.anchor).sum(dim=-1).mean()
        loss = F.cross_entropy(logits, label) + self.settings.WEIGHT * distance
        return loss, {"loss": loss.item(), "distance": distance.item()}
