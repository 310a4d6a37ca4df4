"""TCP: a shared context at the input, and prompts in a later layer, computed from each class's text feature."""

from collections import OrderedDict

import torch.nn.functional as F
from clip.model import QuickGELU
from dassl.engine import TRAINER_REGISTRY
from torch import nn

from clip_prompts.clip import CLIPTrainer, PromptLearner, unit
from clip_prompts.clip.tokens import tokens_of

N_CTX = 4  # the prompts below have four places in front of the class name
TEMPLATES = {  # of the hand-crafted prompt; all other datasets: their own
    "FGVCAircraft": "a photo of an aircraft {}.",
    "DescribableTextures": "a photo of a {}, a type of texture.",
    "Food101": "a photo of a {}, a type of food.",
}
BEHIND_CONTEXT = {  # the class name and what is behind it; all other datasets: "{}."
    "OxfordPets": "{}, a type of pet.",
    "OxfordFlowers": "{}, a type of flower.",
    "FGVCAircraft": "{}, a type of aircraft.",
    "DescribableTextures": "{} texture.",
    "StanfordCars": "{}, a type of car",
    "Food101": "{}, a type of food.",
}
BEFORE_NAME = {"UCF101": "person doing"}  # "a photo of a person doing CLASS.": the context stands for four words


class ClassAwarePromptLearner(PromptLearner):
    """The context (4, d), and the textual knowledge embedding: class features z (C, D) to class prompts (C, 4, d).

    Draws: the context if it is random; both linear layers.
    """

    def __init__(self, text_encoder, classnames, z, layer, **context):
        super().__init__(text_encoder, classnames, **context)
        joint, width = z.shape[1], self.ctx.shape[-1]
        self.meta_net = nn.Sequential(
            OrderedDict(
                linear1=nn.Linear(joint, joint // 4), relu=QuickGELU(), linear2=nn.Linear(joint // 4, N_CTX * width)
            )
        )
        self.layer = layer
        self.register_buffer("z", z, persistent=False)

    def text_inputs(self, x=None):
        prompts = self.meta_net(self.z).unflatten(1, (N_CTX, -1))
        return super().text_inputs() | {"deep": {self.layer: prompts}}


@TRAINER_REGISTRY.register()
class TCP(CLIPTrainer):
    """Textual-based Class-aware Prompt tuning.

    "TCP: Textual-based Class-aware Prompt tuning for Visual-Language Model", CVPR 2024, section 3.2:

        T_c = h(z_c)     [SOS, T_c, class c ...] at the input of text layer LAYER
        loss = cross-entropy + W (1 - mean_c cos(w_c, z_c))

    z_c: text feature of the hand-crafted prompt. Learned: the context (4, d) of layer 0, and h (Linear, QuickGELU,
    Linear; hidden width D / 4). Frozen: all of CLIP.
    """

    CONFIG = {"N_CTX": N_CTX, "CTX_INIT": "", "PREC": "fp16", "W": 8.0, "LAYER": 8}
    WORDS_SET_LENGTH = True

    def build_prompt_learner(self, clip_model, text_encoder, classnames):
        cfg, name = self.settings, self.cfg.DATASET.NAME
        z = unit(self.teacher.text_features(self.template(TEMPLATES), classnames))
        return ClassAwarePromptLearner(
            text_encoder,
            classnames,
            z,
            cfg.LAYER,
            n_ctx=cfg.N_CTX,
            ctx_init=cfg.CTX_INIT,
            dtype=self.precision.start_dtype,
            before_name=tokens_of(BEFORE_NAME.get(name, "")),
            template=BEHIND_CONTEXT.get(name, "{}."),
        )

    def loss_terms(self, seen, label):
        distance = 1 - (seen.w * self.learner.z).sum(dim=-1).mean()
        return {"ce": F.cross_entropy(seen.logits, label), "kg": self.settings.W * distance}
