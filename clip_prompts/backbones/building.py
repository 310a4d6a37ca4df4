"""A CLIP from a state dict, with little memory: weights are moved into the model one by one."""

from collections.abc import Callable

import torch
from clip.model import CLIP, ModifiedResNet, build_model
from torch import Tensor

from clip_prompts.common.errors import UserError
from clip_prompts.common.text import one_line

_AT_ONCE = 2**22  # numbers that are copied at once


def build(
    weights: dict[str, Tensor], name: str, half: bool = True, free: Callable[[Tensor], None] | None = None
) -> CLIP:
    """Build a CLIP in evaluation mode on the CPU, in OpenAI's precision: half, except for norms and embeddings.

    OpenAI's constructor draws random weights in float32. Then the given weights take their places one by one.

    Args:
        weights: by OpenAI's names. Empty afterwards, so that each can be freed as soon as it has been copied.
        name: of the backbone, for messages.
        half: False rounds to half precision where OpenAI does, and stores float32.
        free: called with every tensor, or part of one, that has been copied.

    Raises UserError: the weights do not fit together, or are not finite, in the file or in half precision.
    """
    try:
        with torch.device("meta"):  # without memory: sizes that do not belong together may ask for any amount of it
            plan = build_model({key: value.to("meta") for key, value in weights.items()})
        model = _random(plan)
    except Exception as error:  # the structure is told by the sizes of the weights, and these may say anything
        reason = (str(error) or type(error).__name__).splitlines()[-1].strip()
        raise UserError(
            f"Backbone '{name}' is not a CLIP checkpoint that fits together: {one_line(reason, 400)} Save the whole "
            "state dict of a CLIP model, and nothing else"
        ) from error
    places = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    for key, planned in plan.state_dict().items():
        given, place = weights.pop(key).reshape(planned.shape), places[key]
        if half:
            place.data = torch.empty_like(planned, device="cpu")
        for part, its_place in zip(_pieces(given), _pieces(place.data), strict=True):
            rounded = part.to(planned.dtype)
            _check_finite(rounded, part, key, name)
            its_place.copy_(rounded)
            if free is not None:
                free(part)
    weights.clear()  # of numbers next to the weights
    return model.eval()


def _random(plan: CLIP) -> CLIP:
    """Return a CLIP of the same sizes on the CPU, in float32, as OpenAI's constructor draws it."""
    visual, text = plan.visual, plan.transformer
    if isinstance(visual, ModifiedResNet):
        stages = (visual.layer1, visual.layer2, visual.layer3, visual.layer4)
        image = tuple(map(len, stages)), visual.layer1[0].conv1.out_channels, None
    else:
        image = visual.transformer.layers, visual.conv1.out_channels, visual.conv1.kernel_size[0]
    heads = text.resblocks[0].attn.num_heads
    words = plan.context_length, plan.vocab_size, text.width, heads, text.layers
    return CLIP(visual.output_dim, visual.input_resolution, *image, *words)


def _pieces(weight: Tensor) -> tuple[Tensor, ...]:
    """Split a weight into some groups of rows, if it is large (the token embedding has 100 MB)."""
    return weight.chunk(max(1, weight.numel() // _AT_ONCE)) if weight.dim() else (weight,)


def _check_finite(rounded: Tensor, given: Tensor, key: str, name: str) -> None:
    if _is_finite(rounded):
        return
    if _is_finite(given):
        raise UserError(
            f"Backbone '{name}': '{key}' holds values that are too large for half precision, which CLIP stores"
        )
    raise UserError(
        f"Backbone '{name}': '{key}' holds values that are not finite (NaN or infinite). The file is damaged, or its "
        "training failed; use another one"
    )


def _is_finite(values: Tensor) -> bool:
    """False if one of the values is infinite or NaN. Many times faster than ``torch.isfinite``."""
    if not (values.is_floating_point() and values.numel()):
        return True
    lowest, highest = values.aminmax()  # NaN if there is one
    return bool(lowest > -torch.inf and highest < torch.inf)
