"""Prompts with learned words: tokenising, placing the context, and the module that holds what is learned."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from common.errors import UserError, unknown

from .backbone import openai
from .text_encoder import TextEncoder

POSITIONS = ("end", "middle", "front")
CONTEXT_LENGTH = 77  # of every OpenAI model
# Buffers that upstream's checkpoints carry beside what was learned; they belong to the classes, not to the prompt.
FIXED_BUFFERS = ("token_prefix", "token_suffix")


@dataclass(frozen=True)
class TokenizedPrompts:
    """Texts as OpenAI's tokenizer sees them, cut behind the longest one's end-of-text token.

    tokens: ids (N, L), zero after each end-of-text; eot: positions of the end-of-text tokens (N,).
    """

    tokens: Tensor
    eot: Tensor

    @staticmethod
    def of(texts: Sequence[str], names: Sequence[str]) -> "TokenizedPrompts":
        """Tokenise one text per class.

        Raises:
            UserError: a text is longer than CLIP's 77 tokens; names the class.
        """
        rows = []
        for text, name in zip(texts, names, strict=True):
            try:
                rows.append(openai.tokenize(text)[0])
            except RuntimeError as error:
                count = len(openai._tokenizer.encode(text)) + 2
                raise UserError(
                    f"Class name too long: '{name}' makes a prompt of {count} tokens, CLIP reads {CONTEXT_LENGTH}. "
                    "Shorten the name or use fewer context vectors"
                ) from error
        tokens = torch.stack(rows)
        eot = tokens.argmax(dim=-1)
        return TokenizedPrompts(tokens[:, : int(eot.max()) + 1], eot)


def encode_texts(encoder: TextEncoder, texts: Sequence[str], names: Sequence[str]) -> Tensor:
    """Features (N, D) of plain texts, not normalised."""
    prompts = TokenizedPrompts.of(texts, names)
    device = encoder.positional_embedding.device
    return encoder(encoder.embed(prompts.tokens.to(device)), prompts.eot.to(device))


def token_order(position: str, n_ctx: int, name_lengths: Sequence[int], length: int) -> Tensor | None:
    """Where each position of the prompt comes from, as indices into [SOS, v_1 .. v_M, name, "." ...].

    Args:
        position: ``end``, ``middle`` or ``front``: where the class name stands in relation to the context.
        n_ctx: M. name_lengths: tokens of each class name (C). length: L.

    Returns:
        Indices (C, L), or None for ``end``, which is the order as it is. ``middle`` puts floor(M/2) vectors before
        the name (CoOp, section 3.2).

    Raises:
        UserError: unknown position.
    """
    if position not in POSITIONS:
        raise unknown("class token position", position, POSITIONS)
    if position == "end":
        return None
    before = n_ctx // 2 if position == "middle" else 0
    order = []
    for n_name in name_lengths:
        first, rest = list(range(1, 1 + before)), list(range(1 + before, 1 + n_ctx))
        name = list(range(1 + n_ctx, 1 + n_ctx + n_name))
        order.append([0, *first, *name, *rest, *range(1 + n_ctx + n_name, length)])
    return torch.tensor(order)


class PromptLearner(nn.Module):
    """The learned context and the fixed tokens around it.

    Learned: ``ctx``, (M, d) for a context that all classes share, (C, M, d) for a class-specific one.
    Checkpoints hold only what is learned; upstream's, which also hold the fixed tokens, load as well.

    Args:
        encoder: the frozen text encoder; gives embeddings, width and data type.
        classnames: C names; underscores become spaces.
        n_ctx: M, for a random start (normal, std 0.02).
        ctx_init: words to start from instead; then M is their number, and the context is shared by all classes.
        class_specific: one context per class (CSC).
        position: where the class name stands, see ``token_order``.
        dtype: data type of the context.

    Raises:
        UserError: unknown position, no context vectors, class name too long for the prompt.
    """

    def __init__(
        self,
        encoder: TextEncoder,
        classnames: Sequence[str],
        n_ctx: int = 16,
        ctx_init: str = "",
        class_specific: bool = False,
        position: str = "end",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        names = [name.replace("_", " ") for name in classnames]
        words = ctx_init.replace("_", " ")
        width = encoder.positional_embedding.shape[1]
        if words:
            n_ctx = len(words.split(" "))
            if class_specific:
                print("Note: a context that starts from words is shared by all classes; CSC is ignored")
            init = TokenizedPrompts.of([words], [words])
            with torch.no_grad():
                ctx = encoder.embed(init.tokens)[0, 1 : 1 + n_ctx].to(dtype).clone()
        else:
            if n_ctx < 1:
                raise UserError(f"A prompt needs at least one context vector, not N_CTX {n_ctx}")
            shape = (len(names), n_ctx, width) if class_specific else (n_ctx, width)
            ctx = nn.init.normal_(torch.empty(shape, dtype=dtype), std=0.02)
            words = " ".join(["X"] * n_ctx)
        print(f'Initial context: "{words}", {n_ctx} context vectors of width {width}')

        self.ctx = nn.Parameter(ctx)
        prompts = TokenizedPrompts.of([f"{words} {name}." for name in names], names)
        with torch.no_grad():
            embedding = encoder.embed(prompts.tokens)  # (C, L, d)
        lengths = [len(openai._tokenizer.encode(name)) for name in names]
        self.register_buffer("token_prefix", embedding[:, :1], persistent=False)
        self.register_buffer("token_suffix", embedding[:, 1 + n_ctx :], persistent=False)
        self.register_buffer("eot", prompts.eot, persistent=False)
        self.register_buffer("order", token_order(position, n_ctx, lengths, embedding.shape[1]), persistent=False)
        if self.ctx.dim() == 3:  # a class-specific context is worth nothing for other classes, so it says whose it is
            digest = hashlib.sha256("\n".join(names).encode()).digest()
            self.register_buffer("classes_sha256", torch.tensor(list(digest), dtype=torch.uint8))

    def forward(self, ctx: Tensor | None = None) -> Tensor:
        """Put the context between the fixed tokens.

        Args:
            ctx: another context to place, (M, d) or (C, M, d); the learned one by default.

        Returns:
            Embedded prompts (C, L, d) for ``TextEncoder``, whose end-of-text positions are ``self.eot``.
        """
        ctx = self.ctx if ctx is None else ctx
        if ctx.dim() == 2:
            ctx = ctx.expand(len(self.eot), -1, -1)
        prompts = torch.cat([self.token_prefix, ctx.to(self.token_prefix.dtype), self.token_suffix], dim=1)
        if self.order is None:
            return prompts
        return prompts.gather(1, self.order[..., None].expand(-1, -1, prompts.shape[-1]))

    def _load_from_state_dict(self, state_dict, prefix, *args):
        """Check a checkpoint against this run before anything is copied; leave the fixed tokens out.

        Raises:
            UserError: no context, another number or width of context vectors, or a context of other classes.
        """
        suffix = state_dict.get(prefix + "token_suffix")
        for name in FIXED_BUFFERS:
            state_dict.pop(prefix + name, None)
        stored = state_dict.get(prefix + "ctx")
        if stored is None:
            raise UserError("The checkpoint holds no context vectors ('ctx'): it is not of a learned prompt")
        self._check_context(stored)
        if self.ctx.dim() == 3:
            digest = state_dict.setdefault(prefix + "classes_sha256", self.classes_sha256)
            # Upstream names no classes; its fixed tokens tell as much.
            same = suffix is None or _same_tokens(suffix, self.token_suffix)
            if not same or not torch.equal(digest.cpu(), self.classes_sha256.cpu()):
                raise UserError(_OTHER_CLASSES)
        super()._load_from_state_dict(state_dict, prefix, *args)

    def _check_context(self, stored: Tensor) -> None:
        if stored.shape[-1] != self.ctx.shape[-1]:
            raise UserError(
                f"The checkpoint's context vectors have width {stored.shape[-1]}, this backbone's text width is "
                f"{self.ctx.shape[-1]}: use the backbone that the prompt was learned with"
            )
        if stored.dim() != self.ctx.dim():
            kinds = {2: "shared by all classes", 3: "class-specific"}
            raise UserError(
                f"The checkpoint's context is {kinds.get(stored.dim(), 'malformed')}, this run's is "
                f"{kinds[self.ctx.dim()]}: set CSC as in the run that learned it"
            )
        if stored.shape[-2] != self.ctx.shape[-2]:
            raise UserError(
                f"The checkpoint holds {stored.shape[-2]} context vectors, this run has {self.ctx.shape[-2]}: "
                "set N_CTX and CTX_INIT as in the run that learned them"
            )
        if stored.dim() == 3 and len(stored) != len(self.ctx):
            raise UserError(f"{_OTHER_CLASSES} ({len(stored)} classes there, {len(self.ctx)} here)")


_OTHER_CLASSES = (
    "The checkpoint's class-specific context (CSC) was learned for other classes than this run's; "
    "evaluate it on its own classes, or learn a shared context (CSC False)"
)


def _same_tokens(theirs: Tensor, ours: Tensor) -> bool:
    """Whether two sets of fixed tokens (C, L, d) agree as far as both go; upstream's are padded to 77."""
    length = min(theirs.shape[1], ours.shape[1])
    return torch.allclose(theirs[:, :length].float().cpu(), ours[:, :length].float().cpu(), atol=1e-3)
