"""IVLP: independent prompts in the layers of both encoders."""

import torch.nn.functional as F
from dassl.engine import TRAINER_REGISTRY

from clip_prompts.clip import CLIPTrainer
from clip_prompts.clip.deep_prompts import IndependentPromptLearner


@TRAINER_REGISTRY.register()
class IVLP(CLIPTrainer):
    """Independent Vision-Language Prompting, the baseline of MaPLe and PromptSRC.

    "MaPLe: Multi-modal Prompt Learning", CVPR 2023, section 4.2, and "Self-regulating Prompts: Foundational Model
    Adaptation without Forgetting", ICCV 2023, section 3.1:

        text layer l:  [SOS, P_l, class ...]      image layer l:  [class token, patches ..., V_l]

    Learned: the text prompts P and the image prompts V. Without image prompts (depth or number 0) it is deep language
    prompting. Frozen: all of CLIP. The loss is the cross-entropy of the labels.
    """

    CONFIG = {
        "N_CTX_VISION": 2, "N_CTX_TEXT": 2, "CTX_INIT": "a photo of a", "PREC": "fp16",
        "PROMPT_DEPTH_VISION": 9, "PROMPT_DEPTH_TEXT": 9,
    }  # fmt: skip
    MODEL_NAME = "VLPromptLearner"
    LEARNER = IndependentPromptLearner

    def build_prompt_learner(self, clip_model, text_encoder, classnames):
        cfg = self.settings
        return self.LEARNER(
            text_encoder,
            classnames,
            image_width=self.image_encoder.width,
            n_text=cfg.N_CTX_TEXT,
            n_image=cfg.N_CTX_VISION,
            text_depth=cfg.PROMPT_DEPTH_TEXT,
            image_depth=cfg.PROMPT_DEPTH_VISION,
            ctx_init=cfg.CTX_INIT,
            dtype=self.precision.start_dtype,
        )

    def loss_terms(self, seen, label):
        return {"ce": F.cross_entropy(seen.logits, label)}
