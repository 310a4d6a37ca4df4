"""DeepText: CoOp whose context vectors are replaced by new ones in the first layers of the text encoder."""

import torch
from dassl.engine import TRAINER_REGISTRY
from torch import nn

from clip_prompts.clip import PromptLearner
from trainers.coop import CoOp


class DeepPromptLearner(PromptLearner):
    """Learned: the context (M, d) and, for layers 1 to DEPTH - 1 of the text encoder, ``deep`` (M, d) each."""

    def __init__(self, text_encoder, classnames, n_ctx, depth):
        super().__init__(text_encoder, classnames, n_ctx=n_ctx)
        layers = (nn.Parameter(nn.init.normal_(torch.empty_like(self.ctx), std=0.02)) for _ in range(1, depth))
        self.deep = nn.ParameterList(layers)

    def text_inputs(self, x=None):
        return super().text_inputs() | {"deep": dict(enumerate(self.deep, start=1))}


@TRAINER_REGISTRY.register()
class DeepText(CoOp):
    """After "MaPLe: Multi-modal Prompt Learning", CVPR 2023, section 3.2.1: the language branch alone."""

    CONFIG = {"N_CTX": 4, "DEPTH": 3, "PREC": "fp32"}
    WORDS_SET_LENGTH = False

    def build_prompt_learner(self, clip_model, text_encoder, classnames):
        cfg = self.settings
        return DeepPromptLearner(text_encoder, classnames, cfg.N_CTX, cfg.DEPTH)
