"""Facts about a CLIP that its weights do not tell: the number of attention heads, and the activation."""

from collections.abc import Mapping
from typing import NamedTuple

from clip.model import CLIP, QuickGELU, ResidualAttentionBlock
from torch import Tensor, nn

from clip_prompts.common.errors import UserError, unknown

_ACTIVATIONS = {"": QuickGELU, "quickgelu": QuickGELU, "gelu": nn.GELU}
# Widths that OpenAI released, all with width / 64 heads: image transformers, first stages of ResNets, text encoders.
_VISION_WIDTHS = (768, 1024)
_RESNET_WIDTHS = (64, 80, 96, 128)
_TEXT_WIDTHS = (512, 640, 768, 1024)
# Widths of test models. No published CLIP is so narrow, and clip.model.CLIP builds them by the same rule.
_NARROW = (64, 128)


class Structure(NamedTuple):
    """0 and "" are CLIP's own: width / 64 heads, QuickGELU."""

    heads: int = 0
    text_heads: int = 0
    activation: str = ""

    def check(self, weights: Mapping[str, Tensor], name: str) -> None:
        """Refuse weights of a width for which width / 64 heads is a guess, unless the number is given.

        OpenAI's models have heads of 64. Others of the same layout do not (ViT-H/14 has 16 heads of 80): all shapes
        match, and the features are wrong. So the rule is applied only to the widths that OpenAI released, and to the
        narrow ones of test models.

        Raises UserError: names the setting, and what CLIP's rule would give.
        """
        if "visual.proj" in weights:
            vision, divisor = "visual.conv1.weight", 64
            known: tuple[int, ...] = _VISION_WIDTHS
        else:  # the attention pool of a ResNet is 32 times as wide as its first stage
            vision, known, divisor = "visual.layer1.0.conv1.weight", _RESNET_WIDTHS, 2
        for encoder, setting, heads, key, widths, per_head in (
            ("image", "HEADS", self.heads, vision, known, divisor),
            ("text", "TEXT_HEADS", self.text_heads, "ln_final.weight", _TEXT_WIDTHS, 64),
        ):
            width = len(weights[key]) if key in weights and weights[key].dim() else 0
            if width and not heads and width not in (*widths, *_NARROW):
                raise UserError(
                    f"Backbone '{name}': its {encoder} encoder has width {width}, which is none of OpenAI's, and "
                    "weights do not tell the number of attention heads. Set "
                    f"MODEL.BACKBONE.{setting} as the model's card says ({width // per_head} by CLIP's rule), and "
                    "MODEL.BACKBONE.ACT gelu if it was trained with GELU"
                )

    def apply(self, model: CLIP, name: str) -> None:
        """Give a model these heads and this activation. Raises UserError if they do not fit."""
        if self.activation not in _ACTIVATIONS:
            raise unknown("activation (MODEL.BACKBONE.ACT)", self.activation, filter(None, _ACTIVATIONS))
        pool = getattr(model.visual, "attnpool", None)
        image = [pool] if pool is not None else [block.attn for block in model.visual.transformer.resblocks]
        text = [block.attn for block in model.transformer.resblocks]
        for setting, heads, attentions in (("HEADS", self.heads, image), ("TEXT_HEADS", self.text_heads, text)):
            for attention in attentions if heads else ():
                width = attention.embed_dim if pool is None or attention is not pool else pool.k_proj.in_features
                if heads < 1 or width % heads:
                    raise UserError(
                        f"MODEL.BACKBONE.{setting} is {heads}, but must divide {width}, the width of that encoder of "
                        f"'{name}'"
                    )
                attention.num_heads, attention.head_dim = heads, width // heads
        if self.activation == "gelu":
            for block in (module for module in model.modules() if isinstance(module, ResidualAttentionBlock)):
                block.mlp.gelu = nn.GELU()


def describe(model: CLIP) -> str:
    """Describe the structure that was found: layers, heads and activation."""
    pool, text = getattr(model.visual, "attnpool", None), model.transformer.resblocks
    if pool is not None:
        image = f"a ResNet with {pool.num_heads} heads in its pool"
    else:
        blocks = model.visual.transformer.resblocks
        image = f"a ViT of {len(blocks)} layers with {blocks[0].attn.num_heads} heads"
    activation = "GELU" if type(text[0].mlp.gelu) is nn.GELU else "QuickGELU"
    return f"{image}, text of {len(text)} layers with {text[0].attn.num_heads} heads, activation {activation}"


def architecture(model: CLIP) -> dict[str, object]:
    """The sizes of a CLIP and all else that its weights alone do not tell, as plain values (format ``clip-prompt``)."""
    visual, text = model.visual, model.transformer.resblocks
    pool = getattr(visual, "attnpool", None)
    if pool is None:
        blocks = visual.transformer.resblocks
        image = {
            "kind": "vit", "width": len(visual.class_embedding), "layers": len(blocks),
            "heads": blocks[0].attn.num_heads, "patch": visual.conv1.kernel_size[0],
        }  # fmt: skip
    else:
        stages = [len(getattr(visual, f"layer{i}")) for i in range(1, 5)]
        image = {"kind": "resnet", "width": visual.conv1.out_channels, "layers": stages, "heads": pool.num_heads}
    return {
        "embed_dim": visual.output_dim,
        "activation": "gelu" if type(text[0].mlp.gelu) is nn.GELU else "quickgelu",
        "image": {**image, "size": visual.input_resolution},
        "text": {
            "width": model.ln_final.normalized_shape[0], "layers": len(text), "heads": text[0].attn.num_heads,
            "context_length": len(model.positional_embedding), "vocab_size": model.vocab_size,
            "causal": True, "pool": "end-of-text", "pad_id": 0,
        },
    }  # fmt: skip
