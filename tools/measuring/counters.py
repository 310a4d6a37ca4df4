"""Clocks, peak memory, and the arithmetic that cannot be avoided."""

import contextlib
import gc
import re
import resource
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import torch

from clip_prompts.encoders.blocks import linear
from clip_prompts.encoders.memory import TextShape
from clip_prompts.encoders.prompt_set import PromptSet

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def seconds(call: Callable[[], object], repeat: int, device: torch.device, warm_up: int = 1) -> float:
    """Median wall-clock time of a call."""
    return seconds_in_turn({"": call}, repeat, device, warm_up)[""]


def seconds_in_turn(
    calls: Mapping[str, Callable[[], object]], repeat: int, device: torch.device, warm_up: int = 1
) -> dict[str, float]:
    """Median wall-clock time of each call. They take turns, so that a machine that slows down slows all of them."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for i in range(warm_up + repeat):
        for name, call in calls.items():
            _wait(device)
            started = time.perf_counter()
            call()
            _wait(device)
            if i >= warm_up:
                times[name].append(time.perf_counter() - started)
    return {name: statistics.median(of) for name, of in times.items()}


def peak_memory(call: Callable[[], object], device: torch.device) -> tuple[int, int]:
    """Bytes that a call takes at its peak on top of what is in use before it, and the whole peak.

    On a GPU they are PyTorch's allocations, on the CPU the process's resident memory. The CPU's number is that of a
    process in which nothing large ran before: measure each call in a process of its own.
    """
    gc.collect()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        call()
        peak = torch.cuda.max_memory_allocated(device)
        return peak - before, peak
    _reset_peak()
    before = _memory("VmRSS")
    call()
    peak = _memory("VmHWM")
    return peak - before, peak


def machine_flops(device: torch.device, dtype: torch.dtype, repeat: int) -> float:
    """Operations per second of a large matrix product: the best of several, by the better of PyTorch's libraries."""
    n = 8192 if device.type == "cuda" else 1536
    a, b = (torch.randn(n, n, device=device, dtype=dtype) for _ in range(2))
    products = (lambda: a @ b, lambda: linear(a, b))
    return 2 * n**3 / min(seconds(call, 1, device, warm_up=1) for call in products for _ in range(max(3, repeat)))


def text_flops(
    shape: TextShape, prompts: PromptSet, contexts: int, backward: bool, separate_from: int | None = None
) -> float:
    """Operations of text encoding that the packed rows need; weights are frozen, so have no gradients.

    A linear layer has one product forward, one backward; attention's two products have two each backward.

    Args:
        separate_from: the first layer at which every prompt has rows of its own.
    """
    d, ends, linear, attention = shape.width, len(prompts.rank), 0, 0
    for layer in range(shape.layers):
        packing = prompts.packing(separate_from is not None and layer >= separate_from)
        if layer == shape.layers - 1:  # keys, values, and the rest for ends only
            linear += 4 * d * d * packing.rows + 20 * d * d * ends + 2 * d * shape.joint * ends
            continue
        depth = {row: i + 1 for path in packing.paths for i, row in enumerate(path)}
        linear += 24 * d * d * packing.rows
        attention += 4 * d * sum(depth.values())  # a row looks at those before it, and at itself
    return contexts * (linear * (2 if backward else 1) + attention * (3 if backward else 1))


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _memory(key: str) -> int:
    """Resident bytes of a line in Linux's status file; without that line, the peak of the whole process so far."""
    if found := re.search(rf"^{key}:\s*(\d+)", _STATUS.read_text() if _STATUS.exists() else "", re.M):
        return int(found[1]) * 1024
    # macOS counts in bytes, others in kilobytes.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _reset_peak() -> None:
    """Let the peak that Linux keeps count from here. Where that is forbidden, it counts from the process's start."""
    with contextlib.suppress(OSError):
        _CLEAR.write_text("5")
