"""Checkpoints of learned prompts: their weights among wrappers, prefixes and the weights of CLIP."""

import re
from collections.abc import Mapping

import torch
from dassl.utils import load_checkpoint
from torch import Tensor, nn

from clip_prompts.backbones.state_dicts import WRAPPERS
from clip_prompts.common.errors import UserError
from clip_prompts.common.text import one_line

from .misfits import misfit

# CLIP itself in checkpoints that hold a whole network, under the names of its copies. A name that CLIP does not have is
# another method's, and is not ignored.
_BLOCK = r"\d+\.(?:attn\.(?:in_proj_weight|in_proj_bias|out_proj\.weight|out_proj\.bias)|(?:ln_1|ln_2|mlp)\..+)"
_NETWORK = re.compile(
    r"(?:(?:(?:prompt_learner\.)?(?:ZS_)?image_encoder|clip_model|visual)\.)+"
    r"(?:class_embedding|positional_embedding|proj|(?:conv\d|bn\d|ln_pre|ln_post|layer\d|attnpool)\..+"
    rf"|transformer\.resblocks\.{_BLOCK})"
    r"|(?:(?:text_encoder|clip_model)\.)*"
    r"(?:positional_embedding|text_projection|logit_scale|(?:ln_final|token_embedding)\..+"
    rf"|(?:transformer\.resblocks|blocks)\.{_BLOCK})"
)
_PREFIX = re.compile(r"(?:(?:module|prompt_learner|model|_orig_mod)\.)*")
_OF_EVERY_NAME = ("module.", "model.", "_orig_mod.")


def learned_weights(checkpoint: object, model: nn.Module) -> dict[str, Tensor]:
    """The state dict for ``model`` in the content of a checkpoint, without CLIP's own weights.

    The tensors may be under ``state_dict`` or another wrapper, or be the file's whole content (a bare tensor is the
    context), and their names may start with any of ``_PREFIX``, in any combination. Names that the model lacks stay;
    they are an error of ``load_state_dict``.

    Raises:
        UserError: there are no tensors by name, they can be read in several ways, or values are no finite real
            numbers.
    """
    if isinstance(checkpoint, Tensor):
        checkpoint = {"ctx": checkpoint}
    if not isinstance(checkpoint, Mapping):
        raise UserError("It holds no tensors by name. Save the learned weights: torch.save(model.state_dict(), FILE)")
    wrappers = [key for key in WRAPPERS if isinstance(checkpoint.get(key), Mapping)]
    if len(wrappers) > 1:
        raise UserError(f"It holds several state dicts ({', '.join(wrappers)}). Save one of them alone")
    content = checkpoint[wrappers[0]] if wrappers else checkpoint
    named = _without_the_network({key: value for key, value in content.items() if isinstance(key, str)}, model)
    own = model.state_dict().keys()
    fitting = sorted({m[0] for key in named if (m := _PREFIX.match(key)) and key.removeprefix(m[0]) in own})
    if any(key in own for key in named):  # names of the model itself may start like a prefix
        fitting = sorted({"", *(prefix for prefix in fitting if prefix + _first(own) in named)})
    if len(fitting) > 1:
        shown = ", ".join(f"'{prefix}'" for prefix in fitting)
        raise UserError(f"Its weights can be read in several ways, with the prefixes {shown}. Save one of them alone")
    prefix = fitting[0] if fitting else ""
    weights = {key.removeprefix(prefix): value for key, value in named.items()}
    check_values(weights, model)
    return weights


def _without_the_network(named: dict, model: nn.Module) -> dict:
    """The weights of a released checkpoint under the model's own names, without what is not learned."""
    own = model.state_dict().keys()
    for prefix in _OF_EVERY_NAME * 2:
        if named and all(key.startswith(prefix) and key not in own for key in named):
            named = {key.removeprefix(prefix): value for key, value in named.items()}
    extras = [re.compile(pattern) for pattern in getattr(model, "RELEASED_EXTRAS", ())]
    if not all(any(map(pattern.fullmatch, named)) for pattern in extras):
        extras = []
    kept, ignored = {}, []
    for key, value in named.items():
        for pattern, name in getattr(model, "RELEASED_NAMES", {}).items():
            if found := re.fullmatch(pattern, key):
                key = found.expand(name)
                break
        if key not in own and any(pattern.fullmatch(key) for pattern in (_NETWORK, *extras)):
            ignored.append(key)
        else:
            kept[key] = value
    if ignored:
        print(
            f"Ignored {len(ignored)} tensors of the checkpoint that are not learned: {one_line(', '.join(ignored), 80)}"
        )
    return kept


def _first(names) -> str:
    return next(iter(names), "")


def check_values(weights: Mapping[str, object], model: nn.Module) -> None:
    """Raise UserError if a tensor for a parameter of ``model`` is complex, or not finite."""
    for name, _ in model.named_parameters():
        value = weights.get(name)
        if not isinstance(value, Tensor):
            continue
        if value.is_complex() or not value.is_floating_point():
            raise UserError(f"'{one_line(name, 80)}' holds numbers of type {value.dtype}, not real ones")
        if not torch.isfinite(value).all():
            raise UserError(
                f"'{one_line(name, 80)}' holds values that are not finite (NaN or infinite): its training failed, or "
                "the file is damaged. Load another epoch, or train again with a lower OPTIM.LR"
            )


def load_initial(model: nn.Module, checkpoint: object, path: str) -> None:
    """Load what fits by name and size into ``model``; the rest keeps its start.

    Raises:
        UserError: nothing fits, or values are no finite real numbers.
    """
    try:
        weights, own = learned_weights(checkpoint, model), model.state_dict()
        fitting = {k: v for k, v in weights.items() if k in own and isinstance(v, Tensor) and v.shape == own[k].shape}
        if not fitting:
            sizes = ", ".join(f"{key} {tuple(value.shape)}" for key, value in list(own.items())[:4])
            raise UserError(f"None of its weights fits by name and size; the model has {sizes}")
        model.load_state_dict(own | fitting)
    except UserError as error:
        raise UserError(f"MODEL.INIT_WEIGHTS '{path}' cannot be used. {error}") from error
    rest = sorted({*own, *weights} - {*fitting})
    note = f" (not used, or not in it: {', '.join(rest)})" if rest else ""
    print(f"Start from {path}: {', '.join(fitting)}{note}")


def load_learned(model: nn.Module, name: str, path: str, checkpoint: object = None) -> None:
    """Load the checkpoint at ``path`` into the registered model ``name``.

    Args:
        checkpoint: content of the file, if it has been read already.

    Raises:
        UserError: the checkpoint does not fit the model.
    """
    checkpoint = load_checkpoint(path) if checkpoint is None else checkpoint
    weights: dict[str, Tensor] = {}
    try:
        weights = learned_weights(checkpoint, model)
        model.load_state_dict(weights)
        stored = checkpoint.get("epoch", "not stored") if isinstance(checkpoint, dict) else "not stored"
        print(f'Loading weights to {name} from "{path}" (epoch = {stored})')
    except UserError as error:
        raise UserError(f"Checkpoint '{path}' does not fit this run. {error}") from error
    except Exception as error:  # a file may hold anything in the place of tensors by name
        reason = (weights and misfit(weights, model)) or (str(error) or type(error).__name__).splitlines()[-1].strip()
        raise UserError(f"Checkpoint '{path}' does not fit this run. {reason}") from error
