"""OpenAI's tokenizer, restricted to the words of the captions, and compact row numbers for their tokens."""

import re

import numpy as np
import torch

_PIECE = re.compile(r"[a-z]+|[.,]")


class Vocabulary:
    """The tokens that captions use.

    ``ids`` (V,) holds their numbers in OpenAI's vocabulary in ascending order, so the end-of-text token has the
    highest compact number too, as the text encoder expects.
    """

    def __init__(self, words: list[str]):
        from clip import tokenize  # pulls in torchvision; tests of other parts do not need it

        self._openai: dict[str, list[int]] = {}
        for piece in sorted({piece for word in words for piece in _PIECE.findall(word)}):
            row = tokenize(piece)[0]
            self._openai[piece] = row[1 : row.argmax()].tolist()
        self.start, self.end = int(row[0]), int(row.max())
        self.ids = sorted({self.start, self.end, *(i for part in self._openai.values() for i in part)})
        self._compact = {number: row for row, number in enumerate(self.ids)}
        self._rows = {piece: [self._compact[i] for i in part] for piece, part in self._openai.items()}

    def openai_ids(self, caption: str) -> list[int]:
        """The caption's numbers in OpenAI's vocabulary, start and end token included."""
        return [self.start, *(i for piece in _PIECE.findall(caption) for i in self._openai[piece]), self.end]

    def encode(self, captions: list[str]) -> torch.Tensor:
        """Compact numbers (captions, longest), padded with 0.

        The text encoder is causal and reads the end token, so padding after it changes nothing.
        """
        rows = []
        for caption in captions:
            inner = [row for piece in _PIECE.findall(caption) for row in self._rows[piece]]
            rows.append([self._compact[self.start], *inner, self._compact[self.end]])
        out = np.zeros((len(rows), max(map(len, rows))), dtype=np.int64)
        for line, row in zip(out, rows, strict=True):
            line[: len(row)] = row
        return torch.from_numpy(out)
