"""Reasons why a checkpoint does not fit a run, each with the next step."""

from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor, nn

from clip_prompts.common.errors import UserError
from clip_prompts.common.text import one_line

# Buffers that upstream's checkpoints carry next to what was learned; they belong to the classes, not to the prompt.
FIXED_BUFFERS = ("token_prefix", "token_suffix")
OTHER_CLASSES = (
    "The checkpoint's class-specific context (CSC) was learned for other classes than this run's; "
    "evaluate it on its own classes, or learn a shared context (CSC False)"
)
_AS_LEARNED = "Evaluate it with the trainer, backbone and settings that learned it"


class Layers(NamedTuple):
    """A list of prompts, one per layer: the settings that give its sizes, and its names in shared prompts."""

    depth: str  # setting: number of layers with prompts
    length: str  # setting: vectors of a prompt
    first: int = 0  # layer of the first prompt in the list
    number: int = 0  # number of the first prompt in the list
    portable: str = ""  # name in the format clip-prompt, with {} for the layer; "": as it is


def misfit(weights: Mapping[str, object], model: nn.Module) -> str:
    """Explain why ``model`` cannot load some weights; "" if their names and sizes are the model's."""
    own, layers = model.state_dict(), getattr(model, "LAYERS", {})
    parameters = [name for name, _ in model.named_parameters()]
    missing = [name for name in parameters if name not in weights]
    others = [name for name in weights if name not in own and name.split(".")[-1] not in FIXED_BUFFERS]

    def in_layers(name: str) -> bool:
        return name.startswith(tuple(f"{key}." for key in layers))

    if all(map(in_layers, missing + others)) and (reasons := _misfit_of_layers(weights, own, layers)):
        return "; ".join(reasons)
    if missing or others:
        parts = [f"it lacks {_named(missing)}"] * bool(missing)
        parts += [f"it holds {_named(others)}, not learned here"] * bool(others)
        return f"It is of another method or other settings: {', and '.join(parts)}. {_AS_LEARNED}"
    for name in parameters:
        there, here = getattr(weights[name], "shape", None), own[name].shape
        if there != here:
            size = "no tensor" if there is None else tuple(there)
            return f"'{name}' is {size} there, and {tuple(here)} in this run. {_AS_LEARNED}"
    return ""


def _misfit_of_layers(weights: Mapping, own: Mapping, layers: Mapping[str, Layers]) -> list[str]:
    """Reasons why lists of prompts do not fit, each with the setting that makes them fit; [] if one has gaps."""
    reasons: dict[str, str] = {}
    depths: dict[str, int] = {}
    for key, names in layers.items():
        there, here = (
            {n[len(key) + 1 :]: v for n, v in of.items() if n.startswith(f"{key}.")} for of in (weights, own)
        )
        numbers, own_numbers = ({name.split(".")[0] for name in of} for of in (there, here))
        depth, own_depth = len(numbers) + names.first, len(own_numbers) + names.first
        whole = numbers == {str(names.number + i) for i in range(len(numbers))}
        if not whole or depths.setdefault(names.depth, depth) != depth:
            return []
        counts = [(names.depth, "layers", depth, own_depth)]
        sizes, own_sizes = (
            [tuple(getattr(v, "shape", ())) for name, v in of.items() if name.isdigit()] for of in (there, here)
        )
        if sizes and own_sizes and len(sizes[0]) == len(own_sizes[0]) == 2:
            (n, width), (own_n, own_width) = sizes[0], own_sizes[0]
            if width != own_width:
                widths = f"width {width}, this run's {own_width}"
                return [f"Its prompts '{key}' have {widths}: use the backbone that they were learned with"]
            counts.append((names.length, "vectors a layer", n, own_n))
        for setting, of, n, own_n in counts:
            if n != own_n:
                said = f"It holds prompts of {n} {of} ('{key}'), this run has {own_n}: set {setting} {n}"
                reasons.setdefault(setting, said)
    return list(reasons.values())


def _named(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return one_line(", ".join(f"'{name}'" for name in names[:3]), 200) + more


def check_context(stored: Tensor | None, ctx: Tensor, length: str = "N_CTX") -> None:
    """Check a checkpoint's context against this run's ``ctx``, (M, d) or (C, M, d); length: the setting of M.

    Raises:
        UserError: there is none, or it has another width, kind (shared, class-specific) or number of vectors.
    """
    if stored is None:
        raise UserError(
            "The checkpoint holds no context vectors ('ctx'): it does not come from a learned prompt. Give another "
            "checkpoint"
        )
    if stored.shape[-1] != ctx.shape[-1]:
        raise UserError(
            f"The checkpoint's context vectors have width {stored.shape[-1]}, this backbone's text width is "
            f"{ctx.shape[-1]}: use the backbone that the prompt was learned with"
        )
    if stored.dim() != ctx.dim():
        kinds = {2: "shared by all classes", 3: "class-specific"}
        raise UserError(
            f"The checkpoint's context is {kinds.get(stored.dim(), 'malformed')}, this run's is {kinds[ctx.dim()]}: "
            "set CSC as in the run that learned it"
        )
    if stored.shape[-2] != ctx.shape[-2]:
        raise UserError(
            f"The checkpoint holds {stored.shape[-2]} context vectors, this run has {ctx.shape[-2]}: "
            f"set {length} {stored.shape[-2]}, and CTX_INIT as in the run that learned them"
        )
    if stored.dim() == 3 and len(stored) != len(ctx):
        raise UserError(f"{OTHER_CLASSES} ({len(stored)} classes there, {len(ctx)} here)")
