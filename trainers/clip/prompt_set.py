"""A set of prompts as the text encoder computes it: one packed list of rows, without padding or repetition."""

import itertools
from collections.abc import Sequence

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
        row_of |= {-1 - i: len(tokens) + i for i in range(_learned(entries))}
        buffers = {
            "fixed": embed(torch.tensor(tokens)).detach(),  # (F, d)
            "source": torch.tensor([row_of[e] for e in entries]),
            "positions": torch.tensor(places),
            "ends": self.shared - 1 + torch.tensor(lengths).cumsum(0),
            "rank": torch.tensor(order).argsort(),
            "causal": torch.full((max(lengths), max(lengths)), float("-inf")).triu(1),
        }
        for name, value in buffers.items():
            self.register_buffer(name, value, persistent=False)

    def rows(self, learned: Tensor | None) -> Tensor:
        """Embeddings of all rows (B, R, d) under learned vectors (B, K, d), or without any (1, R, d)."""
        if learned is None:
            return self.fixed[self.source].unsqueeze(0)
        fixed = self.fixed.expand(len(learned), -1, -1)
        return torch.cat([fixed, learned.to(fixed.dtype)], dim=1)[:, self.source]


def _common_start(prompts: Sequence[Sequence[int]]) -> int:
    """Number of leading entries that all prompts share; each keeps at least one row of its own."""
    limit = min(map(len, prompts)) - 1
    return next((i for i in range(limit) if len({p[i] for p in prompts}) > 1), limit)


def _learned(entries: Sequence[int]) -> int:
    return max((-e for e in entries if e < 0), default=0)
