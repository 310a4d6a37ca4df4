"""ProGrad: CoOp without the part of each gradient that conflicts with the zero-shot classifier."""

import torch.nn.functional as F
from dassl.engine import TRAINER_REGISTRY
from torch import Tensor

from clip_prompts.clip import CLIPTrainer, PromptLearner, similarity, unit
from clip_prompts.clip.words import last_words

TEMPLATES = {  # all other datasets: their own
    "OxfordPets": "a type of pet, a photo of a {}.",
    "OxfordFlowers": "a type of flower, a photo of a {}.",
    "FGVCAircraft": "a type of aircraft, a photo of a {}.",
    "DescribableTextures": "a texture of {}.",
    "Food101": "a type of food, a photo of {}.",
}


@TRAINER_REGISTRY.register()
class ProGrad(CLIPTrainer):
    """Prompt-aligned Gradient.

    "Prompt-aligned Gradient for Prompt Tuning", ICCV 2023, equations 3 to 5:

        L_kl = -T^2 mean_b sum_c p0_c log p_c      g = dL_ce, k = dL_kl, of each learned tensor
        step along g, or g - LAMBDA <g, k^> k^ if <g, k> < 0      k^ = k / |k|

    p0: zero-shot probabilities of the same images; both softmaxes are at temperature T.
    Learned: the context, (M, d) or (C, M, d). Frozen: all of CLIP.
    """

    CONFIG = {
        "N_CTX": 16, "CSC": False, "CTX_INIT": "template", "PREC": "fp16", "CLASS_TOKEN_POSITION": "end",
        "LAMBDA": 1.0, "T": 1.0,
    }  # fmt: skip

    def build_prompt_learner(self, clip_model, text_encoder, classnames):
        cfg, template = self.settings, self.template(TEMPLATES)
        words = template.removesuffix(" {}.") if cfg.CTX_INIT == "template" else cfg.CTX_INIT
        self.w0 = unit(self.teacher.text_features(template, classnames))
        return PromptLearner(
            text_encoder,
            classnames,
            class_specific=cfg.CSC,
            position=cfg.CLASS_TOKEN_POSITION,
            dtype=self.precision.start_dtype,
            **last_words(text_encoder, words, cfg.N_CTX),
        )

    def loss_terms(self, seen, label):
        temperature = self.settings.T
        zero_shot = similarity(self.clip_model.logit_scale, seen.x, self.w0) / temperature
        kl = F.cross_entropy(seen.logits / temperature, zero_shot.softmax(dim=1)) * temperature**2
        return {"xe_loss": F.cross_entropy(seen.logits, label), "kl_loss": kl}

    def summary(self, terms):
        return terms  # their sum is not minimized

    def update(self, terms):
        learned = [p for p in self.learner.parameters() if p.requires_grad]
        gradients = [self.precision.gradients(term, learned) for term in terms.values()]
        for p, g, k in zip(learned, *gradients, strict=True):
            p.grad = aligned(g, k, self.settings.LAMBDA)
        self.precision.step(self.optim)


def aligned(g: Tensor, k: Tensor, strength: float) -> Tensor:
    """Return the gradient g without the part that points against k, in the same shape (equations 3 and 5)."""
    direction = k / k.norm()  # NaN if k is 0; then g is kept
    along = (g * direction).sum()
    return g - strength * along * direction if along < 0 else g
