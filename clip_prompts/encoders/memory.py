"""Memory of text encoding: predicted, kept below a limit, and halved where the prediction was too low."""

import gc
import math
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import torch

from clip_prompts.common.errors import UserError

from .packing import Packing

GB = 2**30
# Rows at once where no gradient is needed and no limit is given: more are no faster, and take more memory.
EVALUATION_ROWS = {"cpu": 2**12, "cuda": 2**16}
# Memory of the contexts that go forward and backward at once where they need not all: with more, a CPU is no more than
# 3 % faster. It is that of one image of CoCoOp's with 50 classes and ViT-B/16 (docs/performance.md).
PART_GB = {"cpu": 0.1}
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class TextShape:
    """Sizes that the memory of text encoding depends on, apart from the prompts."""

    layers: int  # L
    width: int  # d
    heads: int  # h
    joint: int  # D
    bytes: int  # of a number, 4 for fp32
    device: str = "cpu"


# Numbers per row in units of d: kept by a layer for its backward pass (the MLP's hidden values), needed while a layer
# computes, and, in both cases, per row of attention's blocks (queries, keys, values, and what was seen).
KEPT_WIDTHS = 4
COMPUTING_WIDTHS = 12
BLOCK_WIDTHS = 4
# The process grows by more than the tensors it holds; measured on Linux, 1.3 to 1.4 times at 200 to 1,600 rows.
OVERHEAD = 1.35


def peak_bytes(shape: TextShape, rows: int, spread: float, backward: bool = True) -> int:
    """Predicted peak of the activations of one encoding.

    Each layer keeps, per row, the two inputs of its norms (always float32) and the MLP's 4 d hidden values, and, per
    row of attention's blocks, queries, keys, values and result; on top comes what one layer needs while it computes.
    Weights are frozen, so the inputs of linear layers are not kept.

    Args:
        rows: packed rows, of all contexts together (B * R). spread: of the packing.
        backward: whether a backward pass follows; else nothing is kept from layer to layer.
    """
    kept = shape.width * (2 * 4 + shape.bytes * (KEPT_WIDTHS + BLOCK_WIDTHS * spread))
    computing = shape.width * shape.bytes * (COMPUTING_WIDTHS + BLOCK_WIDTHS * spread)
    return round(rows * OVERHEAD * (computing + (shape.layers * kept if backward else 0)))


class MemoryBudget:
    """Decides how many packed rows are encoded at once.

    Args:
        gigabytes: for the activations of text encoding, forward and backward (1 GB = 2^30 bytes); 0 is no limit.
            CLIP's weights, the image encoder and Python itself come on top.

    Attributes:
        most_rows: limit of rows at once since memory ran out; None before. Plans made under another limit are void.
        last: rows of the largest chunk that was encoded last, and of the longest prompt. The encoder sets it.

    Raises:
        UserError: a negative limit.
    """

    def __init__(self, gigabytes: float = 0.0) -> None:
        if gigabytes < 0:
            raise UserError(f"MEMORY_GB {gigabytes} is below 0. Give a number of gigabytes, or 0 for no limit")
        self.gigabytes = gigabytes
        self.most_rows: int | None = None
        self.last = (0, 0)
        self._announced = False

    def rows_at_once(self, shape: TextShape, packing: Packing, batch: int, gradient: bool) -> int:
        """Packed rows of one chunk, for B = ``batch`` contexts with or without a backward pass."""
        everything = batch * packing.rows
        rows = everything if gradient else EVALUATION_ROWS.get(shape.device, 2**12)
        if self.gigabytes:
            limit, one = self.gigabytes * GB, peak_bytes(shape, 1, packing.spread, gradient)
            if not gradient:
                rows = min(rows, int(limit / one))
            elif everything * one > limit:  # in chunks; all features and their gradients live through all of them
                rows = int((limit - _features_bytes(shape, packing, batch)) / one)
        return max(1, min(rows, self.most_rows or rows))

    def contexts_per_part(self, shape: TextShape, packing: Packing, batch: int) -> int:
        """Number of contexts, 1 to B = ``batch``, that go forward and backward within the limit and ``PART_GB``."""
        one = peak_bytes(shape, packing.rows, packing.spread) + _features_bytes(shape, packing, 1)
        limit = min(self.gigabytes or math.inf, PART_GB.get(shape.device, math.inf)) * GB
        return max(1, int(min(batch, limit / one, (self.most_rows or math.inf) / packing.rows)))

    def announce(self, shape: TextShape, packing: Packing, batch: int) -> None:
        """Print what a training step's text encoding will take; once, in one line."""
        if not self._announced:
            self._announced = True
            print(self.announcement(shape, packing, batch))

    def announcement(self, shape: TextShape, packing: Packing, batch: int) -> str:
        """Return the line that ``announce`` prints."""
        every = packing.rows
        rows = self.rows_at_once(shape, packing, batch, gradient=True)
        whole = peak_bytes(shape, batch * every, packing.spread)
        line = f"Text encoding: {batch} x {every:,} rows, predicted peak {_readable(whole)}"
        if rows >= batch * every:
            return line
        largest = max(rows, packing.longest)
        peak = peak_bytes(shape, largest, packing.spread) + _features_bytes(shape, packing, batch)
        line = f"{line} in one go, {_readable(peak)} in chunks of {rows:,} rows"
        return f"{line} (MEMORY_GB {self.gigabytes})" if self.gigabytes else line

    def retry(self, step: Callable[[], _Result]) -> _Result:
        """Call ``step``; whenever memory runs out, halve the chunk and call it again. Raises as ``shrink`` does."""
        while True:
            try:
                return step()
            except (MemoryError, RuntimeError) as error:
                self.shrink(error)

    def shrink(self, error: BaseException) -> None:
        """Halve the rows at once after memory ran out, and say so; raise any other error again.

        Raises:
            UserError: memory ran out with a single prompt at a time.
        """
        if not is_out_of_memory(error):
            raise error
        traceback.clear_frames(error.__traceback__)  # they hold the failed step's tensors
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        rows, fewest = self.last
        if rows <= fewest:
            raise UserError(
                "Out of memory, even with one prompt at a time: lower the batch size "
                "(DATALOADER.TRAIN_X.BATCH_SIZE, DATALOADER.TEST.BATCH_SIZE) or use a smaller backbone"
            )
        self.most_rows = max(fewest, rows // 2)
        print(f"Out of memory with {rows:,} rows of prompts at once: trying again with {self.most_rows:,}")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on a GPU or on the CPU."""
    text = str(error)
    return isinstance(error, (MemoryError, torch.cuda.OutOfMemoryError)) or any(
        sign in text for sign in ("allocate memory", "out of memory", "ALLOC_FAILED")
    )


def _features_bytes(shape: TextShape, packing: Packing, batch: int) -> int:
    """Features (B, C, D) of all prompts, in pieces, joined, normalised, and their gradients."""
    return 4 * batch * len(packing.paths) * shape.joint * shape.bytes


def _readable(size: float) -> str:
    return f"{size / GB:.2f} GB" if size >= GB else f"{size / 2**20:.1f} MB"
