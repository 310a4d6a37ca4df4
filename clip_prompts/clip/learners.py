"""Prompts with learned words: tokenising, placing the context, and the module that holds what is learned."""

import hashlib
from collections.abc import Collection, Sequence

import torch
from torch import Tensor, nn
from yacs.config import CfgNode

from clip_prompts.backbones.loading import openai
from clip_prompts.common.errors import UserError, unknown
from clip_prompts.common.text import one_line
from clip_prompts.encoders.prompt_set import PromptSet
from clip_prompts.encoders.text_encoder import TextEncoder

POSITIONS = ("end", "middle", "front")
CONTEXT_LENGTH = 77  # tokens, of every OpenAI model
MAX_CONTEXT = CONTEXT_LENGTH - 2  # vectors, between start and end-of-text
LONGEST = 2000  # characters; 77 tokens are some 400
_SOS, _EOT = (openai._tokenizer.encoder[token] for token in ("<|startoftext|>", "<|endoftext|>"))
# Buffers that upstream's checkpoints carry beside what was learned; they belong to the classes, not to the prompt.
FIXED_BUFFERS = ("token_prefix", "token_suffix")


def tokens_of(text: str) -> list[int]:
    """CLIP's tokens of a text, without start and end-of-text; underscores become spaces.

    CLIP's tokenizer repairs encodings (ftfy), resolves HTML entities, collapses white space and lowers the case.

    Raises:
        UserError: the text is much longer than CLIP reads, or holds the marks of start or end-of-text.
    """
    if len(text) > LONGEST:  # the tokenizer's time grows with the square of the length
        raise UserError(f"Text too long: '{text[:40]}...' has {len(text):,} characters, CLIP reads 77 tokens")
    tokens = openai._tokenizer.encode(text.replace("_", " "))
    if _SOS in tokens or _EOT in tokens:
        raise UserError(f"The text '{text}' holds CLIP's mark of the start or the end of a text. Remove it")
    return tokens


def tokenize(texts: Sequence[str], names: Sequence[str]) -> list[list[int]]:
    """Token ids of one text per class, from start to end-of-text.

    Raises:
        UserError: a text is longer than CLIP's 77 tokens; names the class.
    """
    return [_prompt(_tokens_for(text, name), name) for text, name in zip(texts, names, strict=True)]


def _tokens_for(text: str, name: str) -> list[int]:
    if len(text) > LONGEST:
        raise UserError(f"Class name too long: '{name[:40]}...' makes a prompt of {len(text)} characters")
    return tokens_of(text)


def _prompt(tokens: list[int], name: str) -> list[int]:
    """``tokens`` between start and end-of-text. Raises UserError if CLIP cannot read so many."""
    ids = [_SOS, *tokens, _EOT]
    if len(ids) > CONTEXT_LENGTH:
        raise UserError(
            f"Class name too long: '{name}' makes a prompt of {len(ids)} tokens, CLIP reads {CONTEXT_LENGTH}. "
            "Shorten the name or use fewer context vectors"
        )
    return ids


def check_class_names(names: Sequence[str], unique: bool = True) -> None:
    """Every class name has tokens, and no two classes have the same: no prompt could tell them apart.

    Args:
        names: one name per class. unique: False for a dataset that has equal names by design, as ImageNet; they are
            then printed in one line.

    Raises:
        UserError: names the class, or both classes.
    """
    seen: dict[tuple[int, ...], str] = {}
    pairs = []
    for name in names:
        tokens = tuple(_tokens_for(name, name))
        if not tokens:
            raise UserError(f"The class name {name!r} has no tokens for CLIP. Give the class a name in words")
        if tokens in seen:
            pairs.append((seen[tokens], name))
        seen.setdefault(tokens, name)
    if pairs and unique:
        first, second = pairs[0]
        raise UserError(
            f"The classes '{first}' and '{second}' have the same tokens for CLIP, which ignores case, underscores and "
            "extra spaces: no prompt can tell them apart. Rename one of them, or merge the two"
        )
    if pairs:
        listed = ", ".join(sorted({f"'{second}'" for _, second in pairs})[:5])
        print(
            one_line(f"Note: {len(pairs)} pair(s) of classes share a name ({listed}), as in ImageNet's released list")
        )


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
        ctx_init: words to start from instead; then M is the number of their tokens, and the context is shared by all
            classes.
        class_specific: one context per class (CSC).
        position: where the class name stands, see ``place_context``.
        dtype: data type in which a random start is drawn; the context itself is float32.

    Raises:
        UserError: unknown position, no or too many context vectors, words together with ``class_specific``, or a class
            name too long for the prompt.
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
        width = encoder.positional_embedding.shape[1]
        if ctx_init:
            words = context_tokens(ctx_init)
            n_ctx = len(words)
            if class_specific:
                raise UserError(_WORDS_OR_CSC.format(ctx_init))
            ctx = encoder.embed(torch.tensor(words)).detach().float().clone()
        else:
            if not 1 <= n_ctx <= MAX_CONTEXT:
                raise UserError(
                    f"N_CTX {n_ctx}: a prompt needs at least one context vector, and has no place for more than "
                    f"{MAX_CONTEXT}"
                )
            shape = (len(names), n_ctx, width) if class_specific else (n_ctx, width)
            ctx = nn.init.normal_(torch.empty(shape, dtype=dtype), std=0.02).float()
            words = tokens_of("X") * n_ctx
        start = " ".join((ctx_init.replace("_", " ") or "X " * n_ctx).split())
        print(f'Initial context: "{start}", {n_ctx} context vectors of width {width}')

        self.ctx = nn.Parameter(ctx)
        bodies = [_tokens_for(f"{name}.", name) for name in names]
        tokens = [_prompt([*words, *body], name) for body, name in zip(bodies, names, strict=True)]
        # A name may end in punctuation that becomes one token with the full stop: that token is then the name's.
        lengths = [min(len(tokens_of(name)), len(body)) for name, body in zip(names, bodies, strict=True)]
        step = n_ctx if self.ctx.dim() == 3 else 0  # from one class' vectors to the next one's
        entries = [place_context(tokens[c], n_ctx, lengths[c], position, c * step) for c in range(len(names))]
        self.prompts = PromptSet(entries, encoder.embed)
        self._embed, self._tokens = encoder.embed, tokens
        if self.ctx.dim() == 3:  # a class-specific context is worth nothing for other classes, so it says whose it is
            digest = hashlib.sha256("\n".join(names).encode()).digest()
            self.register_buffer("classes_sha256", torch.tensor(list(digest), dtype=torch.uint8))

    @property
    def class_specific(self) -> bool:
        """Whether every class has context vectors of its own."""
        return self.ctx.dim() == 3

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
            if suffix is None and prefix + "classes_sha256" not in state_dict:
                print("Note: the checkpoint does not say which classes its context is for; it is used for this run's")
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


def context_tokens(ctx_init: str) -> list[int]:
    """Tokens of the words that a context starts from. Raises UserError if there is none, or too many."""
    tokens = tokens_of(ctx_init)
    if not 1 <= len(tokens) <= MAX_CONTEXT:
        raise UserError(
            f"CTX_INIT '{ctx_init}' has {len(tokens)} tokens. A context has 1 to {MAX_CONTEXT}; for random vectors, "
            'set CTX_INIT ""'
        )
    return tokens


def settle_context(settings: CfgNode, node: str, given: Collection[str]) -> None:
    """Make the settings say what is learned: with words, N_CTX is the number of their tokens.

    Args:
        settings: N_CTX, CTX_INIT and maybe CSC of a method. node: their path, for messages.
        given: the settings of the command line; one that contradicts CTX_INIT is refused, not overridden.

    Raises:
        UserError: CTX_INIT together with CSC, or with an N_CTX of the command line that is another number.
    """
    words, n_ctx = settings.get("CTX_INIT", ""), settings.get("N_CTX", 0)
    if not words:
        return
    if settings.get("CSC", False):
        raise UserError(f"{node}: {_WORDS_OR_CSC.format(words)}")
    count = len(context_tokens(words))
    if f"{node}.N_CTX" in given and n_ctx != count:
        raise UserError(
            f"{node}.N_CTX is {n_ctx}, but {node}.CTX_INIT '{words}' has {count} tokens: words set the number of "
            f'context vectors. Set N_CTX {count}, or CTX_INIT "" for {n_ctx} random vectors'
        )
    settings.N_CTX = count


_WORDS_OR_CSC = (
    "CTX_INIT '{}' and CSC True exclude each other: a context that starts from words is shared by all classes. "
    'Set CSC False, or CTX_INIT "" for a random class-specific context'
)
_OTHER_CLASSES = (
    "The checkpoint's class-specific context (CSC) was learned for other classes than this run's; "
    "evaluate it on its own classes, or learn a shared context (CSC False)"
)
