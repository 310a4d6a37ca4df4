"""Prompts inside the layers of both encoders: what MaPLe, IVLP, VPT and PromptSRC share.

Text: at the input of layer l the rows at positions 1 to n are replaced. Image: n rows are appended to those of the
patches, and replaced at the input of layer l. A depth of J means prompts at layers 0 to J - 1.
"""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from .learners import PromptLearner
from .misfits import Layers
from .words import first_words

# Names in the checkpoints of the original repositories, which save the whole network.
RELEASED_NAMES = {
    r"prompt_learner\.(.+)": r"\1",
    r"text_encoder\.transformer\.resblocks\.(\d+)\.VPT_shallow": r"text_prompts.\1",
    r"image_encoder\.VPT": "image_prompts.0",
    r"image_encoder\.transformer\.resblocks\.(\d+)\.VPT_shallow": r"image_prompts.\1",
}

IMAGE_LAYERS = Layers("PROMPT_DEPTH_VISION", "N_CTX_VISION", portable="visual.{}.ctx")


def random_prompt(n: int, width: int) -> nn.Parameter:
    """n vectors (n, width) from a normal distribution with std 0.02, in float32."""
    return nn.Parameter(nn.init.normal_(torch.empty(n, width), std=0.02))


def random_prompts(layers: Iterable[int], n: int, width: int) -> nn.ParameterDict:
    """Layer to its prompt (n, width), drawn in the order of the layers."""
    return nn.ParameterDict({str(layer): random_prompt(n, width) for layer in layers})


def deep(prompts: Mapping[str, Tensor]) -> dict[int, Tensor]:
    """Prompts of layers 1 on as the argument ``deep`` of an encoder."""
    return {int(layer): prompt for layer, prompt in prompts.items() if layer != "0"}


def image_rows(prompts: Mapping[str, Tensor]) -> dict:
    """Prompts of layers 0 on as arguments of ``ImageEncoder``; nothing if there are none."""
    return {"rows": prompts["0"], "deep": deep(prompts)} if len(prompts) else {}


class IndependentPromptLearner(PromptLearner):
    """Learned: the context ``ctx`` (n_t, d), text prompts (n_t, d) and image prompts (n_v, v), all of their own.

    Draws: the context if it is random; text prompts of layers 1 on; image prompts of layers 0 on.

    Args:
        text_encoder, classnames, dtype: as of ``PromptLearner``. ctx_init: as of ``first_words``.
        image_width: v. n_text, n_image: n_t and n_v. text_depth, image_depth: J of both sides.

    Raises:
        UserError: fewer words than context vectors.
    """

    RELEASED_NAMES = RELEASED_NAMES
    LENGTH = "N_CTX_TEXT"
    LAYERS = {"text_prompts": Layers("PROMPT_DEPTH_TEXT", LENGTH, 1, 1, "text.{}.ctx"), "image_prompts": IMAGE_LAYERS}

    def __init__(
        self, text_encoder, classnames, image_width, n_text, n_image, text_depth, image_depth, ctx_init, dtype
    ) -> None:
        super().__init__(text_encoder, classnames, dtype=dtype, **first_words(text_encoder, ctx_init, n_text))
        self.text_prompts = random_prompts(range(1, text_depth), n_text, self.ctx.shape[-1])
        self.image_prompts = random_prompts(range(image_depth if n_image else 0), n_image, image_width)

    def text_inputs(self, x=None):
        return super().text_inputs() | {"deep": deep(self.text_prompts)}

    def image_inputs(self):
        return image_rows(self.image_prompts)
