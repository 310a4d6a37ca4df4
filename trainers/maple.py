"""MaPLe: prompts in the layers of both encoders. Image prompts are computed from text prompts."""

import copy

import torch.nn.functional as F
from dassl.engine import TRAINER_REGISTRY
from torch import nn

from clip_prompts.clip import CLIPTrainer, PromptLearner
from clip_prompts.clip.deep_prompts import random_prompt
from clip_prompts.clip.misfits import Layers
from clip_prompts.clip.words import first_words


class MultiModalPromptLearner(PromptLearner):
    """Text prompts P_l (n, d) and coupling functions F_l (linear, d to v) for layers l = 0 to J - 1; P_0 is ``ctx``.

    Draws: the context if it is random; F_0; P_1, P_2, ...; one linear layer, which the other couplings start from.
    """

    LAYERS = {
        "compound_prompts_text": Layers("PROMPT_DEPTH", "N_CTX", 1, portable="text.{}.ctx"),
        "compound_prompt_projections": Layers("PROMPT_DEPTH", "N_CTX", 1, portable="proj.{}"),
    }
    PORTABLE_NAMES = {r"proj\.(.+)": r"proj.0.\1"}

    def __init__(self, text_encoder, classnames, image_width, n_ctx, ctx_init, depth, dtype):
        super().__init__(text_encoder, classnames, dtype=dtype, **first_words(text_encoder, ctx_init, n_ctx))
        width = self.ctx.shape[-1]
        self.proj = nn.Linear(width, image_width)
        self.compound_prompts_text = nn.ParameterList(random_prompt(n_ctx, width) for _ in range(1, depth))
        coupling = nn.Linear(width, image_width)
        self.compound_prompt_projections = nn.ModuleList(copy.deepcopy(coupling) for _ in range(1, depth))

    def text_inputs(self, x=None):
        return super().text_inputs() | {"deep": dict(enumerate(self.compound_prompts_text, start=1))}

    def image_inputs(self):
        deep = [f(p) for f, p in zip(self.compound_prompt_projections, self.compound_prompts_text, strict=True)]
        return {"rows": self.proj(self.ctx), "deep": dict(enumerate(deep, start=1))}


@TRAINER_REGISTRY.register()
class MaPLe(CLIPTrainer):
    """Multi-modal Prompt Learning.

    "MaPLe: Multi-modal Prompt Learning", CVPR 2023, sections 3.2.1 to 3.2.3:

        text layer l:  [SOS, P_l, class ...]      image layer l:  [class token, patches ..., F_l(P_l)]      l < J

    Learned: the text prompts P and the couplings F. Frozen: all of CLIP. The loss is the cross-entropy of the labels.
    """

    CONFIG = {"N_CTX": 2, "CTX_INIT": "a photo of a", "PREC": "fp16", "PROMPT_DEPTH": 9}
    MODEL_NAME = "MultiModalPromptLearner"

    def build_prompt_learner(self, clip_model, text_encoder, classnames):
        cfg = self.settings
        return MultiModalPromptLearner(
            text_encoder,
            classnames,
            image_width=self.image_encoder.width,
            n_ctx=cfg.N_CTX,
            ctx_init=cfg.CTX_INIT,
            depth=cfg.PROMPT_DEPTH,
            dtype=self.precision.start_dtype,
        )

    def loss_terms(self, seen, label):
        return {"ce": F.cross_entropy(seen.logits, label)}
