"""A set of prompts as the text encoder computes it: one packed list of rows, without padding or repetition."""

import itertools
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn


class PromptSet(nn.Module):
    """C prompts, packed as [rows that all share | rest of one prompt | rest of the next ...], shortest first.

    Args:
        prompts: one list of entries per prompt, up to and with end-of-text. An entry is a token id, or -1 - i for
            the i-th learned vector. Leading entries that all prompts have in common become shared rows.
        embed: token ids (N,) to embeddings (N, d).

    Attributes:
        shared: number of shared rows, P. groups: (number of prompts, rows of each) of runs of equal length.
        positions: place of each row in its prompt (R,). ends: row of each prompt's end-of-text (C,), packed order.
        rank: where each prompt stands in packed order (C,).
    """

    def __init__(self, prompts: Sequence[Sequence[int]], embed) -> None:
        super().__init__()
        order = sorted(range(len(prompts)), key=lambda c: len(prompts[c]))
        self.shared = _common_start(prompts)
        lengths = [len(prompts[c]) - self.shared for c in order]
        self.groups = tuple((len(list(run)), length) for length, run in itertools.groupby(lengths))
        entries = [*prompts[0][: self.shared], *(e for c in order for e in prompts[c][self.shared :])]
        places = [*range(self.shared), *(p for n in lengths for p in range(self.shared, self.shared + n))]

        tokens = sorted({e for e in entries if e >= 0})
        row_of = {token: i for i, token in enumerate(tokens)}
        self._buffers_from(
            fixed=embed(torch.tensor(tokens)).detach(),  # (F, d)
            source=torch.tensor([row_of.get(e, e) for e in entries]),  # a row of ``fixed``, or -1 - i
            positions=torch.tensor(places),
            ends=self.shared - 1 + torch.tensor(lengths).cumsum(0),
            rank=torch.tensor(order).argsort(),
            causal=torch.full((max(lengths), max(lengths)), float("-inf")).triu(1),
        )

    def rows(self, learned: Tensor | None) -> Tensor:
        """Embeddings of all rows (B, R, d) under learned vectors (B, K, d), or without any (1, R, d)."""
        fixed = self.fixed[self.source.clamp_min(0)].unsqueeze(0)
        if learned is None:
            return fixed
        # Only the learned rows are part of the gradient.
        values = learned.index_select(1, -1 - self.source[self.places]).to(fixed.dtype)
        return fixed.expand(len(learned), -1, -1).index_copy(1, self.places, values)

    def runs(self, rows: int) -> Iterator["PromptSet"]:
        """Smaller sets of whole prompts, in packed order: each of at most ``rows`` rows, or of one prompt.

        The shared rows belong to every one of them. Their prompts are not put back in the order of the classes.
        """
        counts = [length for count, length in self.groups for _ in range(count)]
        first = 0
        while first < len(counts):
            last, size = first + 1, self.shared + counts[first]
            while last < len(counts) and size + counts[last] <= rows:
                size += counts[last]
                last += 1
            yield self._run(first, last, sum(counts[:first]), counts[first:last])
            first = last

    def _run(self, first: int, last: int, skipped: int, lengths: list[int]) -> "PromptSet":
        """Prompts first .. last - 1 in packed order, of these lengths, behind ``skipped`` rows of other prompts."""
        run = PromptSet.__new__(PromptSet)
        nn.Module.__init__(run)
        run.shared = self.shared
        run.groups = tuple((len(list(equal)), length) for length, equal in itertools.groupby(lengths))
        own = slice(self.shared + skipped, self.shared + skipped + sum(lengths))
        run._buffers_from(
            fixed=self.fixed,
            source=torch.cat([self.source[: self.shared], self.source[own]]),
            positions=torch.cat([self.positions[: self.shared], self.positions[own]]),
            ends=self.ends[first:last] - skipped,
            rank=torch.arange(last - first, device=self.ends.device),
            causal=self.causal,
        )
        return run

    def _buffers_from(self, **buffers: Tensor) -> None:
        for name, value in buffers.items():
            self.register_buffer(name, value, persistent=False)
        self.register_buffer("places", (buffers["source"] < 0).nonzero()[:, 0], persistent=False)  # of learned rows


def _common_start(prompts: Sequence[Sequence[int]]) -> int:
    """Number of leading entries that all prompts share; each keeps at least one row of its own."""
    limit = min(map(len, prompts)) - 1
    return next((i for i in range(limit) if len({p[i] for p in prompts}) > 1), limit)
