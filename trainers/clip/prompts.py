"""Prompts with learned words: tokenising, placing the context, and the module that holds what is learned."""

import hashlib
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from common.errors import UserError, unknown

from .backbone import openai
from .prompt_set import PromptSet
from .text_encoder import TextEncoder

POSITIONS = ("end", "middle", "front")
CONTEXT_LENGTH = 77  # tokens, of every OpenAI model
LONGEST = 2000  # characters; 77 tokens are some 400
_SOS, _EOT = (openai._tokenizer.encoder[token] for token in ("<|startoftext|>", "<|endoftext|>"))
# Buffers that upstream's checkpoints carry beside what was learned; they belong to the classes, not to the prompt.
FIXED_BUFFERS = ("token_prefix", "token_suffix")


def tokenize(texts: Sequence[str], names: Sequence[str]) -> list[list[int]]:
    """Token ids of one text per class, from start to end-of-text.

    Raises:
        UserError: a text is longer than CLIP's 77 tokens; names the class.
    """
    rows = []
    for text, name in zip(texts, names, strict=True):
        if len(text) > LONGEST:  # to encode it would take time that grows with the square of its length
            raise UserError(f"Class name too long: '{name[:40]}...' makes a prompt of {len(text)} characters")
        ids = [_SOS, *openai._tokenizer.encode(text), _EOT]
        if len(ids) > CONTEXT_LENGTH:
            raise UserError(
                f"Class name too long: '{name}' makes a prompt of {len(ids)} tokens, CLIP reads {CONTEXT_LENGTH}. "
                "Shorten the name or use fewer context vectors"
            )
        rows.append(ids)
    return rows


def encode_texts(encoder: TextEncoder, texts: Sequence[str], names: Sequence[str]) -> Tensor:
    """Features (C, D) of one plain text per class, not normalised."""
    device = encoder.positional_embedding.device
    return encoder(PromptSet(tokenize(texts, names), encoder.embed).to(device))[0]


def place_context(ids: list[int], n_ctx: int, n_name: int, position: str, first: int = 0) -> list[int]:
    """One class' prompt as entries of a ``PromptSet``.

    Args:
        ids: tokens of the prompt with M placeholder words before the name: start, M words, name, rest.
        n_ctx: M. n_name: number of tokens of the class name. position: where the name stands in relation to the
            context: ``end``, ``middle`` (floor(M/2) vectors before it) or ``front`` (CoOp, section 3.2).
        first: number of the first learned vector of this class.

    Raises:
        UserError: unknown position.
    """
    if position not in POSITIONS:
        raise unknown("class token position", position, POSITIONS)
    context = [-1 - first - m for m in range(n_ctx)]
    name, rest = ids[1 + n_ctx : 1 + n_ctx + n_name], ids[1 + n_ctx + n_name :]
    before = {"end": n_ctx, "middle": n_ctx // 2, "front": 0}[position]
    return [ids[0], *context[:before], *name, *context[before:], *rest]


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
        position: where the class name stands, see ``place_context``.
        dtype: data type in which a random start is drawn; the context itself is float32.

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
            init = torch.tensor(tokenize([words], [words])[0][1 : 1 + n_ctx])
            ctx = encoder.embed(init).detach().float().clone()
        else:
            if n_ctx < 1:
                raise UserError(f"A prompt needs at least one context vector, not N_CTX {n_ctx}")
            shape = (len(names), n_ctx, width) if class_specific else (n_ctx, width)
            ctx = nn.init.normal_(torch.empty(shape, dtype=dtype), std=0.02).float()
            words = " ".join(["X"] * n_ctx)
        print(f'Initial context: "{words}", {n_ctx} context vectors of width {width}')

        self.ctx = nn.Parameter(ctx)
        tokens = tokenize([f"{words} {name}." for name in names], names)
        lengths = [len(openai._tokenizer.encode(name)) for name in names]
        step = n_ctx if self.ctx.dim() == 3 else 0  # from one class' vectors to the next one's
        entries = [place_context(tokens[c], n_ctx, lengths[c], position, c * step) for c in range(len(names))]
        self.prompts = PromptSet(entries, encoder.embed)
        self._embed, self._tokens = encoder.embed, tokens
        if self.ctx.dim() == 3:  # a class-specific context is worth nothing for other classes, so it says whose it is
            digest = hashlib.sha256("\n".join(names).encode()).digest()
            self.register_buffer("classes_sha256", torch.tensor(list(digest), dtype=torch.uint8))

    def contexts(self) -> Tensor:
        """The learned vectors as ``TextEncoder`` takes them: (1, M, d), or (1, C * M, d) when class-specific."""
        return self.ctx.reshape(1, -1, self.ctx.shape[-1])

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
            same = suffix is None or self._same_tokens(suffix)
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

    def _same_tokens(self, suffix: Tensor) -> bool:
        """Whether upstream's fixed tokens behind the context, (C, 76 - M, d), are those of this run's classes."""
        for theirs, ids in zip(suffix, self._tokens, strict=False):
            behind = torch.tensor(ids[1 + self.ctx.shape[-2] :], device=self.prompts.fixed.device)
            ours = self._embed(behind).float()
            if not torch.allclose(theirs[: len(ours)].float().to(ours.device), ours, atol=1e-3):
                return False
        return True


_OTHER_CLASSES = (
    "The checkpoint's class-specific context (CSC) was learned for other classes than this run's; "
    "evaluate it on its own classes, or learn a shared context (CSC False)"
)
