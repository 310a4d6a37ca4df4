"""Tokens of class names and prompts."""

from collections.abc import Sequence

from clip_prompts.backbones.loading import openai
from clip_prompts.common.errors import UserError, unknown
from clip_prompts.common.text import one_line

POSITIONS = ("end", "middle", "front")
CONTEXT_LENGTH = 77  # tokens, of every OpenAI model
MAX_CONTEXT = CONTEXT_LENGTH - 2  # vectors, between start and end-of-text
MAX_CHARACTERS = 2000  # of a text; 77 tokens are some 400
_SOS, _EOT = (openai._tokenizer.encoder[token] for token in ("<|startoftext|>", "<|endoftext|>"))


def tokens_of(text: str) -> list[int]:
    """CLIP's tokens of a text, without start and end-of-text; underscores become spaces.

    CLIP's tokenizer repairs encodings (ftfy), resolves HTML entities, collapses white space and lowers the case.

    Raises:
        UserError: the text is much longer than CLIP reads, or holds the marks of start or end-of-text.
    """
    if len(text) > MAX_CHARACTERS:  # the tokenizer's time grows with the square of the length
        raise UserError(f"Text too long: '{text[:40]}...' has {len(text):,} characters, CLIP reads 77 tokens")
    tokens = openai._tokenizer.encode(text.replace("_", " "))
    if _SOS in tokens or _EOT in tokens:
        raise UserError(
            f"The text '{text}' contains CLIP's token for the start or the end of a text. Remove this token"
        )
    return tokens


def text_of(tokens: Sequence[int]) -> str:
    """Return the text of tokens of words."""
    return openai._tokenizer.decode(tokens).strip()


def name_tokens(text: str, name: str) -> list[int]:
    """Tokens of a text that contains a class name. Raises UserError, with the class, if it is much too long."""
    if len(text) > MAX_CHARACTERS:
        raise UserError(f"Class name too long: '{name[:40]}...' makes a prompt of {len(text)} characters")
    return tokens_of(text)


def prompt_of(tokens: list[int], name: str) -> list[int]:
    """``tokens`` between start and end-of-text. Raises UserError if CLIP cannot read so many."""
    ids = [_SOS, *tokens, _EOT]
    if len(ids) > CONTEXT_LENGTH:
        raise UserError(
            f"Class name too long: '{name}' makes a prompt of {len(ids)} tokens, CLIP reads {CONTEXT_LENGTH}. "
            "Shorten the name or use fewer context vectors"
        )
    return ids


def tokenize(texts: Sequence[str], names: Sequence[str]) -> list[list[int]]:
    """Token ids of one text per class, from start to end-of-text.

    Raises:
        UserError: a text is longer than CLIP's 77 tokens; names the class.
    """
    return [prompt_of(name_tokens(text, name), name) for text, name in zip(texts, names, strict=True)]


def context_tokens(ctx_init: str) -> list[int]:
    """Tokens of the words that a context starts from. Raises UserError if there are none, or too many."""
    tokens = tokens_of(ctx_init)
    if not 1 <= len(tokens) <= MAX_CONTEXT:
        raise UserError(
            f"CTX_INIT '{ctx_init}' has {len(tokens)} tokens. A context has 1 to {MAX_CONTEXT}; for random vectors, "
            'set CTX_INIT ""'
        )
    return tokens


def check_class_names(names: Sequence[str], unique: bool = True) -> None:
    """Check that every class name has tokens, and that no two classes have the same: no prompt could tell them apart.

    Args:
        names: one name per class. unique: False for a dataset that has equal names by design, such as ImageNet; they
            are then printed in one line.

    Raises:
        UserError: names the class, or both classes.
    """
    seen: dict[tuple[int, ...], str] = {}
    pairs = []
    for name in names:
        tokens = tuple(name_tokens(name, name))
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


def place_context(ids: list[int], n_ctx: int, n_name: int, position: str, first: int = 0) -> list[int]:
    """One class's prompt as entries of a ``PromptSet``.

    Args:
        ids: tokens of the prompt with M placeholder words before the name: start, M words, name, rest.
        n_ctx: M. n_name: number of tokens of the class name. position: of the name relative to the context: ``end``,
            ``middle`` (floor(M/2) vectors before it) or ``front`` (CoOp, section 3.2).
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
