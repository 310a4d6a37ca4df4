"""CoCoOp: CoOp's context, shifted by what a small network sees in the image."""

from collections import OrderedDict

import torch
from dassl.engine import TRAINER_REGISTRY
from torch import nn

from clip_prompts.clip.learners import PromptLearner
from clip_prompts.clip.model import PromptedCLIP, unit
from clip_prompts.clip.trainer import PromptTrainer


class ConditionalPromptLearner(PromptLearner):
    """The context of CoOp and the Meta-Net h: image feature (B, D) -> shift (B, d)."""

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

    def conditional_contexts(self, x):
        """v_m(x) = v_m + h(x): unit image features (B, D) to contexts (B, M, d)."""
        return self.ctx + self.meta_net(x).unsqueeze(1)


class ConditionalPromptedCLIP(PromptedCLIP):
    """CLIP whose prompts depend on the image: every image has its own C text features."""

    def forward(self, image):
        x, encoder, prompts = self.image_features(image), self.text_encoder, self.prompt_learner.prompts
        contexts, logits = self.prompt_learner.conditional_contexts(x), []
        # With gradients, all at once: the encoder itself keeps to its budget.
        size = len(x) if torch.is_grad_enabled() else encoder.contexts_at_once(prompts)
        for x_i, ctx in zip(x.split(size), contexts.split(size), strict=True):
            w = unit(encoder(prompts, ctx))  # (B, C, D)
            logits.append(self.logits(x_i, w))
        return torch.cat(logits)


@TRAINER_REGISTRY.register()
class CoCoOp(PromptTrainer):
    """Conditional Context Optimization.

    "Conditional Prompt Learning for Vision-Language Models", CVPR 2022, section 3.2:

        v_m(x) = v_m + h(x)    t_i(x) = [v_1(x) .. v_M(x), c_i]    p(y=i|x) = softmax_i(s * <f(x), g(t_i(x))>)

    Learned: the context v (M, d) and the Meta-Net h (Linear, ReLU, Linear; hidden width D / 16). Frozen: all of CLIP.
    """

    CONFIG = {"N_CTX": 16, "CTX_INIT": "", "PREC": "fp16"}
    MODEL = ConditionalPromptedCLIP

    WORDS_SET_LENGTH = True

    def build_prompt_learner(self, clip_model, text_encoder, classnames):
        own = self.settings
        return ConditionalPromptLearner(
            text_encoder,
            classnames,
            image_width=clip_model.visual.output_dim,
            n_ctx=own.N_CTX,
            ctx_init=own.CTX_INIT,
            dtype=self.precision.start_dtype,
        )
