"""DePT: a prompt learning method, and a second head for the classes of the training."""

import torch
import torch.nn.functional as F
from dassl.engine import TRAINER_REGISTRY

from clip_prompts.clip import CLIPTrainer
from clip_prompts.clip.class_head import ChannelScaling, OptionalClassHead
from clip_prompts.clip.learners import WrappedLearner, settle_context
from clip_prompts.common.errors import unknown
from trainers.cocoop import CoCoOp
from trainers.coop import CoOp
from trainers.kgcoop import KgCoOp
from trainers.maple import MaPLe

BASES = {"CoOp": CoOp, "CoCoOp": CoCoOp, "KgCoOp": KgCoOp, "MaPLe": MaPLe}


class DecoupledLearner(WrappedLearner):
    """The learner of the base method, and a head: scalings of text and image channels, and a linear layer (C rows)."""

    def __init__(self, base, width, classnames, weight, is_for_training_classes):
        super().__init__(base)
        self.film_lp_img, self.film_lp_text = ChannelScaling(width), ChannelScaling(width)
        self.linear_probe_proj = OptionalClassHead(width, classnames, is_for_training_classes)
        self.weight = weight

    @property
    def scores_are_logits(self):
        return not self.linear_probe_proj.fits

    def scores(self, seen):
        if self.scores_are_logits:
            return seen.logits
        h = self.linear_probe_proj(self.film_lp_img(seen.image_features))
        return (1 - self.weight) * seen.logits + self.weight * h


@TRAINER_REGISTRY.register()
class DePT(CLIPTrainer):
    """Decoupled Prompt Tuning.

    "DePT: Decoupled Prompt Tuning", CVPR 2024, equations 5 to 9, with f, t the features before normalization:

        f~ = a_i f + b_i    t~ = a_t t + b_t    h = H [.] + c
        loss = (1 - WEIGHT) CE(logits, y) + WEIGHT CE(h([t~_y; f~]), [y; y]) + what BASE adds to the cross-entropy

    A test on the classes of the training uses (1 - WEIGHT) logits + WEIGHT h(f~). Any other test uses the logits only.
    Learned: what the base method learns, and a, b, H and c at LR_EXP times its learning rate. Frozen: all of CLIP.
    """

    CONFIG = {
        "BASE": "CoOp", "WEIGHT": 0.7, "LR_EXP": 6.5, "PREC": "fp16", "N_CTX": 16, "CTX_INIT": "", "CSC": False,
        "CLASS_TOKEN_POSITION": "end", "W": 2.0, "PROMPT_DEPTH": 9,
    }  # fmt: skip

    LOSS_IS_MEAN = True  # counts only where prompts depend on the image: with CoCoOp as BASE

    @classmethod
    def settle_settings(cls, settings, node, given):
        if settings.BASE not in BASES:
            raise unknown(f"base method ({node}.BASE)", settings.BASE, BASES)
        if BASES[settings.BASE].WORDS_SET_LENGTH:
            settle_context(settings, node, given)

    @property
    def base(self):
        """Class of the base method. Its functions are called with this trainer, whose settings include its settings."""
        return BASES[self.settings.BASE]

    @property
    def MODEL_NAME(self):  # noqa: N802  (a constant of other methods)
        return "PromptLearner" if self.base.MODEL_NAME == "prompt_learner" else self.base.MODEL_NAME

    def build_prompt_learner(self, clip_model, text_encoder, classnames):
        base = self.base.build_prompt_learner(self, clip_model, text_encoder, classnames)
        classes, name = self.cfg.DATASET.SUBSAMPLE_CLASSES, self.cfg.DATASET.NAME
        is_for_training_classes = classes == "base" or (classes == "all" and "ImageNet" in name)
        width = text_encoder.text_projection.shape[1]
        return DecoupledLearner(base, width, classnames, self.settings.WEIGHT, is_for_training_classes)

    def parameter_groups(self):
        base = [p for p in self.learner.prompt_learner.parameters() if p.requires_grad]
        of_base = {id(p) for p in base}
        new = [p for p in self.learner.parameters() if id(p) not in of_base]
        return [{"params": base}, {"params": new, "lr": self.cfg.OPTIM.LR * self.settings.LR_EXP}]

    def loss_terms(self, seen, label):
        learner, weight = self.learner, self.settings.WEIGHT
        terms = self.base.loss_terms(self, seen, label)
        t, each = seen.text_features, torch.arange(len(label), device=label.device)
        own = t[label] if t.dim() == 2 else t[each, label]
        both = torch.cat([learner.film_lp_text(own), learner.film_lp_img(seen.image_features)])
        head = F.cross_entropy(learner.linear_probe_proj(both), label.repeat(2))
        return {**terms, "ce": (1 - weight) * terms["ce"], "head": weight * head}
