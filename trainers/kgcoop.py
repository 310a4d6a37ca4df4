"""KgCoOp: CoOp with text features that are kept close to those of the hand-crafted prompt."""

import torch.nn.functional as F
from dassl.engine import TRAINER_REGISTRY

from clip_prompts.clip import CLIPTrainer, PromptLearner, unit

TEMPLATES = {"DescribableTextures": "a photo of a {}, a type of texture."}  # all other datasets: their own


@TRAINER_REGISTRY.register()
class KgCoOp(CLIPTrainer):
    """Knowledge-guided Context Optimization.

    "Visual-Language Prompt Tuning with Knowledge-guided Context Optimization", CVPR 2023, equations 5 and 6:

        loss = cross-entropy + W (1 - mean_c cos(w_c, w0_c))

    w0_c: text feature of the hand-crafted prompt (for unit vectors 1 - cos is half the paper's squared distance).
    Learned: the context (M, d), shared by all classes. Frozen: all of CLIP.
    """

    CONFIG = {"N_CTX": 4, "CSC": False, "CTX_INIT": "a photo of a", "PREC": "fp16", "W": 8.0}
    WORDS_SET_LENGTH = True

    def build_prompt_learner(self, clip_model, text_encoder, classnames):
        cfg = self.settings
        learner = ContextLearner(
            text_encoder,
            classnames,
            n_ctx=cfg.N_CTX,
            ctx_init=cfg.CTX_INIT,
            class_specific=cfg.CSC,
            dtype=self.precision.start_dtype,
        )
        self.w0 = unit(self.teacher.text_features(self.template(TEMPLATES), classnames))
        return learner

    def loss_terms(self, seen, label):
        distance = 1 - (seen.w * self.w0).sum(dim=-1).mean()
        return {"ce": F.cross_entropy(seen.logits, label), "kg": self.settings.W * distance}


class ContextLearner(PromptLearner):
    """The context of CoOp. The original's checkpoints also hold layers that it never uses."""

    RELEASED_EXTRAS = ("bias_vectors", r"meta_net\..+")
