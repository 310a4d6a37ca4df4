"""ProGrad: CoOp that steps only where the zero-shot classifier does not object."""

import torch
import torch.nn.functional as F
from dassl.engine import TRAINER_REGISTRY
from torch import Tensor

from clip_prompts.clip import CLIPTrainer, PromptLearner, similarity, unit
from clip_prompts.clip.tokens import context_tokens
from clip_prompts.common.errors import UserError

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
        self.w0 = unit(self.teacher.text_features(template, classnames)).to(self.device)
        self.logit_scale = clip_model.logit_scale
        return PromptLearner(
            text_encoder,
            classnames,
            class_specific=cfg.CSC,
            position=cfg.CLASS_TOKEN_POSITION,
            dtype=self.precision.start_dtype,
            **start_of(text_encoder, template, cfg),
        )

    def loss_terms(self, seen, label):
        temperature = self.settings.T
        zero_shot = similarity(self.logit_scale, seen.x, self.w0) / temperature
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
    """The gradient g, without its part against k, of the same shape (equations 3 and 5)."""
    direction = k / k.norm()  # NaN if k is 0; then g is kept
    along = (g * direction).sum()
    return g - strength * along * direction if along < 0 else g


def start_of(text_encoder, template: str, cfg) -> dict:
    """Arguments of ``PromptLearner`` for N_CTX vectors that end with the words of the template.

    The vectors before the words are zero. A comma is a token but no word, so tokens may be left over: they stay as
    fixed tokens between the context and the class name, and the prompt as a whole is the template.

    Raises:
        UserError: the template has more words than there are context vectors.
    """
    if not cfg.CTX_INIT:
        return {"n_ctx": cfg.N_CTX}
    text = template.removesuffix(" {}.") if cfg.CTX_INIT == "template" else cfg.CTX_INIT
    words, tokens = len(text.split()), context_tokens(text)
    if cfg.N_CTX < words:
        raise UserError(
            f"TRAINER.PROGRAD.N_CTX {cfg.N_CTX} is too small for the {words} words of '{text}'. Set {words} or more"
        )
    start = text_encoder.embed(torch.tensor(tokens[:words])).detach()
    return {
        "start": torch.cat([start.new_zeros(cfg.N_CTX - words, start.shape[1]), start]),
        "before_name": tokens[words:],
    }
