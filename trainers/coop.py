"""CoOp: learned vectors replace the words around the class name."""

import torch.nn.functional as F
from dassl.engine import TRAINER_REGISTRY

from clip_prompts.clip import CLIPTrainer, PromptLearner
from clip_prompts.clip.legacy import load_clip_to_cpu  # noqa: F401  (CoOp's descendants import it from here)


@TRAINER_REGISTRY.register()
class CoOp(CLIPTrainer):
    """Context Optimization.

    "Learning to Prompt for Vision-Language Models", IJCV 2022, section 3.2:

        t_i = [v_1 .. v_M, c_i]          p(y=i|x) = softmax_i(s * <f(x), g(t_i)>)

    Learned: the context v, (M, d), or (C, M, d) when class-specific. Frozen: all of CLIP (f, g, s, c).
    The loss is the cross-entropy of the labels.
    """

    CONFIG = {"N_CTX": 16, "CSC": False, "CTX_INIT": "", "PREC": "fp16", "CLASS_TOKEN_POSITION": "end"}
    WORDS_SET_LENGTH = True

    def build_prompt_learner(self, clip_model, text_encoder, classnames):
        cfg = self.settings
        return PromptLearner(
            text_encoder,
            classnames,
            n_ctx=cfg.N_CTX,
            ctx_init=cfg.CTX_INIT,
            class_specific=cfg.CSC,
            position=cfg.CLASS_TOKEN_POSITION,
            dtype=self.precision.start_dtype,
        )

    def loss_terms(self, seen, label):
        return {"ce": F.cross_entropy(seen.logits, label)}
