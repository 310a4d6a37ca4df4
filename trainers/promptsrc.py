"""PromptSRC: IVLP that stays close to the frozen CLIP in features and scores, and averages prompts over epochs."""

import functools

import torch
import torch.nn.functional as F
from dassl.engine import TRAINER_REGISTRY
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from clip_prompts.clip import similarity, unit
from clip_prompts.clip.deep_prompts import IndependentPromptLearner
from clip_prompts.clip.templates import SIXTY
from trainers.ivlp import IVLP


class SelfRegulatedPromptLearner(IndependentPromptLearner):
    """The prompts of IVLP and, during training, their weighted sum over the epochs so far, ``aggregate`` (P,).

    Checkpoints of unfinished runs store the sum, so a resumed run ends with the same prompts.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.register_buffer("aggregate", torch.zeros(sum(p.numel() for p in self.parameters())))

    @torch.no_grad()
    def aggregate_epoch(self, weight: float, is_last: bool) -> None:
        """Add the prompts with a weight; after the last epoch, the sum replaces the prompts."""
        self.aggregate += weight * parameters_to_vector(self.parameters())
        if is_last:
            vector_to_parameters(self.aggregate, self.parameters())
            self.aggregate = None

    def _load_from_state_dict(self, state_dict, prefix, *args):
        stored = state_dict.get(prefix + "aggregate")  # finished runs and released checkpoints have none
        self.aggregate = None if stored is None else torch.empty_like(stored, device=self.ctx.device)
        super()._load_from_state_dict(state_dict, prefix, *args)


def gaussian_weights(epochs: int, mean: float, std: float) -> list[float]:
    """Return the weights of epochs 1 to E, proportional to N(e; mean, std), with sum 1."""
    epoch = torch.arange(1, epochs + 1, dtype=torch.float64)
    return (-((epoch - mean) ** 2) / (2 * std**2)).softmax(dim=0).tolist()


@TRAINER_REGISTRY.register()
class PromptSRC(IVLP):
    """Prompting with Self-Regulating Constraints.

    "Self-regulating Prompts: Foundational Model Adaptation without Forgetting", ICCV 2023, equations 3 to 6:

        loss = cross-entropy + TEXT_LOSS_WEIGHT mean|w - w0| + IMAGE_LOSS_WEIGHT mean|x - x0| + mean KL(p0 || p)

    w0, x0, p0: features and probabilities of the frozen CLIP; w0 is the mean over sixty prompts. After each epoch e the
    prompts are added to a sum with weight N(e; GPA_MEAN, GPA_STD). After the last epoch, the sum replaces the prompts.
    Learned: the same as in IVLP. Frozen: all of CLIP.
    """

    CONFIG = {
        "N_CTX_VISION": 4, "N_CTX_TEXT": 4, "CTX_INIT": "a photo of a", "PREC": "fp16",
        "PROMPT_DEPTH_VISION": 9, "PROMPT_DEPTH_TEXT": 9,
        "TEXT_LOSS_WEIGHT": 25.0, "IMAGE_LOSS_WEIGHT": 10.0, "GPA_MEAN": 15.0, "GPA_STD": 1.0,
    }  # fmt: skip
    LEARNER = SelfRegulatedPromptLearner

    @functools.cached_property
    def w0(self):
        """Text features (C, D) of the frozen CLIP, computed when training first needs them."""
        return unit(self.teacher.text_features(SIXTY, self.dm.dataset.classnames))

    def loss_terms(self, seen, label):
        cfg = self.settings
        x0 = unit(self.teacher.image_features(seen.image))
        log_p0 = similarity(self.clip_model.logit_scale, x0, self.w0).log_softmax(dim=1)
        kl = F.kl_div(seen.logits.log_softmax(dim=1), log_p0, reduction="sum", log_target=True)
        return {
            "ce": F.cross_entropy(seen.logits, label),
            "text": cfg.TEXT_LOSS_WEIGHT * F.l1_loss(seen.w, self.w0),
            "image": cfg.IMAGE_LOSS_WEIGHT * F.l1_loss(seen.x, x0),
            "logits": kl / seen.logits.numel(),
        }

    def after_epoch(self):
        weights = gaussian_weights(self.max_epoch, self.settings.GPA_MEAN, self.settings.GPA_STD)
        self.learner.aggregate_epoch(weights[self.epoch], is_last=self.epoch + 1 == self.max_epoch)
        super().after_epoch()
