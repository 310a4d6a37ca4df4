"""Learners: modules that hold what a method learns and hand it to CLIP's encoders."""

import hashlib
from collections.abc import Collection, Sequence

import torch
from torch import Tensor, nn
from yacs.config import CfgNode

from clip_prompts.common.errors import UserError
from clip_prompts.encoders.prompt_set import PromptSet
from clip_prompts.encoders.text_encoder import TextEncoder

from .misfits import FIXED_BUFFERS, OTHER_CLASSES, Layers, check_context
from .tokens import MAX_CONTEXT, context_tokens, name_tokens, place_context, prompt_of, tokens_of


class Learner(nn.Module):
    """Holds what a method learns, and hands it to CLIP's encoders. This base class learns and hands over nothing.

    All trainable parameters are saved. While ``image_inputs`` is empty, the features of an image cannot change, so the
    trainer caches them or encodes several batches at once.

    Attributes:
        prompts (PromptSet): one prompt per class.
        is_conditional: True if ``text_inputs`` needs the image features.
        RELEASED_NAMES: regular expression of a name in the original program's checkpoints -> our name.
        RELEASED_EXTRAS: regular expressions of unused names there; ignored if all of them occur.
        LAYERS: names of lists of prompts, and their settings.
        PORTABLE_NAMES: regular expression of a name -> name in the format of shared prompts.
    """

    prompts: PromptSet
    is_conditional = False
    RELEASED_NAMES: dict[str, str] = {}
    RELEASED_EXTRAS: tuple[str, ...] = ()
    LAYERS: dict[str, Layers] = {}
    PORTABLE_NAMES: dict[str, str] = {}

    def text_inputs(self, x: Tensor | None = None) -> dict:
        """Return keyword arguments of ``TextEncoder``: any of ``context``, ``deep``, ``inserted``, ``hooks``.

        Args:
            x: unit image features (B, D); given only if ``is_conditional``.
        """
        return {}

    def image_inputs(self) -> dict:
        """Return keyword arguments of ``ImageEncoder``: any of ``rows``, ``deep``, ``inserted``, ``hooks``."""
        return {}

    @property
    def scores_are_logits(self) -> bool:
        """False if ``scores`` adds something to the similarity of image and text."""
        return True

    def scores(self, seen) -> Tensor:
        """Return the scores (B, C) by which a test classifies; by default the logits.

        Args:
            seen: logits and features of the batch (``model.Seen``).
        """
        return seen.logits


class WrappedLearner(Learner):
    """Wraps another learner and hands over the same as it does. A subclass learns something more.

    Args:
        base: the other learner. Its weights are saved as ``prompt_learner.*``.
    """

    def __init__(self, base: Learner) -> None:
        super().__init__()
        self.prompt_learner, self.is_conditional = base, base.is_conditional
        self.RELEASED_EXTRAS = tuple(rf"prompt_learner\.{pattern}" for pattern in base.RELEASED_EXTRAS)
        self.LAYERS = {f"prompt_learner.{name}": layers for name, layers in base.LAYERS.items()}
        self.PORTABLE_NAMES = base.PORTABLE_NAMES

    @property
    def prompts(self) -> PromptSet:  # type: ignore[override]
        return self.prompt_learner.prompts

    def text_inputs(self, x: Tensor | None = None) -> dict:
        return self.prompt_learner.text_inputs(x)

    def image_inputs(self) -> dict:
        return self.prompt_learner.image_inputs()


class PromptLearner(Learner):
    """Learns the context: vectors that take the place of the words in a hand-crafted prompt.

    Learned: ``ctx``, (M, d) for a context that all classes share, (C, M, d) for a class-specific one.
    Checkpoints hold only what is learned. Upstream's checkpoints, which also hold the fixed tokens, load as well.

    Args:
        encoder: the frozen text encoder.
        classnames: C names; underscores become spaces.
        n_ctx: number M of context vectors that start at random (normal, standard deviation 0.02).
        ctx_init: words to start from instead. M is then their number of tokens, and all classes share the context.
        class_specific: True for one context per class (CSC).
        position: where the class name goes, see ``place_context``.
        dtype: data type in which a random start is drawn. The context itself is float32.
        start: vectors (M, d) to start from. ``ctx_init`` is then only printed.
        before_name: token ids of fixed words between the context and the class name.
        template: the class name and the words behind it.

    Raises:
        UserError: the position is unknown, the number of context vectors is out of range, words are combined with
            ``class_specific``, or a class name is too long for the prompt.
    """

    LENGTH = "N_CTX"  # the setting of M

    def __init__(
        self,
        encoder: TextEncoder,
        classnames: Sequence[str],
        n_ctx: int = 16,
        ctx_init: str = "",
        class_specific: bool = False,
        position: str = "end",
        dtype: torch.dtype = torch.float32,
        start: Tensor | None = None,
        before_name: Sequence[int] = (),
        template: str = "{}.",
    ) -> None:
        super().__init__()
        names = [name.replace("_", " ") for name in classnames]
        width = encoder.positional_embedding.shape[1]
        if ctx_init and class_specific:
            raise UserError(_WORDS_OR_CSC.format(ctx_init))
        if start is not None:
            ctx, n_ctx, words = start.float().clone(), len(start), tokens_of("X") * len(start)
        elif ctx_init:
            words = context_tokens(ctx_init)
            n_ctx = len(words)
            ctx = encoder.embed(torch.tensor(words)).detach().float().clone()
        else:
            if not 1 <= n_ctx <= MAX_CONTEXT:
                raise UserError(
                    f"N_CTX is {n_ctx}, but a prompt has 1 to {MAX_CONTEXT} context vectors. Set N_CTX in this range"
                )
            shape = (len(names), n_ctx, width) if class_specific else (n_ctx, width)
            ctx = nn.init.normal_(torch.empty(shape, dtype=dtype), std=0.02).float()
            words = tokens_of("X") * n_ctx
        shown = " ".join((ctx_init.replace("_", " ") or "X " * n_ctx).split())
        print(f'Initial context: "{shown}", {n_ctx} context vectors of width {width}')

        self.ctx = nn.Parameter(ctx)
        bodies = [[*before_name, *name_tokens(template.format(name), name)] for name in names]
        tokens = [prompt_of([*words, *body], name) for body, name in zip(bodies, names, strict=True)]
        # A name may end in punctuation that becomes one token with the full stop: that token is then the name's.
        lengths = [min(len(tokens_of(name)), len(body)) for name, body in zip(names, bodies, strict=True)]
        step = n_ctx if self.class_specific else 0  # from one class's vectors to the next one's
        entries = [place_context(tokens[c], n_ctx, lengths[c], position, c * step) for c in range(len(names))]
        self.prompts = PromptSet(entries, encoder.embed)
        self._embed, self._tokens = encoder.embed, tokens
        if self.class_specific:  # useless for other classes, so the checkpoint stores a hash of its class names
            digest = hashlib.sha256("\n".join(names).encode()).digest()
            self.register_buffer("classes_sha256", torch.tensor(list(digest), dtype=torch.uint8))

    @property
    def class_specific(self) -> bool:
        """True if every class has its own context vectors."""
        return self.ctx.dim() == 3

    def text_inputs(self, x: Tensor | None = None) -> dict:
        """Return the context for all images: (1, M, d), or (1, C * M, d) if it is class-specific."""
        return {"context": self.ctx.reshape(1, -1, self.ctx.shape[-1])}

    def _load_from_state_dict(self, state_dict, prefix, *args):
        """Check a checkpoint against this run before anything is copied; skip the fixed tokens.

        Raises:
            UserError: the checkpoint has no context, or one of another length or width, or for other classes.
        """
        suffix = state_dict.get(prefix + "token_suffix")
        for name in FIXED_BUFFERS:
            state_dict.pop(prefix + name, None)
        check_context(state_dict.get(prefix + "ctx"), self.ctx, self.LENGTH)
        if self.class_specific:
            if suffix is None and prefix + "classes_sha256" not in state_dict:
                print("Note: the checkpoint does not say which classes its context is for; it is used for this run's")
            digest = state_dict.setdefault(prefix + "classes_sha256", self.classes_sha256)
            # Upstream stores no class names, but its fixed tokens identify them.
            same = suffix is None or self._same_tokens(suffix)
            if not same or not torch.equal(digest.cpu(), self.classes_sha256.cpu()):
                raise UserError(OTHER_CLASSES)
        super()._load_from_state_dict(state_dict, prefix, *args)

    def _same_tokens(self, suffix: Tensor) -> bool:
        """True if upstream's fixed tokens behind the context, (C, 76 - M, d), are those of this run's classes."""
        for theirs, ids in zip(suffix, self._tokens, strict=False):
            behind = torch.tensor(ids[1 + self.ctx.shape[-2] :], device=self.ctx.device)
            ours = self._embed(behind).float()
            if not torch.allclose(theirs[: len(ours)].float().to(ours.device), ours, atol=1e-3):
                return False
        return True


def check_gradients(learner: nn.Module, method: str) -> None:
    """Raise RuntimeError if the loss of a method does not depend on one of its learned parameters."""
    without = [name for name, p in learner.named_parameters() if p.requires_grad and p.grad is None]
    if without:
        raise RuntimeError(
            f"{method}: no gradient reaches {', '.join(without)}. Hand it to an encoder "
            "(text_inputs, image_inputs), use it in loss_terms, or set requires_grad_(False)"
        )


def settle_context(settings: CfgNode, node: str, given: Collection[str]) -> None:
    """Set N_CTX to the number of tokens of CTX_INIT, if CTX_INIT has words.

    Args:
        settings: N_CTX, CTX_INIT and, if the method has it, CSC.
        node: path of the settings, for messages.
        given: keys set on the command line. An N_CTX that contradicts CTX_INIT is refused, not overridden.

    Raises:
        UserError: CTX_INIT is combined with CSC, or N_CTX on the command line is another number.
    """
    words, n_ctx = settings.get("CTX_INIT", ""), settings.get("N_CTX", 0)
    if not words:
        return
    if settings.get("CSC", False):
        raise UserError(f"{node}: {_WORDS_OR_CSC.format(words)}")
    count = len(context_tokens(words))
    if f"{node}.N_CTX" in given and n_ctx != count:
        raise UserError(
            f"{node}.N_CTX is {n_ctx}, but {node}.CTX_INIT '{words}' has {count} tokens, and each token becomes one "
            f'context vector. Set N_CTX {count}, or CTX_INIT "" for {n_ctx} random vectors'
        )
    settings.N_CTX = count


_WORDS_OR_CSC = (
    "CTX_INIT '{}' and CSC True cannot be combined: a context that starts from words is shared by all classes. "
    'Set CSC False, or CTX_INIT "" for a random class-specific context'
)
