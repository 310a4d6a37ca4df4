"""Contexts that start from words, where the number of vectors is not that of the words."""

import torch

from clip_prompts.common.errors import UserError
from clip_prompts.encoders.text_encoder import TextEncoder

from .tokens import context_tokens, text_of

MOST_WORDS = 4  # vectors that MaPLe and its descendants start from words; longer contexts start at random


def first_words(encoder: TextEncoder, ctx_init: str, n_ctx: int) -> dict:
    """Arguments of ``PromptLearner`` for a context of n vectors that starts from the first n of some words.

    The other words stay as fixed tokens behind the context. Without words, or with more than ``MOST_WORDS`` vectors,
    the start is random.

    Raises:
        UserError: there are fewer words than vectors.
    """
    if not ctx_init or n_ctx > MOST_WORDS:
        return {"n_ctx": n_ctx}
    words = context_tokens(ctx_init)
    if len(words) < n_ctx:
        raise UserError(
            f"CTX_INIT '{ctx_init}' has {len(words)} tokens, too few for {n_ctx} context vectors. Use more words, "
            f"fewer vectors, or more than {MOST_WORDS} vectors, which start at random"
        )
    if n_ctx < 1:
        raise UserError(f"There are {n_ctx} context vectors, but a prompt needs at least one. Raise N_CTX")
    start = encoder.embed(torch.tensor(words[:n_ctx])).detach()
    return {"start": start, "ctx_init": text_of(words[:n_ctx]), "before_name": words[n_ctx:]}


def last_words(encoder: TextEncoder, ctx_init: str, n_ctx: int) -> dict:
    """Arguments of ``PromptLearner`` for a context of M vectors that ends with some words; those before are zero.

    A comma is a token but no word, so tokens may be left over: they stay as fixed tokens between the context and the
    class name, and the prompt as a whole is the text. Without words, the start is random.

    Raises:
        UserError: there are more words than vectors.
    """
    if not ctx_init:
        return {"n_ctx": n_ctx}
    words, tokens = len(ctx_init.split()), context_tokens(ctx_init)
    if n_ctx < words:
        raise UserError(f"N_CTX {n_ctx} is too small for the {words} words of '{ctx_init}'. Set N_CTX {words} or more")
    start = encoder.embed(torch.tensor(tokens[:words])).detach()
    zeros = start.new_zeros(n_ctx - words, start.shape[1])
    return {"start": torch.cat([zeros, start]), "ctx_init": text_of(tokens[:words]), "before_name": tokens[words:]}
