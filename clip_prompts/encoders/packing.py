"""Packings: the rows of prompts without padding or repetition, and the blocks in which attention sees them."""

import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

# Attention's blocks have a multiple of so many rows, as many numbers as a processor takes at once, and at least twice
# so many: larger blocks waste arithmetic on rows of other prompts, smaller ones make too many small products.
STEP = 16


class Packing(NamedTuple):
    """The rows of C prompts, and the blocks of rows in which attention sees them.

    There are N blocks of n rows. Each holds the shared rows, then the other rows of some whole prompts.
    """

    shared: int  # number of leading rows that all prompts share
    paths: list[list[int]]  # rows of each prompt, from start to end-of-text
    gather: Tensor  # packed row of each row of the blocks (N * n,)
    scatter: Tensor  # number of each packed row among the rows of the blocks (R,)
    mask: Tensor  # 0 where a row of a block sees another one, else -inf (N, 1, n, n)

    @property
    def rows(self) -> int:
        """Number of packed rows, R."""
        return len(self.scatter)

    @property
    def longest(self) -> int:
        """Rows of the longest prompt."""
        return max(map(len, self.paths))

    @property
    def spread(self) -> float:
        """Rows of attention's blocks per packed row: each block repeats the shared rows and is filled up."""
        return len(self.gather) / self.rows


def in_contexts(rows: Tensor, of: int, contexts: int) -> Tensor:
    """Row numbers below ``of`` in one context, to those in B contexts one after another."""
    if contexts == 1:
        return rows
    return (rows + of * torch.arange(contexts, device=rows.device).unsqueeze(1)).flatten()


def tree_of(prompts: Sequence[Sequence[int]], shared: int) -> tuple[list[int], list[int], list[list[int]]]:
    """Pack prompts in packed order: entry of each row, its position in its prompt, and the rows of each prompt."""
    start = list(range(shared))
    entries, positions = list(prompts[0][:shared]), list(start)
    paths: list[list[int]] = []
    before: Sequence[int] = ()
    for prompt in prompts:
        known = in_common(prompt, before) if paths else shared
        first = len(entries)
        entries += prompt[known:]
        positions += range(known, len(prompt))
        paths.append([*(paths[-1][:known] if paths else start), *range(first, len(entries))])
        before = prompt
    return entries, positions, paths


def blocks_of(shared: int, paths: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor, Tensor]:
    """``gather``, ``scatter`` and ``mask`` of a ``Packing``."""
    rows = 1 + max(path[-1] for path in paths)
    size = max(min(2 * shared, rows), max(map(len, paths)))
    size = max(2 * STEP, -(-size // STEP) * STEP)
    counts = list(fill(paths, shared, size))
    gather = np.zeros((len(counts), size), dtype=np.int64)
    scatter = np.arange(rows)
    sees = np.zeros((len(counts), size, size), dtype=bool)
    gather[:, :shared], sees[:, :shared, :shared] = np.arange(shared), np.tri(shared, dtype=bool)
    remaining = iter(paths)
    for block, count in enumerate(counts):
        row_in_block: dict[int, int] = {}
        for path in itertools.islice(remaining, count):
            for row in path[shared:]:
                if row in row_in_block:
                    continue
                here = row_in_block[row] = shared + len(row_in_block)
                gather[block, here] = row
                scatter[row] = block * size + here  # of several blocks that have it, any
                sees[block, here, :shared] = True
                sees[block, here, [row_in_block[r] for r in path[shared:] if r <= row]] = True
    sees[~sees.any(axis=-1), 0] = True  # rows that fill up a block are not read, but must not be NaN
    mask = torch.zeros(sees.shape).masked_fill(torch.from_numpy(~sees), float("-inf"))
    return torch.from_numpy(gather.ravel()), torch.from_numpy(scatter), mask.unsqueeze(1)


def fill(paths: Sequence[Sequence[int]], shared: int, rows: int) -> Iterator[int]:
    """Yield how many of the next prompts go together: at most ``rows`` rows with the shared ones, or one prompt."""
    count, size = 0, shared
    before: Sequence[int] = ()
    for path in paths:
        new = len(path) - max(shared, in_common(path, before))
        if count and size + new > rows:
            yield count
            count, size, new = 0, shared, len(path) - shared
        count, size, before = count + 1, size + new, path
    yield count


def in_common(one: Sequence[int], other: Sequence[int]) -> int:
    """Number of leading entries that two lists share."""
    limit = min(len(one), len(other))
    return next((i for i in range(limit) if one[i] != other[i]), limit)
