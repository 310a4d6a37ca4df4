"""CLIP's text transformer on packed prompts: each distinct position is computed once, and none that is not read.

The transformer is causal and only end-of-text states are read. So nothing behind end-of-text matters, and leading
positions that all prompts share need computing once, not once per prompt (see ``prompt_set.py``). Linear layers,
norms and MLPs run over the packed rows, whosever they are; only attention asks which rows belong together
(``text_block.py``).
"""

import torch
from clip.model import CLIP
from torch import Tensor, nn

from .blocks import queries_keys_values
from .memory import MemoryBudget, TextShape
from .prompt_set import PromptSet, in_contexts
from .text_block import text_block


class TextEncoder(nn.Module):
    """g(t) of the papers: prompts to text features; frozen, but gradients flow through to what is learned.

    Args:
        clip_model: whose text side this is.
        budget: how much is encoded at once; by default everything, where gradients are needed.
    """

    def __init__(self, clip_model: CLIP, budget: MemoryBudget | None = None) -> None:
        super().__init__()
        self.budget = budget or MemoryBudget()
        self.blocks = clip_model.transformer.resblocks
        self.token_embedding = clip_model.token_embedding
        self.positional_embedding = clip_model.positional_embedding
        self.ln_final = clip_model.ln_final
        self.text_projection = clip_model.text_projection
        self.dtype = clip_model.dtype

    def embed(self, tokens: Tensor) -> Tensor:
        """Token ids (...) to embeddings (..., d), without positions."""
        return self.token_embedding(tokens).to(self.dtype)

    def forward(self, prompts: PromptSet, context: Tensor | None = None) -> Tensor:
        """Encode a set of C prompts, under B contexts at once.

        Args:
            prompts: the set.
            context: the learned vectors that the set names, (B, K, d); None for a set without any (B = 1).

        Returns:
            Features (B, C, D), not normalised.
        """
        return self.budget.encode(self._encode, self.shape, prompts, context).index_select(1, prompts.rank)

    def compile_encoding(self, backend: str) -> None:
        """Let ``torch.compile`` compile the transformer from the next call on."""
        self._encode = torch.compile(self._encode, backend=backend)

    @property
    def shape(self) -> TextShape:
        """What the memory of encoding depends on."""
        attn, (width, joint) = self.blocks[0].attn, self.text_projection.shape
        return TextShape(len(self.blocks), width, attn.num_heads, joint, self.dtype.itemsize)

    def contexts_at_once(self, prompts: PromptSet) -> int:
        """How many contexts an evaluation encodes at once, so that it holds no more features than it needs."""
        return self.budget.contexts_at_once(self.shape, prompts)

    def _encode(self, prompts: PromptSet, learned: Tensor | None) -> Tensor:
        """Features (B, C, D) in packed order, in one go."""
        x, qkv = self._start(prompts, learned)
        contexts = 1 if learned is None else len(learned)
        at = prompts.under(contexts, self.dtype)
        for i, block in enumerate(self.blocks):
            is_last = i == len(self.blocks) - 1
            x = text_block(block, x, None if i else qkv, at, at.ends if is_last else None)
        return (self.ln_final(x).to(self.dtype) @ self.text_projection).unflatten(0, (contexts, -1))

    def _start(self, prompts: PromptSet, learned: Tensor | None) -> tuple[Tensor, Tensor]:
        """Input (B R, d) of the first block, and its queries, keys and values (B R, 3 d).

        Rows of tokens do not depend on what is learned: here, they are computed once for all contexts, and have no
        gradient.
        """
        places = self.positional_embedding.index_select(0, prompts.positions).to(self.dtype)
        x = prompts.token_rows() + places
        first = self.blocks[0]
        qkv = queries_keys_values(first, first.ln_1(x))
        if learned is None:
            return x, qkv
        own = (prompts.learned_rows(learned).to(self.dtype) + places.index_select(0, prompts.places)).flatten(0, 1)
        rows = in_contexts(prompts.places, len(x), len(learned))

        def joined(fixed: Tensor, values: Tensor) -> Tensor:
            every = fixed if len(learned) == 1 else fixed.repeat(len(learned), 1)
            return every.index_copy(0, rows, values)

        return joined(x, own), joined(qkv, queries_keys_values(first, first.ln_1(own)))
