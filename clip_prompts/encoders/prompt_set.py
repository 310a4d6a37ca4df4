"""A set of prompts as the text encoder computes it: one packed list of rows, without padding or repetition."""

import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

# Attention's blocks have a multiple of so many rows, as many numbers as a processor takes at once, and at least twice
# so many: more waste arithmetic on rows of other prompts, fewer make too many small products.
STEP = 16


class PromptSet(nn.Module):
    """C prompts, packed as a tree: rows that all share, then the rest of each, its beginning only if it is new.

    Packed order is that of the entries, so prompts with a common beginning ("red circle", "red square") are neighbours.

    Args:
        prompts: one list of entries per prompt, up to and with end-of-text. An entry is a token id, or -1 - i for
            the i-th learned vector. Leading entries that all prompts have in common become shared rows.
        embed: token ids (N,) to embeddings (N, d).

    Attributes:
        shared: number of shared rows, P. longest: rows of the longest prompt, the shared ones included.
        sources: each prompt in packed order, as a list of entries: a row of ``fixed``, or -1 - i.
        fixed: embeddings of the tokens that occur (F, d). tokens: of each row, its row there, or any (R,).
        positions: place of each row in its prompt (R,). ends: row of each prompt's end-of-text (C,), packed order.
        rank: where each prompt stands in packed order (C,).
        places: the rows of learned vectors (L,). vectors: which of them each is (L,).
        gather, scatter, mask: attention in N blocks of n rows, each of the shared rows and those of some whole prompts:
            the packed row that each row of a block is (N * n,); where each packed row stands among them (R,); and
            which rows of its block a row looks at, 0 or -inf (N, 1, n, n).
    """

    def __init__(self, prompts: Sequence[Sequence[int]], embed) -> None:
        super().__init__()
        tokens = sorted({entry for prompt in prompts for entry in prompt if entry >= 0})
        row_of = {token: i for i, token in enumerate(tokens)}
        sources = [[row_of.get(entry, entry) for entry in prompt] for prompt in prompts]
        order = sorted(range(len(sources)), key=sources.__getitem__)
        fixed, rank = embed(torch.tensor(tokens)).detach(), torch.tensor(order).argsort()
        self._pack([sources[c] for c in order], _common_start(sources), fixed, rank)

    def token_rows(self) -> Tensor:
        """Embeddings of all rows (R, d); those of learned vectors hold some token's."""
        return self.fixed.index_select(0, self.tokens)

    def learned_rows(self, learned: Tensor) -> Tensor:
        """The rows ``places`` (B, L, d) under learned vectors (B, K, d)."""
        return learned.index_select(1, self.vectors)

    def under(self, contexts: int, dtype: torch.dtype) -> "Attention":
        """What attention looks up under B contexts."""
        rows, mask = len(self.scatter), self.mask.to(dtype)
        return Attention(
            gather=in_contexts(self.gather, rows, contexts),
            scatter=in_contexts(self.scatter, len(self.gather), contexts),
            ends=in_contexts(self.ends, rows, contexts),
            mask=mask if contexts == 1 else mask.repeat(contexts, 1, 1, 1),
        )

    def runs(self, rows: int) -> list["PromptSet"]:
        """Smaller sets of whole prompts, in packed order: each of at most ``rows`` rows, or of one prompt.

        The shared rows belong to every one of them. Their prompts are not put back in the order of the classes.
        The last result is kept, since every step asks for the same.
        """
        asked = (rows, self.positions.device)
        if self._made_runs[0] != asked:
            prompts, made = iter(self.sources), []
            for count in _fill(self._paths, rows - self.shared):
                run = PromptSet.__new__(PromptSet)
                nn.Module.__init__(run)
                run._pack(list(itertools.islice(prompts, count)), self.shared, self.fixed, torch.arange(count))
                made.append(run)
            self._made_runs = (asked, made)
        return self._made_runs[1]

    def _pack(self, sources: list[list[int]], shared: int, fixed: Tensor, rank: Tensor) -> None:
        """Set all attributes for prompts that stand in packed order."""
        self.sources, self.shared, self.longest = sources, shared, max(map(len, sources))
        source, positions, self._paths = _tree(sources, shared)
        gather, scatter, mask = _blocks(shared, self._paths, len(source))
        places = [row for row, entry in enumerate(source) if entry < 0]
        buffers = {
            "fixed": fixed,
            "tokens": torch.tensor(source).clamp_min(0),
            "vectors": torch.tensor([-1 - source[row] for row in places], dtype=torch.long),
            "positions": torch.tensor(positions),
            "ends": torch.tensor([path[-1] for path in self._paths]),
            "rank": rank,
            "places": torch.tensor(places, dtype=torch.long),
            "gather": gather,
            "scatter": scatter,
            "mask": mask,
        }
        for name, value in buffers.items():
            self.register_buffer(name, value.to(fixed.device), persistent=False)
        self._made_runs: tuple = (None, [])


class Attention(NamedTuple):
    """Attention in the blocks of a ``PromptSet`` under B contexts, whose rows stand one after another."""

    gather: Tensor  # packed row of each row of the blocks (B N n,)
    scatter: Tensor  # where each packed row stands among them (B R,)
    ends: Tensor  # packed rows of end-of-text (B C,)
    mask: Tensor  # 0 or -inf (B N, 1, n, n)


def in_contexts(rows: Tensor, of: int, contexts: int) -> Tensor:
    """Row numbers below ``of`` in one context, to those in B contexts that stand one after another."""
    if contexts == 1:
        return rows
    return (rows + of * torch.arange(contexts, device=rows.device).unsqueeze(1)).flatten()


def _tree(prompts: Sequence[Sequence[int]], shared: int) -> tuple[list[int], list[int], list[list[int]]]:
    """Rows of prompts in packed order: each one's entry, its place in its prompt, and of each prompt its own rows."""
    entries, places, paths = list(prompts[0][:shared]), list(range(shared)), []
    before: Sequence[int] = ()
    for prompt in prompts:
        known = _in_common(prompt, before) - shared if paths else 0
        first = len(entries)
        entries += prompt[shared + known :]
        places += range(shared + known, len(prompt))
        paths.append([*(paths[-1][:known] if paths else ()), *range(first, len(entries))])
        before = prompt
    return entries, places, paths


def _blocks(shared: int, paths: Sequence[Sequence[int]], rows: int) -> tuple[Tensor, Tensor, Tensor]:
    """``gather``, ``scatter`` and ``mask`` of a ``PromptSet`` of so many rows."""
    size = shared + max(min(shared, rows - shared), max(map(len, paths)))
    size = max(2 * STEP, -(-size // STEP) * STEP)
    counts = list(_fill(paths, size - shared))
    gather = np.zeros((len(counts), size), dtype=np.int64)
    scatter = np.arange(rows)
    sees = np.zeros((len(counts), size, size), dtype=bool)
    gather[:, :shared], sees[:, :shared, :shared] = np.arange(shared), np.tri(shared, dtype=bool)
    remaining = iter(paths)
    for block, count in enumerate(counts):
        at: dict[int, int] = {}  # packed row -> row of the block
        for path in itertools.islice(remaining, count):
            for row in path:
                if row in at:
                    continue
                here = at[row] = shared + len(at)
                gather[block, here] = row
                scatter[row] = block * size + here  # of several blocks that have it, any
                sees[block, here, :shared] = True
                sees[block, here, [at[r] for r in path if r <= row]] = True
    sees[~sees.any(axis=-1), 0] = True  # rows that fill up a block are not read, but must not be NaN
    mask = torch.zeros(sees.shape).masked_fill(torch.from_numpy(~sees), float("-inf"))
    return torch.from_numpy(gather.ravel()), torch.from_numpy(scatter), mask.unsqueeze(1)


def _fill(paths: Sequence[Sequence[int]], rows: int) -> Iterator[int]:
    """How many of the next prompts go together, so that each run has at most ``rows`` own rows, or one prompt."""
    count = size = 0
    before: Sequence[int] = ()
    for path in paths:
        new = len(path) - _in_common(path, before)
        if count and size + new > rows:
            yield count
            count, size, new = 0, 0, len(path)
        count, size, before = count + 1, size + new, path
    yield count


def _in_common(one: Sequence[int], other: Sequence[int]) -> int:
    """Number of leading entries that two lists share."""
    limit = min(len(one), len(other))
    return next((i for i in range(limit) if one[i] != other[i]), limit)


def _common_start(prompts: Sequence[Sequence[int]]) -> int:
    """Number of leading entries that all prompts share; each keeps at least one row of its own."""
    first, last = min(prompts), max(prompts)  # what these two share in the order of lists, all between them do
    return min(_in_common(first, last), min(map(len, prompts)) - 1)
