"""Prompts packed for the text encoder: one list of rows, without padding or repetition."""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from .packing import Packing, blocks_of, fill, in_common, in_contexts, tree_of


class Layout(NamedTuple):
    """A ``Packing`` under B contexts, one after another, on the device of the encoder."""

    gather: Tensor  # (B N n,)
    scatter: Tensor  # (B R,)
    eot_rows: Tensor  # packed rows of end-of-text (B C,)
    mask: Tensor  # (B N, 1, n, n)


class LayerRows(NamedTuple):
    """The rows at the input of one layer."""

    layout: Layout
    source: Tensor | None  # of each row, its number among the rows so far and the vectors given; None: as they are


class PackedPrompts(NamedTuple):
    """All that the text encoder reads of a ``PromptSet``, or of a chunk of it, under B contexts."""

    fixed: Tensor  # see PromptSet
    tokens: Tensor
    positions: Tensor
    context_positions: Tensor  # positions of the context rows (L,)
    context_index: Tensor
    context_rows: Tensor  # under B contexts (B L,)
    layers: list[LayerRows]


class Given(NamedTuple):
    """Shapes of the deep and inserted rows that an encoding is given, by layer; see ``TextEncoder.forward``."""

    deep: tuple[tuple[int, tuple[int, ...]], ...] = ()  # layer, and (n,) or (C, n)
    inserted: tuple[tuple[int, int], ...] = ()  # layer, K

    @property
    def final(self) -> tuple[bool, int]:
        """Arguments of ``PromptSet.packing`` for the last layer."""
        return any(len(shape) == 2 for _, shape in self.deep), max((count for _, count in self.inserted), default=0)


NOTHING = Given()


class PromptSet(nn.Module):
    """C prompts, packed as a tree: the rows that all share, then the rest of each, its beginning only if it is new.

    Packed order is that of the entries, so prompts with a common beginning ("red circle", "red square") are neighbours.

    Args:
        prompts: one list of entries per prompt, up to and with end-of-text. An entry is a token id, or -1 - i for
            the i-th context vector. Leading entries that all prompts have in common become shared rows.
        embed: token ids (N,) to embeddings (N, d).

    Attributes:
        sources: each prompt in packed order, as a list of entries: a row of ``fixed``, or -1 - i.
        order: class number of each prompt in packed order (C,).
        rank: packed number of each class (C,).
        fixed: embeddings of the tokens that occur (F, d).
        tokens: row of ``fixed`` of each packed row; any for a context row (R,).
        positions: position of each packed row in its prompt (R,).
        context_rows: the rows that hold context vectors (L,).
        context_index: number of the context vector in each of them (L,).
    """

    rank: Tensor
    fixed: Tensor
    tokens: Tensor
    positions: Tensor
    context_rows: Tensor
    context_index: Tensor

    def __init__(self, prompts: Sequence[Sequence[int]], embed) -> None:
        super().__init__()
        tokens = sorted({entry for prompt in prompts for entry in prompt if entry >= 0})
        row_of = {token: i for i, token in enumerate(tokens)}
        sources = [[row_of.get(entry, entry) for entry in prompt] for prompt in prompts]
        order = sorted(range(len(sources)), key=sources.__getitem__)
        fixed = embed(torch.tensor(tokens)).detach()
        self._pack([sources[c] for c in order], order, _common_start(sources), fixed)

    def packing(self, separate: bool = False, inserted: int = 0) -> Packing:
        """Return the packing of these prompts.

        Args:
            separate: whether prompts differ from position 1 on; else they share what they have in common.
            inserted: number of rows behind the first one that are not in the prompts.
        """
        key = (separate, inserted)
        if key not in self._packings:
            if separate:  # position 0 sees no other, and the inserted rows see only what all prompts have
                shared = min(1, self._shared) + inserted * (self._shared > 0)
                rest = [len(prompt) + inserted - shared for prompt in self.sources]
                bounds = np.cumsum([shared, *rest]).tolist()
                paths = [[*range(shared), *range(*pair)] for pair in itertools.pairwise(bounds)]
            else:
                shared = self._shared + inserted
                prompts = [[prompt[0], *[prompt[0]] * inserted, *prompt[1:]] for prompt in self.sources]
                paths = tree_of(prompts, shared)[2]
            self._packings[key] = Packing(shared, paths, *blocks_of(shared, paths))
        return self._packings[key]

    def chunks(self, rows: int, separate: bool = False, inserted: int = 0) -> list["PromptSet"]:
        """Return smaller sets of whole prompts, in packed order: each of at most ``rows`` rows, or of one prompt.

        Args:
            rows: packed rows, counted in the packing that the other arguments name.
        """
        packing = self.packing(separate, inserted)
        made, start = [], 0
        for count in fill(packing.paths, packing.shared, rows):
            chunk, part = PromptSet.__new__(PromptSet), slice(start, start + count)
            nn.Module.__init__(chunk)
            chunk._pack(self.sources[part], self.order[part], self._shared, self.fixed)
            made.append(chunk)
            start += count
        return made

    def packed(self, contexts: int, dtype: torch.dtype, layers: int, given: Given = NOTHING) -> PackedPrompts:
        """Return what an encoder of so many layers reads, under B contexts.

        Deep and inserted rows make the packing change: inserted rows make all prompts longer, and rows per class make
        prompts differ that shared more than position 0. Then ``LayerRows.source`` names the new rows.
        """
        deep, inserted = dict(given.deep), dict(given.inserted)
        before = packing = self.packing()
        layout, layer_rows, separate, added = self.attention_for(packing, contexts, dtype), [], False, 0
        for layer in range(layers):
            shape, count = deep.get(layer), inserted.get(layer, 0)
            separate, known, added = separate or len(shape or ()) == 2, added, count or added
            source = None
            if shape or count:
                packing = self.packing(separate, added)
                layout = layout if packing is before else self.attention_for(packing, contexts, dtype)
                source = self._source(before, packing, contexts, shape or (0,), count, known)
                before = packing
            layer_rows.append(LayerRows(layout, source))
        return PackedPrompts(
            self.fixed,
            self.tokens,
            self.positions,
            self.positions.index_select(0, self.context_rows),
            self.context_index,
            in_contexts(self.context_rows, len(self.positions), contexts),
            layer_rows,
        )

    def attention_for(self, packing: Packing, contexts: int, dtype: torch.dtype) -> Layout:
        """Return a packing of these prompts under B contexts."""
        device, rows = self.fixed.device, packing.rows
        eot_rows = torch.tensor([path[-1] for path in packing.paths])
        return Layout(
            in_contexts(packing.gather, rows, contexts).to(device),
            in_contexts(packing.scatter, len(packing.gather), contexts).to(device),
            in_contexts(eot_rows, rows, contexts).to(device),
            packing.mask.to(device, dtype).repeat(contexts, 1, 1, 1),
        )

    def _source(self, before: Packing, after: Packing, contexts: int, deep, count: int, known: int) -> Tensor:
        """``LayerRows.source``: the vectors given are numbered from B R on, deep ones first, then inserted ones.

        Args:
            deep: (n,) or (C, n). count: number of inserted rows given. known: number of those there are already.
        """
        source, first = np.zeros(after.rows, dtype=np.int64), before.rows
        own = [first + c * deep[1] for c in self.order] if len(deep) == 2 else [first] * len(self.order)
        first_inserted = first + int(np.prod(deep))
        for path, vectors, rows in zip(before.paths, own, after.paths, strict=True):
            added = range(first_inserted, first_inserted + count) if count else path[1 : 1 + known]
            rest = path[1 + known :]
            rest[: deep[-1]] = range(vectors, vectors + min(deep[-1], len(rest)))
            source[rows] = [path[0], *added, *rest]
        every = torch.from_numpy(source) + before.rows * torch.arange(contexts).unsqueeze(1)
        given = torch.from_numpy(source) + before.rows * (contexts - 1)
        return torch.where(torch.from_numpy(source >= before.rows), given, every).flatten().to(self.fixed.device)

    def _pack(self, sources: list[list[int]], order: list[int], shared: int, fixed: Tensor) -> None:
        """Set all attributes for prompts in packed order."""
        self.sources, self.order, self._shared = sources, order, shared
        self._packings: dict[tuple[bool, int], Packing] = {}
        entries, positions, _ = tree_of(sources, shared)
        context_rows = [row for row, entry in enumerate(entries) if entry < 0]
        buffers = {
            "fixed": fixed,
            "tokens": torch.tensor(entries).clamp_min(0),
            "positions": torch.tensor(positions),
            "rank": torch.tensor(order).argsort(),
            "context_rows": torch.tensor(context_rows, dtype=torch.long),
            "context_index": torch.tensor([-1 - entries[row] for row in context_rows], dtype=torch.long),
        }
        for name, value in buffers.items():
            self.register_buffer(name, value.to(fixed.device), persistent=False)


def _common_start(prompts: Sequence[Sequence[int]]) -> int:
    """Number of leading entries that all prompts share; each keeps at least one row of its own."""
    first, last = (
        min(map(list, prompts)),
        max(map(list, prompts)),
    )  # what these two share in the order of lists, all between them do
    return min(in_common(first, last), min(map(len, prompts)) - 1)
