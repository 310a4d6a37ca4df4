"""A set of prompts as the text encoder computes it: one packed list of rows, without padding or repetition."""

import itertools
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

# Own rows of an attention block; more waste arithmetic on rows of other prompts, fewer make too many small products.
BLOCK_ROWS = 32


class PromptSet(nn.Module):
    """C prompts, packed as [rows that all share | rest of one prompt | rest of the next ...], shortest first.

    Args:
        prompts: one list of entries per prompt, up to and with end-of-text. An entry is a token id, or -1 - i for
            the i-th learned vector. Leading entries that all prompts have in common become shared rows.
        embed: token ids (N,) to embeddings (N, d).

    Attributes:
        shared: number of shared rows, P. lengths: rows of each prompt behind the shared ones, ascending.
        positions: place of each row in its prompt (R,). ends: row of each prompt's end-of-text (C,), packed order.
        rank: where each prompt stands in packed order (C,).
        places: the rows of learned vectors (L,).
        gather, scatter, mask: attention in N blocks of n rows, each of the shared rows and some whole prompts:
            the packed row that each row of a block is (N * n,); where each packed row stands among them (R,); and
            which rows of its block a row looks at, 0 or -inf (N, 1, n, n).
    """

    def __init__(self, prompts: Sequence[Sequence[int]], embed) -> None:
        super().__init__()
        order = sorted(range(len(prompts)), key=lambda c: len(prompts[c]))
        self.shared = _common_start(prompts)
        self.lengths = tuple(len(prompts[c]) - self.shared for c in order)
        entries = [*prompts[0][: self.shared], *(e for c in order for e in prompts[c][self.shared :])]
        places = [*range(self.shared), *(p for n in self.lengths for p in range(self.shared, self.shared + n))]

        tokens = sorted({e for e in entries if e >= 0})
        row_of = {token: i for i, token in enumerate(tokens)}
        self._buffers_from(
            fixed=embed(torch.tensor(tokens)).detach(),  # (F, d)
            source=torch.tensor([row_of.get(e, e) for e in entries]),  # a row of ``fixed``, or -1 - i
            positions=torch.tensor(places),
            rank=torch.tensor(order).argsort(),
        )

    def token_rows(self) -> Tensor:
        """Embeddings of all rows (1, R, d); those of learned vectors hold some token's."""
        return self.fixed[self.source.clamp_min(0)].unsqueeze(0)

    def learned_rows(self, learned: Tensor) -> Tensor:
        """The rows ``places`` (B, L, d) under learned vectors (B, K, d)."""
        return learned.index_select(1, -1 - self.source[self.places])

    def runs(self, rows: int) -> list["PromptSet"]:
        """Smaller sets of whole prompts, in packed order: each of at most ``rows`` rows, or of one prompt.

        The shared rows belong to every one of them. Their prompts are not put back in the order of the classes.
        The last result is kept, since every step asks for the same.
        """
        asked = (rows, self.source.device)
        if self._made_runs[0] != asked:
            first, skipped, made = 0, 0, []
            for count in _fill(self.lengths, rows - self.shared):
                lengths = self.lengths[first : first + count]
                made.append(self._run(skipped, lengths))
                first, skipped = first + count, skipped + sum(lengths)
            self._made_runs = (asked, made)
        return self._made_runs[1]

    def _run(self, skipped: int, lengths: tuple[int, ...]) -> "PromptSet":
        """The prompts of these lengths, behind ``skipped`` rows of other prompts."""
        run = PromptSet.__new__(PromptSet)
        nn.Module.__init__(run)
        run.shared, run.lengths = self.shared, lengths
        own = slice(self.shared + skipped, self.shared + skipped + sum(lengths))
        run._buffers_from(
            fixed=self.fixed,
            source=torch.cat([self.source[: self.shared], self.source[own]]),
            positions=torch.cat([self.positions[: self.shared], self.positions[own]]),
            rank=torch.arange(len(lengths)),
        )
        return run

    def _buffers_from(self, **buffers: Tensor) -> None:
        self._made_runs: tuple = (None, [])
        source = buffers["source"]
        buffers["places"] = (source < 0).nonzero()[:, 0]
        buffers["ends"] = self.shared - 1 + torch.tensor(self.lengths).cumsum(0)
        buffers["gather"], buffers["scatter"], buffers["mask"] = _blocks(self.shared, self.lengths)
        for name, value in buffers.items():
            self.register_buffer(name, value.to(source.device), persistent=False)


def _blocks(shared: int, lengths: Sequence[int]) -> tuple[Tensor, Tensor, Tensor]:
    """``gather``, ``scatter`` and ``mask`` of a ``PromptSet``."""
    own = max(BLOCK_ROWS, max(lengths))
    counts = list(_fill(lengths, own))
    size = shared + own
    gather = torch.zeros(len(counts), size, dtype=torch.long)
    scatter = torch.arange(shared + sum(lengths))
    sees = torch.zeros(len(counts), size, size, dtype=torch.bool)
    sees[:, :, 0] = True  # rows that fill up a block are not read, but must not be NaN
    gather[:, :shared], sees[:, :shared, :shared] = torch.arange(shared), torch.ones(shared, shared).tril().bool()
    row, remaining = shared, iter(lengths)
    for block, count in enumerate(counts):
        at = shared
        for length in itertools.islice(remaining, count):
            here = slice(at, at + length)
            gather[block, here] = torch.arange(row, row + length)
            scatter[row : row + length] = block * size + torch.arange(at, at + length)
            sees[block, here, 0] = False
            sees[block, here, :shared] = True
            sees[block, here, here] = torch.ones(length, length).tril().bool()
            at, row = at + length, row + length
    mask = torch.zeros(sees.shape).masked_fill(~sees, float("-inf"))
    return gather.flatten(), scatter, mask.unsqueeze(1)


def _fill(lengths: Sequence[int], rows: int) -> Iterator[int]:
    """How many of the next prompts go together, so that each run has at most ``rows`` rows, or one prompt."""
    count = size = 0
    for length in lengths:
        if count and size + length > rows:
            yield count
            count = size = 0
        count, size = count + 1, size + length
    yield count


def _common_start(prompts: Sequence[Sequence[int]]) -> int:
    """Number of leading entries that all prompts share; each keeps at least one row of its own."""
    limit = min(map(len, prompts)) - 1
    return next((i for i in range(limit) if len({p[i] for p in prompts}) > 1), limit)
