"""ImageTokens: learned tokens next to the image patches; the text side is the hand-crafted prompt."""

import torch
import torch.nn.functional as F
from dassl.engine import TRAINER_REGISTRY
from torch import nn

from clip_prompts.clip import CLIPTrainer, Learner
from clip_prompts.clip.templates import fill, template_of
from clip_prompts.clip.tokens import tokenize
from clip_prompts.encoders.prompt_set import PromptSet


class ImageTokenLearner(Learner):
    """Learned: ``rows`` (n, v), appended to the patches of every image; v is the width of the vision transformer."""

    def __init__(self, prompts, n, width):
        super().__init__()
        self.prompts = prompts
        self.rows = nn.Parameter(nn.init.normal_(torch.empty(n, width), std=0.02))

    def image_inputs(self):
        return {"rows": self.rows}


@TRAINER_REGISTRY.register()
class ImageTokens(CLIPTrainer):
    """After "Visual Prompt Tuning", ECCV 2022, section 3.1 (shallow)."""

    CONFIG = {"N_TOKENS": 2, "PREC": "fp32"}

    def build_prompt_learner(self, clip_model, text_encoder, classnames):
        texts = fill(template_of(self.dm.dataset), classnames)
        prompts = PromptSet(tokenize(texts, classnames), text_encoder.embed)
        return ImageTokenLearner(prompts, self.settings.N_TOKENS, len(clip_model.visual.class_embedding))

    def loss_terms(self, seen, label):
        return {"ce": F.cross_entropy(seen.logits, label)}
