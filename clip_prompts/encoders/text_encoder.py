"""CLIP's text encoder on packed prompts, which also takes learned rows and hooks as arguments.

The transformer is causal and only the states of end-of-text are read. So nothing behind end-of-text matters, and the
leading positions that all prompts share are computed once instead of once per prompt (see ``prompt_set.py``). Linear
layers, norms and MLPs run over all packed rows, no matter which prompt a row belongs to. Only attention asks which
rows belong together.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple
from weakref import WeakKeyDictionary

import torch
from clip.model import CLIP
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from .blocks import NO_HOOK, BlockHook, check_layers, queries_keys_values, text_block
from .memory import MemoryBudget, TextShape
from .prompt_set import Given, PackedPrompts, PromptSet

MOST_PLANS = 16  # per prompt set; training and evaluation need two or three


class Plan(NamedTuple):
    """Chunks in which a prompt set is encoded under B contexts."""

    chunks: list[tuple[slice, list[PackedPrompts]]]  # contexts, and the prompts to encode under them one by one
    largest: tuple[int, int]  # rows of the largest chunk, and of the longest prompt


class TextEncoder(nn.Module):
    """Frozen text encoder, g(t) in the papers: prompts to text features. Gradients flow to what is learned.

    Args:
        clip_model: the CLIP model whose text encoder this is.
        budget: limits how much is encoded at once; by default nothing is limited if gradients are needed.
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
        self._plans: WeakKeyDictionary[PromptSet, dict[tuple, Plan]] = WeakKeyDictionary()
        self._parts: WeakKeyDictionary[PromptSet, dict[tuple, int]] = WeakKeyDictionary()
        self._compiled: Callable | None = None

    def embed(self, tokens: Tensor) -> Tensor:
        """Turn token ids (...) on any device into embeddings (..., d), without positions, on the weights' device."""
        return self.token_embedding(tokens.to(self.token_embedding.weight.device)).to(self.dtype)

    def forward(
        self,
        prompts: PromptSet,
        context: Tensor | None = None,
        deep: Mapping[int, Tensor] | None = None,
        inserted: Mapping[int, Tensor] | None = None,
        hooks: Mapping[int, BlockHook] | None = None,
    ) -> Tensor:
        """Encode C prompts under B contexts. Layers count from 0.

        Args:
            prompts: the set of C prompts.
            context: (B, K, d), the context vectors of the set; None if the set has none (then B = 1).
            deep: dictionary from a layer (1 or later) to rows (n, d), or (C, n, d) for rows per class. They replace
                positions 1 to n of every prompt at the input of this layer, up to its end-of-text.
            inserted: dictionary from a layer to rows (K, d). The rows of the first of these layers are inserted behind
                position 0 of its input, and the rows of a later layer replace them. End-of-text moves back by K.
            hooks: dictionary from a layer to its hook.

        Returns:
            Features (B, C, D), not normalized.

        Raises:
            UserError: the encoder does not have one of these layers.
            ValueError: the number of vectors does not fit the prompts.
        """
        deep, inserted, hooks = deep or {}, inserted or {}, hooks or {}
        vectors = {
            layer: torch.cat([rows[layer].flatten(0, -2) for rows in (deep, inserted) if layer in rows])
            for layer in (*deep, *(layer for layer in inserted if layer not in deep))
        }
        learned = [*vectors.values(), *([] if context is None else [context])]
        gradient = torch.is_grad_enabled() and (bool(hooks) or any(one.requires_grad for one in learned))
        plan = self._plan(prompts, None if context is None else len(context), gradient, deep, inserted, hooks)
        self.budget.last = plan.largest
        if len(plan.chunks) == len(plan.chunks[0][1]) == 1:
            features = self._encode_chunk(plan.chunks[0][1][0], context, vectors, hooks, False)
        else:
            features = torch.cat([
                torch.cat([
                    self._encode_chunk(packed, None if context is None else context[contexts], vectors, hooks, gradient)
                    for packed in parts
                ], dim=1)
                for contexts, parts in plan.chunks
            ])  # fmt: skip
        return features.index_select(1, prompts.rank)

    def compile_encoding(self, backend: str) -> None:
        """Compile the transformer with ``torch.compile``, from the next call on."""
        self._compiled = torch.compile(self._encode, backend=backend)

    @property
    def shape(self) -> TextShape:
        """Sizes that the memory of encoding depends on, apart from the prompts."""
        attn, (width, joint) = self.blocks[0].attn, self.text_projection.shape
        device = self.positional_embedding.device.type
        return TextShape(len(self.blocks), width, attn.num_heads, joint, self.dtype.itemsize, device)

    def contexts_per_part(self, prompts: PromptSet, batch: int) -> int:
        """Return how many of B contexts a training step should encode at once if it need not encode all of them."""
        known, key = self._parts.setdefault(prompts, {}), (batch, prompts.rank.device, self.budget.most_rows)
        if key not in known:
            known[key] = self.budget.contexts_per_part(self.shape, prompts.packing(), batch)
        return known[key]

    def contexts_at_once(self, prompts: PromptSet) -> int:
        """Return how many contexts an evaluation encodes at once, so that it holds no more features than it needs."""
        packing = prompts.packing()
        return max(1, self.budget.rows_at_once(self.shape, packing, 1, gradient=False) // packing.rows)

    def _plan(self, prompts, batch, gradient, deep, inserted, hooks) -> Plan:
        """Return the plan, which is made in the first step and looked up in all others."""
        key = (
            batch,
            gradient,
            prompts.rank.device,
            self.budget.most_rows,
            tuple((layer, tuple(rows.shape[:-1])) for layer, rows in deep.items()),
            tuple((layer, len(rows)) for layer, rows in inserted.items()),
            tuple(hooks),
        )
        plans = self._plans.setdefault(prompts, {})
        if key not in plans:
            check_layers("text encoder", len(self.blocks), None, deep, inserted, hooks)
            if len(plans) >= MOST_PLANS:
                plans.clear()
            classes = len(prompts.rank)
            if any(rows.dim() == 3 and len(rows) != classes for rows in deep.values()):
                raise ValueError(f"Deep rows per class must be given for all {classes} classes")
            if batch is None and len(prompts.context_rows):
                raise ValueError("These prompts have context vectors, but none are given")
            plans[key] = self._make_plan(prompts, batch or 1, gradient, Given(*key[4:6]))
        return plans[key]

    def _make_plan(self, prompts: PromptSet, batch: int, gradient: bool, given: Given) -> Plan:
        packing = prompts.packing(*given.final)  # the largest of those that the layers work on
        rows = self.budget.rows_at_once(self.shape, packing, batch, gradient)
        if gradient:
            self.budget.announce(self.shape, packing, batch)
        everything = batch * packing.rows
        parts = [prompts] if rows >= packing.rows else prompts.chunks(rows, *given.final)
        size = max(1, rows // packing.rows)
        made: dict[int, list[PackedPrompts]] = {}
        chunks = []
        for start in range(0, batch, size):
            count = min(size, batch - start)
            if count not in made:
                made[count] = [part.packed(count, self.dtype, len(self.blocks), given) for part in parts]
            chunks.append((slice(start, start + count), made[count]))
        return Plan(chunks, (min(rows, everything), packing.longest))

    def _encode_chunk(self, packed, context, vectors, hooks, gradient) -> Tensor:
        """Encode one chunk; with ``gradient``, it is computed again in the backward pass."""
        encode = self._compiled or self._encode
        if not gradient:
            return encode(packed, context, vectors, hooks)
        return checkpoint(encode, packed, context, vectors, hooks, use_reentrant=False)

    def _encode(
        self,
        packed: PackedPrompts,
        context: Tensor | None,
        vectors: Mapping[int, Tensor],
        hooks: Mapping[int, BlockHook],
    ) -> Tensor:
        """Features (B, C, D) in packed order, in one go.

        Args:
            vectors: layer to the deep and inserted rows that are given at its input, one after another.
        """
        x, qkv = self._start(packed, context, 0 in vectors or 0 in hooks)
        for layer, (block, (layout, source)) in enumerate(zip(self.blocks, packed.layers, strict=True)):
            if source is not None:
                x = torch.cat([x, vectors[layer].to(x.dtype)]).index_select(0, source)
            read = layout.eot_rows if layer == len(self.blocks) - 1 else None
            x = text_block(block, x, layout, hooks.get(layer, NO_HOOK), qkv, read)
            qkv = None
        return (self.ln_final(x).to(self.dtype) @ self.text_projection).unflatten(
            0, (1 if context is None else len(context), -1)
        )

    def _start(self, packed: PackedPrompts, context: Tensor | None, changed: bool) -> tuple[Tensor, Tensor | None]:
        """Input (B R, d) of the first block, and its queries, keys and values (B R, 3 d).

        Rows of tokens do not depend on what is learned. Unless the first layer is ``changed`` by a hook or by inserted
        rows, their queries, keys and values are computed once for all contexts, and have no gradient.
        """
        first = self.blocks[0]
        positions = self.positional_embedding.to(self.dtype)
        x = packed.fixed.index_select(0, packed.tokens) + positions.index_select(0, packed.positions)
        qkv = None if changed else queries_keys_values(first, first.ln_1(x))
        if context is None:
            return x, qkv
        own = context.index_select(1, packed.context_index).to(self.dtype)
        own = (own + positions.index_select(0, packed.context_positions)).flatten(0, 1)

        def joined(fixed: Tensor, values: Tensor) -> Tensor:
            every = fixed if len(context) == 1 else fixed.repeat(len(context), 1)
            return every.index_copy(0, packed.context_rows, values)

        x = joined(x, own)
        return x, None if qkv is None else joined(qkv, queries_keys_values(first, first.ln_1(own)))
