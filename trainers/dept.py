"""DePT: a second head for the classes it is trained on, next to a prompt learning method."""

import json

import torch
import torch.nn.functional as F
from dassl.engine import TRAINER_REGISTRY
from torch import Tensor, nn

from clip_prompts.clip import CLIPTrainer, Learner
from clip_prompts.clip.learners import settle_context
from clip_prompts.common.errors import unknown
from trainers.cocoop import CoCoOp
from trainers.coop import CoOp
from trainers.kgcoop import KgCoOp
from trainers.maple import MaPLe

BASES = {"CoOp": CoOp, "CoCoOp": CoCoOp, "KgCoOp": KgCoOp, "MaPLe": MaPLe}


class ChannelScaling(nn.Module):
    """a * f + b per channel of features (..., D); starts as the identity."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, f: Tensor) -> Tensor:
        return self.scale * f.float() + self.bias


class DecoupledLearner(Learner):
    """What the base method learns, and the head: channel scalings of both sides and one linear layer for C classes.

    Draws: the base method's; the linear layer's. Scores of a test are fused with the head's only on classes that the
    head was trained on; a checkpoint stores their names. Released checkpoints do not: ``is_for_training_classes`` then
    says whether this run's classes are those of the training.
    """

    def __init__(self, base: Learner, width: int, classnames, weight: float, is_for_training_classes: bool) -> None:
        super().__init__()
        self.prompt_learner = base
        self.film_lp_img, self.film_lp_text = ChannelScaling(width), ChannelScaling(width)
        self.linear_probe_proj = nn.Linear(width, len(classnames))
        self.classnames, self.weight, self.has_head = list(classnames), weight, True
        self.is_for_training_classes = is_for_training_classes
        self.register_buffer("classes", torch.tensor(list(json.dumps(self.classnames).encode()), dtype=torch.uint8))
        self.RELEASED_EXTRAS = rf"prompt_learner\.(?:{base.RELEASED_EXTRAS or '(?!)'})"
        self.is_conditional = base.is_conditional

    @property
    def prompts(self):
        return self.prompt_learner.prompts

    def text_inputs(self, x=None):
        return self.prompt_learner.text_inputs(x)

    def image_inputs(self):
        return self.prompt_learner.image_inputs()

    def head(self, features: Tensor) -> Tensor:
        """Scaled features (..., D) to logits (..., C)."""
        return self.linear_probe_proj(features)

    def scores(self, seen):
        if not self.has_head:
            return seen.logits
        return (1 - self.weight) * seen.logits + self.weight * self.head(self.film_lp_img(seen.image_features))

    def _load_from_state_dict(self, state_dict, prefix, *args):
        """Keep the head's rows of this run's classes; without them there is no head."""
        names = [prefix + name for name in ("linear_probe_proj.weight", "linear_probe_proj.bias", "classes")]
        weight, bias, classes = map(state_dict.get, names)
        if weight is not None and bias is not None:
            rows = self._rows(None if classes is None else json.loads(bytes(classes.tolist())), len(weight))
            self.has_head = rows is not None
            if rows is None:
                print("The head was trained on other classes: only the prompt classifies")
            own = (self.linear_probe_proj.weight, self.linear_probe_proj.bias)
            parts = own if rows is None else (weight[rows], bias[rows])
            state_dict.update(zip(names, (*parts, self.classes), strict=True))
        super()._load_from_state_dict(state_dict, prefix, *args)

    def _rows(self, trained: list[str] | None, count: int) -> list[int] | None:
        """Rows of this run's classes among the head's; None if it lacks one."""
        if trained is None:
            fits = self.is_for_training_classes and count == len(self.classnames)
            return list(range(count)) if fits else None
        if trained == self.classnames:
            return list(range(count))
        return [*map(trained.index, self.classnames)] if all(trained.count(n) == 1 for n in self.classnames) else None


@TRAINER_REGISTRY.register()
class DePT(CLIPTrainer):
    """Decoupled Prompt Tuning.

    "DePT: Decoupled Prompt Tuning", CVPR 2024, equations 5 to 9, with f, t the features before normalization:

        f~ = a_i f + b_i    t~ = a_t t + b_t    h = H [.] + c
        loss = (1 - WEIGHT) CE(logits, y) + WEIGHT CE(h([t~_y; f~]), [y; y]) + what BASE adds to the cross-entropy

    A test on the classes of the training takes (1 - WEIGHT) logits + WEIGHT h(f~), any other only the logits.
    Learned: what the base method learns; a, b, H and c at LR_EXP times its learning rate. Frozen: all of CLIP.
    """

    CONFIG = {
        "BASE": "CoOp", "WEIGHT": 0.7, "LR_EXP": 6.5, "PREC": "fp16", "N_CTX": 16, "CTX_INIT": "", "CSC": False,
        "CLASS_TOKEN_POSITION": "end", "W": 2.0, "PROMPT_DEPTH": 9,
    }  # fmt: skip

    @classmethod
    def settle_settings(cls, settings, node, given):
        if settings.BASE not in BASES:
            raise unknown(f"base method ({node}.BASE)", settings.BASE, BASES)
        if BASES[settings.BASE].WORDS_SET_LENGTH:
            settle_context(settings, node, given)

    @property
    def base(self):
        """Class of the base method. Its functions are called on this trainer, whose settings include its own."""
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
        logits = learner.head(torch.cat([learner.film_lp_text(own), learner.film_lp_img(seen.image_features)]))
        terms["ce"] = (1 - weight) * terms["ce"]
        return {**terms, "head": weight * F.cross_entropy(logits, label.repeat(2))}
