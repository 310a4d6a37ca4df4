"""Memory of text encoding: predicted, kept below a limit, and halved where the prediction was too low."""

import gc
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from clip_prompts.common.errors import UserError

from .prompt_set import PromptSet

GB = 2**30
# Rows at once where no gradient is needed and no limit is given: more are no faster, and take more memory.
EVALUATION_ROWS = {"cpu": 2**12, "cuda": 2**16}
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class TextShape:
    """A text encoder's shape: L layers, width d, h heads, joint width D, bytes of a number (4 for fp32)."""

    layers: int
    width: int
    heads: int
    joint: int
    bytes: int


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
        rows: packed rows, of all contexts together (B * R). spread: see ``spread_of``.
        backward: whether a backward pass follows; else nothing is kept from layer to layer.
    """
    kept = shape.width * (2 * 4 + shape.bytes * (KEPT_WIDTHS + BLOCK_WIDTHS * spread))
    computing = shape.width * shape.bytes * (COMPUTING_WIDTHS + BLOCK_WIDTHS * spread)
    return round(rows * OVERHEAD * (computing + (shape.layers * kept if backward else 0)))


class MemoryBudget:
    """How many packed rows are encoded at once.

    Args:
        gigabytes: for the activations of text encoding, forward and backward (1 GB = 2^30 bytes); 0 is no limit.
            CLIP's weights, the image encoder and Python itself come on top.

    Raises:
        UserError: a negative limit.
    """

    def __init__(self, gigabytes: float = 0.0) -> None:
        if gigabytes < 0:
            raise UserError(f"MEMORY_GB {gigabytes} is below 0. Give gigabytes, or 0 for no limit")
        self.gigabytes = gigabytes
        self._most_rows: int | None = None  # after memory ran out
        self._last: tuple[int, int] | None = None  # rows of the last plan's largest chunk, and the fewest possible
        self._announced = False

    def encode(
        self,
        encode: Callable[[PromptSet, Tensor | None], Tensor],
        shape: TextShape,
        prompts: PromptSet,
        learned: Tensor | None,
    ) -> Tensor:
        """Encode in chunks that fit, each recomputed in the backward pass; in one go where everything fits.

        Args:
            encode: prompts and learned vectors (B, K, d) to features (B, C, D) in packed order.
            shape: of the encoder. prompts: C prompts. learned: (B, K, d), or None for prompts without any.

        Returns:
            What ``encode`` returns for everything: (B, C, D).
        """
        gradient = learned is not None and learned.requires_grad and torch.is_grad_enabled()
        batch = 1 if learned is None else len(learned)
        rows = self.rows_at_once(shape, prompts, batch, gradient)
        if gradient and not self._announced:
            self._announced = True
            print(self.announcement(shape, prompts, batch))
        every = len(prompts.positions)
        fewest = prompts.longest  # of one chunk
        self._last = (min(rows, batch * every), fewest)
        if rows >= batch * every:
            return encode(prompts, learned)

        def chunk(part: PromptSet, contexts: Tensor | None) -> Tensor:
            return checkpoint(encode, part, contexts, use_reentrant=False) if gradient else encode(part, contexts)

        parts = [prompts] if rows >= every else prompts.runs(rows)
        slices = [None] if learned is None else learned.split(max(1, rows // every))
        return torch.cat([torch.cat([chunk(part, one) for part in parts], dim=1) for one in slices])

    def rows_at_once(self, shape: TextShape, prompts: PromptSet, batch: int, gradient: bool) -> int:
        """Packed rows of one chunk, for B = ``batch`` contexts with or without a backward pass."""
        device = prompts.positions.device.type
        everything = batch * len(prompts.positions)
        rows = everything if gradient else EVALUATION_ROWS.get(device, 2**12)
        if self.gigabytes:
            limit, one = self.gigabytes * GB, peak_bytes(shape, 1, spread_of(prompts), gradient)
            if not gradient:
                rows = min(rows, int(limit / one))
            elif everything * one > limit:  # in chunks; all features and their gradients live through all of them
                rows = int((limit - _features_bytes(shape, prompts, batch)) / one)
        return max(1, min(rows, self._most_rows or rows))

    def contexts_at_once(self, shape: TextShape, prompts: PromptSet) -> int:
        """Contexts of an evaluation that are encoded at once."""
        return max(1, self.rows_at_once(shape, prompts, 1, gradient=False) // len(prompts.positions))

    def announcement(self, shape: TextShape, prompts: PromptSet, batch: int) -> str:
        """One line: what a training step's text encoding will take."""
        every, spread = len(prompts.positions), spread_of(prompts)
        rows = self.rows_at_once(shape, prompts, batch, gradient=True)
        whole = peak_bytes(shape, batch * every, spread)
        line = f"Text encoding: {batch} x {every:,} rows a step, predicted peak {_readable(whole)}"
        if rows >= batch * every:
            return line
        largest = max(rows, prompts.longest)
        peak = peak_bytes(shape, largest, spread) + _features_bytes(shape, prompts, batch)
        line = f"{line} in one go, {_readable(peak)} in chunks of {rows:,} rows"
        return f"{line} (MEMORY_GB {self.gigabytes})" if self.gigabytes else line

    def retry(self, step: Callable[[], _Result]) -> _Result:
        """Call ``step``; whenever memory runs out, halve the chunk and call it again.

        Raises:
            UserError: memory ran out with a single prompt at a time.
        """
        while True:
            try:
                return step()
            except (MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error):
                    raise
            # Outside of the handler: it would keep the failed step's tensors alive.
            self.halve()

    def halve(self) -> None:
        """Half as many rows at once from now on, and say so."""
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        rows, fewest = self._last or (0, 0)
        if rows <= fewest:
            raise UserError(
                "Out of memory, even with one prompt at a time: lower the batch size "
                "(DATALOADER.TRAIN_X.BATCH_SIZE, DATALOADER.TEST.BATCH_SIZE) or take a smaller backbone"
            )
        self._most_rows = max(fewest, rows // 2)
        print(f"Out of memory with {rows:,} rows of prompts at once: trying again with {self._most_rows:,}")


def spread_of(prompts: PromptSet) -> float:
    """Rows of attention's blocks per packed row: shared rows stand in each block, and blocks are filled up."""
    return len(prompts.gather) / len(prompts.positions)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on a GPU or on the CPU."""
    text = str(error)
    return isinstance(error, (MemoryError, torch.cuda.OutOfMemoryError)) or any(
        sign in text for sign in ("allocate memory", "out of memory", "ALLOC_FAILED")
    )


def _features_bytes(shape: TextShape, prompts: PromptSet, batch: int) -> int:
    """Features (B, C, D) of all prompts, in pieces, joined, normalised, and their gradients."""
    return 4 * batch * len(prompts.ends) * shape.joint * shape.bytes


def _readable(size: float) -> str:
    return f"{size / GB:.2f} GB" if size >= GB else f"{size / 2**20:.1f} MB"
