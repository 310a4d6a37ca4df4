"""The cost of a run for its records: seconds of a training step, images per second, memory, and the device."""

import platform
import resource
import statistics
import sys
from collections.abc import Sequence
from typing import Any

import torch
from dassl.engine import TrainerXU

TRAINING = ("step_seconds", "train_images_per_second")


def cost_of(trainer, epochs: Sequence[tuple[float, int]], images: int, seconds: float) -> dict[str, float | str | None]:
    """Returns the speed of training and of one evaluation; None for what was not measured.

    ``step_seconds`` is the wall-clock time of an epoch divided by its steps; the median over epochs without the first
    one, if there are others. It has all that happens between the first batch and the end of the epoch: loading images,
    encoding them (several batches at once, maybe), forward, backward, update, logging. Validation and saving are not
    part of it.

    Args:
        trainer: after training or testing. epochs: seconds and number of steps of each epoch that this process has
            trained as a whole. images, seconds: of the evaluation.
    """
    timed = [total / steps for total, steps in epochs[1:] or epochs]
    step, size = statistics.median(timed) if timed else None, _images_of_step(trainer)
    return {
        "step_seconds": step,
        "train_images_per_second": size / step if size and step else None,
        "test_images_per_second": images / seconds if seconds else None,
        "device": _device(getattr(trainer, "device", None)),
    }


def _images_of_step(trainer) -> int | None:
    """Returns the number of images of a training step, labelled and unlabelled; None if a loader does not say it."""
    total = 0
    for name in ("train_loader_x", "train_loader_u") if isinstance(trainer, TrainerXU) else ("train_loader_x",):
        loader: Any = getattr(trainer, name, None)
        size = getattr(loader, "batch_size", None)
        if not isinstance(size, int):
            return None
        total += min(size, len(loader.dataset))
    return total


def _device(device: torch.device | None) -> str:
    """Returns the GPU's name; or the processor's, with the number of threads."""
    if device is not None and device.type == "cuda":
        return torch.cuda.get_device_name(device)
    threads = torch.get_num_threads()
    return f"{_processor()}, {threads} thread{'s' * (threads != 1)}"


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            return next(line.partition(":")[2].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):  # not Linux, or an ARM processor
        return platform.processor() or platform.machine()


def peak_memory(device: torch.device | None) -> dict[str, float | None]:
    """Returns the most memory so far in MiB: of the process, and that of tensors on its GPU (None without)."""
    on_gpu = device is not None and device.type == "cuda"
    return {
        "process_mib": round(_peak_bytes() / 2**20, 1),
        "cuda_mib": round(torch.cuda.max_memory_allocated(device) / 2**20, 1) if on_gpu else None,
    }


def _peak_bytes() -> int:
    try:  # getrusage counts what the process that started this one had
        with open("/proc/self/status", encoding="ascii") as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM"))
    except (OSError, StopIteration, ValueError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
