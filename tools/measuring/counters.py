"""Clocks, peak memory, and the arithmetic that cannot be avoided."""

import gc
import resource
import statistics
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import torch

from clip_prompts.encoders.blocks import linear
from clip_prompts.encoders.memory import TextShape
from clip_prompts.encoders.prompt_set import PromptSet

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def seconds(call: Callable[[], object], repeat: int, device: torch.device, warm_up: int = 1) -> float:
    """Median wall-clock time of a call."""
    times = []
    for i in range(warm_up + repeat):
        _wait(device)
        started = time.perf_counter()
        call()
        _wait(device)
        if i >= warm_up:
            times.append(time.perf_counter() - started)
    return statistics.median(times)


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
    before = _resident()
    if _reset_peak():
        call()
        peak = _status("VmHWM")
    else:
        with _Watch() as watch:
            call()
        peak = watch.peak
    return peak - before, peak


def machine_flops(device: torch.device, dtype: torch.dtype, repeat: int) -> float:
    """Operations per second of a large matrix product: the best of several, by the better of PyTorch's libraries."""
    n = 8192 if device.type == "cuda" else 1536
    a, b = (torch.randn(n, n, device=device, dtype=dtype) for _ in range(2))
    products = (lambda: a @ b, lambda: linear(a, b))
    return 2 * n**3 / min(seconds(call, 1, device, warm_up=1) for call in products for _ in range(max(3, repeat)))


def text_flops(shape: TextShape, prompts: PromptSet, contexts: int, backward: bool) -> float:
    """Operations of text encoding that the packed rows need; weights are frozen, so have no gradients.

    A linear layer has one product forward, one backward; attention's two products have two each backward.
    """
    d, rows, ends = shape.width, len(prompts.positions), len(prompts.rank)
    linear = 24 * d * d * rows * (shape.layers - 1)
    linear += 4 * d * d * rows + 20 * d * d * ends + 2 * d * shape.joint * ends  # last layer: keys, values, ends
    pairs = int((prompts.positions + 1).sum())  # a row looks at those before it, and at itself
    attention = 4 * d * pairs * (shape.layers - 1)
    return contexts * (linear * (2 if backward else 1) + attention * (3 if backward else 1))


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _status(key: str) -> int:
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith(key + ":"))
    return int(line.split()[1]) * 1024


def _resident() -> int:
    """Resident bytes now; where the system does not say, the peak of the whole process so far."""
    try:
        return _status("VmRSS")
    except (OSError, StopIteration):  # macOS counts in bytes, others in kilobytes
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _reset_peak() -> bool:
    """Let the peak that Linux keeps count from here; containers may forbid it, or do nothing."""
    try:
        _CLEAR.write_text("5")
        return _status("VmHWM") < _status("VmRSS") + 2**24
    except (OSError, StopIteration):
        return False


class _Watch(threading.Thread):
    """Looks at the resident memory every millisecond while the block runs."""

    def __init__(self):
        super().__init__(daemon=True)
        self.peak, self._over = _resident(), threading.Event()

    def run(self) -> None:
        while not self._over.wait(0.001):
            self.peak = max(self.peak, _resident())

    def __enter__(self) -> "_Watch":
        self.start()
        return self

    def __exit__(self, *_) -> None:
        self._over.set()
        self.join()
        self.peak = max(self.peak, _resident())
