"""CLIP's image encoder, which also takes learned rows and hooks as arguments."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from clip.model import ModifiedResNet, ResidualAttentionBlock, VisionTransformer
from torch import Tensor, nn

from clip_prompts.common.errors import UserError

from .blocks import NO_HOOK, BlockHook, check_layers, image_block

# Images encoded at once on a CPU if no gradient is needed: 8 of 224 x 224 pixels. Activations of more no longer fit the
# processor's cache, and fewer read all weights from memory too often (docs/performance.md).
PIXELS_AT_ONCE = 8 * 224**2
_NO_ROWS = (
    "{} does not accept learned image rows or hooks; only CLIP's vision transformers do. "
    "Choose a ViT as MODEL.BACKBONE.NAME"
)


class EncodedImages(NamedTuple):
    """Result of ``ImageEncoder.encode``."""

    features: Tensor  # (B, D), not normalized
    inserted: Tensor | None  # mean of the inserted rows after the last norm (B, v); None without inserted rows


class ImageEncoder(nn.Module):
    """Image encoder, f(x) in the papers: images to image features.

    The modules are CLIP's own and are not changed. The forward pass of a vision transformer is computed here, with the
    block functions of ``blocks.py``. A ResNet, or a transformer with blocks of another class, computes its own.
    Without rows and hooks, the result equals that of CLIP's own forward pass, up to rounding.

    Args:
        visual: the image encoder of a CLIP model.
    """

    visual: Any  # VisionTransformer or ModifiedResNet

    def __init__(self, visual: Any) -> None:
        super().__init__()
        self.visual = visual
        self.is_vit = type(visual) is VisionTransformer and all(
            type(block) is ResidualAttentionBlock for block in visual.transformer.resblocks
        )

    @property
    def dtype(self) -> torch.dtype:
        """Data type of the weights; images are cast to it."""
        return self.visual.conv1.weight.dtype

    @property
    def input_resolution(self) -> int:
        """Height and width of an image in pixels."""
        return self.visual.input_resolution

    @property
    def width(self) -> int:
        """Width v of a vision transformer's rows. Raises UserError for a ResNet, which has no rows."""
        if not hasattr(self.visual, "class_embedding"):
            raise UserError(_NO_ROWS.format(type(self.visual).__name__))
        return len(self.visual.class_embedding)

    @property
    def output_dim(self) -> int:
        """Width of the features, D."""
        return self.visual.output_dim

    @property
    def tokens(self) -> int:
        """Number of rows per image: patches and class token, or, for a ResNet, cells of the last map and their mean."""
        pooled = self.visual.attnpool if isinstance(self.visual, ModifiedResNet) else self.visual
        return len(pooled.positional_embedding)

    @property
    def images_at_once(self) -> int:
        """Number of images that a CPU encodes fastest at once, if no gradient is needed."""
        return max(1, PIXELS_AT_ONCE // self.input_resolution**2)

    @property
    def is_frozen(self) -> bool:
        """True if no weight of the encoder is trained."""
        return not any(p.requires_grad for p in self.parameters())

    def forward(self, image: Tensor, *given: Any, **named: Any) -> Tensor:
        """Encode images (B, 3, H, W) to features (B, D), not normalized. Takes the arguments of ``encode``."""
        return self.encode(image, *given, **named).features

    def encode(
        self,
        image: Tensor,
        rows: Tensor | None = None,
        deep: Mapping[int, Tensor] | None = None,
        inserted: Mapping[int, Tensor] | None = None,
        hooks: Mapping[int, BlockHook] | None = None,
    ) -> EncodedImages:
        """Encode images. Layers count from 0.

        On a CPU, images that need no gradient are encoded in chunks of ``images_at_once``. The result is the same up
        to rounding.

        Args:
            image: (B, 3, H, W).
            rows: (n, v), appended to each image's rows before the first norm.
            deep: dictionary from a layer (1 or later) to rows (n, v), which replace the appended rows at the input of
                this layer.
            inserted: dictionary from a layer to rows (K, v). The rows of the first of these layers are inserted behind
                the class token at its input, and the rows of a later layer replace them.
            hooks: dictionary from a layer to its hook.

        Returns:
            Features (B, D), not normalized, and the mean of the inserted rows.

        Raises:
            UserError: rows or hooks are given to a ResNet, or the encoder does not have one of these layers.
        """
        deep, inserted, hooks = deep or {}, inserted or {}, hooks or {}
        image = image.to(self.dtype)
        learned = [image, *([] if rows is None else [rows]), *deep.values(), *inserted.values()]
        size = self.images_at_once if self._is_chunked(image, learned, hooks) else image.shape[0]
        if image.shape[0] <= size:
            return self._encode(image, rows, deep, inserted, hooks)
        chunks = [self._encode(chunk, rows, deep, inserted, hooks) for chunk in image.split(size)]
        means = [chunk.inserted for chunk in chunks if chunk.inserted is not None]
        return EncodedImages(torch.cat([chunk.features for chunk in chunks]), torch.cat(means) if means else None)

    def _is_chunked(self, image, learned, hooks) -> bool:
        """True if chunks are faster and change nothing. A ResNet in training mode would normalize each by itself."""
        if image.device.type != "cpu" or torch.compiler.is_compiling() or (self.visual.training and not self.is_vit):
            return False
        if not torch.is_grad_enabled():
            return True
        return not hooks and not any(one.requires_grad for one in learned) and self.is_frozen

    def _encode(self, image, rows, deep, inserted, hooks) -> EncodedImages:
        if not self.is_vit:
            if rows is not None or deep or inserted or hooks:
                raise UserError(_NO_ROWS.format(type(self.visual).__name__))
            return EncodedImages(self.visual(image), None)
        visual, blocks = self.visual, self.visual.transformer.resblocks
        appended = 0 if rows is None else len(rows)
        added = len(inserted[min(inserted)]) if inserted else 0
        check_layers("image encoder", len(blocks), appended, deep, inserted, hooks)
        x = visual.conv1(image).flatten(2).transpose(1, 2)  # (B, patches, v)
        x = torch.cat([_per_image(visual.class_embedding.unsqueeze(0), x), x], dim=1)
        x = x + visual.positional_embedding.to(x.dtype)
        if rows is not None:
            x = torch.cat([x, _per_image(rows, x)], dim=1)
        x = visual.ln_pre(x)
        for layer, block in enumerate(blocks):
            if layer in deep:  # the previous layer has dropped the rows that are replaced
                x = torch.cat([x, _per_image(deep[layer], x)], dim=1)
            if layer in inserted:
                behind = 1 if layer == min(inserted) else 1 + added
                x = torch.cat([x[:, :1], _per_image(inserted[layer], x), x[:, behind:]], dim=1)
            read = x.shape[1] - appended if layer + 1 in deep else None
            if layer == len(blocks) - 1:
                read = 1 + added  # the class token and the inserted rows
            x = image_block(block, x, hooks.get(layer, NO_HOOK), read)
        x = visual.ln_post(x)
        features = x[:, 0] if visual.proj is None else x[:, 0] @ visual.proj
        return EncodedImages(features, x[:, 1:].mean(dim=1) if added else None)


def _per_image(rows: Tensor, x: Tensor) -> Tensor:
    """Repeat rows (n, v) for each image of x (B, L, v), in the data type of x: (B, n, v)."""
    return rows.to(x.dtype).expand(x.shape[0], -1, -1)
