"""Distilled: CoOp that agrees with the frozen CLIP about every image."""

import torch.nn.functional as F
from dassl.engine import TRAINER_REGISTRY

from clip_prompts.clip import similarity, unit
from trainers.coop import CoOp


@TRAINER_REGISTRY.register()
class Distilled(CoOp):
    """After "Self-regulating Prompts: Foundational Model Adaptation without Forgetting", ICCV 2023, equation 5.

        loss = cross-entropy + WEIGHT * KL(p0 || p)

    p0: probabilities that the frozen CLIP gives an image, with the dataset's hand-crafted prompt.
    Learned: the context vectors.
    """

    CONFIG = CoOp.CONFIG | {"WEIGHT": 1.0}

    def build_prompt_learner(self, clip_model, text_encoder, classnames):
        self.w0 = unit(self.teacher.text_features(self.template(), classnames))  # (C, D)
        self.logit_scale = clip_model.logit_scale
        return super().build_prompt_learner(clip_model, text_encoder, classnames)

    def loss_terms(self, seen, label):
        x0 = unit(self.teacher.image_features(seen.image))  # (B, D), from images or from their features
        log_p0 = similarity(self.logit_scale, x0, self.w0).log_softmax(dim=1)
        kl = F.kl_div(seen.logits.log_softmax(dim=1), log_p0, reduction="batchmean", log_target=True)
        return super().loss_terms(seen, label) | {"kl": self.settings.WEIGHT * kl}
