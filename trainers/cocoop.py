"""CoCoOp: the context of CoOp, plus a shift that a small network computes from the image."""

from collections import OrderedDict

import torch.nn.functional as F
from dassl.engine import TRAINER_REGISTRY
from torch import nn

from clip_prompts.clip import CLIPTrainer, PromptLearner


class ConditionalPromptLearner(PromptLearner):
    """The context of CoOp and the Meta-Net h: image feature (B, D) -> shift (B, d)."""

    is_conditional = True

    def __init__(self, text_encoder, classnames, image_width, n_ctx, ctx_init, dtype):
        super().__init__(text_encoder, classnames, n_ctx=n_ctx, ctx_init=ctx_init, dtype=dtype)
        hidden = image_width // 16
        self.meta_net = nn.Sequential(
            OrderedDict(
                linear1=nn.Linear(image_width, hidden),
                relu=nn.ReLU(),
                linear2=nn.Linear(hidden, self.ctx.shape[-1]),
            )
        )

    def text_inputs(self, x):
        """Return the contexts v_m(x) = v_m + h(x), (B, M, d), for unit image features x (B, D)."""
        return {"context": self.ctx + self.meta_net(x).unsqueeze(1)}


@TRAINER_REGISTRY.register()
class CoCoOp(CLIPTrainer):
    """Conditional Context Optimization.

    "Conditional Prompt Learning for Vision-Language Models", CVPR 2022, section 3.2:

        v_m(x) = v_m + h(x)    t_i(x) = [v_1(x) .. v_M(x), c_i]    p(y=i|x) = softmax_i(s * <f(x), g(t_i(x))>)

    Learned: the context v (M, d) and the Meta-Net h (Linear, ReLU, Linear; hidden width D / 16). Frozen: all of CLIP.
    The loss is the cross-entropy of the labels.
    """

    CONFIG = {"N_CTX": 16, "CTX_INIT": "", "PREC": "fp16"}
    WORDS_SET_LENGTH = True
    LOSS_IS_MEAN = True

    def build_prompt_learner(self, clip_model, text_encoder, classnames):
        cfg = self.settings
        return ConditionalPromptLearner(
            text_encoder,
            classnames,
            image_width=clip_model.visual.output_dim,
            n_ctx=cfg.N_CTX,
            ctx_init=cfg.CTX_INIT,
            dtype=self.precision.start_dtype,
        )

    def loss_terms(self, seen, label):
        return {"ce": F.cross_entropy(seen.logits, label)}
