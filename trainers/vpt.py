"""VPT: learned prompts in the layers of the image encoder; the text is fixed."""

import torch.nn.functional as F
from dassl.engine import TRAINER_REGISTRY

from clip_prompts.clip import CLIPTrainer, Learner
from clip_prompts.clip.deep_prompts import IMAGE_LAYERS, RELEASED_NAMES, image_rows, random_prompts
from clip_prompts.clip.templates import DEFAULT, fill
from clip_prompts.clip.tokens import tokenize
from clip_prompts.encoders.prompt_set import PromptSet


class ImagePromptLearner(Learner):
    """Image prompts V_l (n, v) for layers 0 to J - 1. Draws them in this order."""

    RELEASED_NAMES = RELEASED_NAMES
    LAYERS = {"image_prompts": IMAGE_LAYERS}

    def __init__(self, prompts, n, depth, width):
        super().__init__()
        self.prompts = prompts
        self.image_prompts = random_prompts(range(depth), n, width)

    def image_inputs(self):
        return image_rows(self.image_prompts)


@TRAINER_REGISTRY.register()
class VPT(CLIPTrainer):
    """Deep visual prompt tuning of CLIP.

    "Visual Prompt Tuning", ECCV 2022, section 3.2, as in "MaPLe: Multi-modal Prompt Learning", CVPR 2023:

        image layer l:  [class token, patches ..., V_l]      text: "a photo of a CLASS.", for every dataset

    Learned: the image prompts V. Frozen: all of CLIP. The loss is the cross-entropy of the labels.
    """

    CONFIG = {"N_CTX_VISION": 8, "CTX_INIT": "a photo of a", "PREC": "fp16", "PROMPT_DEPTH_VISION": 12}

    def build_prompt_learner(self, clip_model, text_encoder, classnames):
        cfg = self.settings
        prompts = PromptSet(tokenize(fill(DEFAULT, classnames), classnames), text_encoder.embed)
        return ImagePromptLearner(prompts, cfg.N_CTX_VISION, cfg.PROMPT_DEPTH_VISION, self.image_encoder.width)

    def loss_terms(self, seen, label):
        return {"ce": F.cross_entropy(seen.logits, label)}
