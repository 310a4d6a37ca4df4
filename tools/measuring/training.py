"""Measurements of a training step (times, memory, equality of both ways) and of an evaluation."""

import json
import os
import subprocess
import sys
from pathlib import Path

import torch

from clip_prompts.common.errors import UserError
from measuring import counters
from measuring.setting import Setting
from measuring.task import Task, calls, relative

PROGRAM = Path(__file__).resolve().parents[1] / "benchmark.py"
TOLERANCES = {"loss": 1e-5, "gradient": 1e-4}  # relative, in fp32


def measure(setting: Setting, repeat: int, with_plain: bool = True, with_memory: bool = True) -> dict:
    """Everything about one training step.

    Returns:
        A record for JSON: ``ways`` (per way: seconds of a step, positions computed, bytes at the peak), ``machine``
        (operations per second of a matrix product), ``necessary_operations``, ``equality``.
    """
    task = Task(setting, with_plain)
    separately = task.plain_separately(_available(task.device))
    ways = {name: {"seconds": None} for name in calls(task, separately) if with_plain or "plain" not in name}
    record = {"equality": _equality(task, separately) if with_plain else None, "ways": ways}
    for name, call in calls(task, separately).items():
        if name in ways:
            ways[name]["seconds"] = counters.seconds(call, repeat, task.device)
    for way, count in task.positions.items():
        if f"text, {way}" in ways:
            ways[f"text, {way}"]["positions"] = count
    shape, prompts = task.encoder.shape, task.learner.prompts
    record |= {
        "machine_flops": counters.machine_flops(task.device, task.encoder.dtype, repeat),
        "necessary_operations": counters.text_flops(shape, prompts, task.contexts, backward=True),
        "predicted_bytes": task.predicted_bytes(),
        "plain_backward_after_each_image": separately,
    }
    if with_memory:
        for name in ways:
            on_gpu = task.device.type == "cuda"
            ways[name] |= (memory if on_gpu else _memory_of_own_process)(task, name, separately)
    return record


def measure_evaluation(setting: Setting, images: int, plain_images: int, repeat: int) -> dict:
    """Seconds of text encoding for ``images`` images without gradients, both ways, and of the image encoder.

    The plain way is timed on ``plain_images`` images where it costs the same for every one (CoCoOp), and scaled.

    Returns:
        A record for JSON: ``seconds`` by way, what was timed, and ``difference`` (relative, of the logits).
    """
    task = Task(setting)
    x = task.features(images)
    timed = min(images, plain_images) if setting.method == "CoCoOp" else images
    few, batch = x[:timed], min(images, 20)
    pictures = task.images(batch)
    seconds = {
        "text, plain": counters.seconds(lambda: task.evaluate("plain", few), 1, task.device, 0) * images / timed,
        "text, ours": counters.seconds(lambda: task.evaluate("ours", x), repeat, task.device),
        "image encoder": counters.seconds(lambda: task.encode_images(pictures), repeat, task.device) * images / batch,
    }
    difference = relative(task.evaluate("ours", few[:5]), task.evaluate("plain", few[:5]))
    return {"seconds": seconds, "images": images, "plain_images": timed, "encoded_images": batch,
            "difference": difference}  # fmt: skip


def memory(task: Task, name: str, separately: bool) -> dict:
    """Peak of one way's step, measured in this process: on top of what was in use, and altogether, in bytes."""
    step, process = counters.peak_memory(calls(task, separately)[name], task.device)
    return {"peak_bytes": step, "process_bytes": process}


def _memory_of_own_process(task: Task, name: str, separately: bool) -> dict:
    command = [
        sys.executable,
        str(PROGRAM),
        *task.setting.flags(),
        "--only-memory",
        name,
        *["--separately"] * separately,
    ]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"PYTHONWARNINGS": "ignore"})
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or [f"status {done.returncode}, perhaps out of memory"])[-1]
        raise UserError(f"Measuring the memory of '{name}' failed: {reason}. --no-memory leaves it out")
    return json.loads(done.stdout.splitlines()[-1])


def _equality(task: Task, separately: bool) -> dict:
    x, label = task.features(), task.labels()
    expected = task.backward("plain", x, label, separately)
    loss = task.backward("ours", x, label)
    found = {
        "loss": relative(loss, expected),
        "gradient": max(relative(a, b) for a, b in zip(task.gradients("ours"), task.gradients("plain"), strict=True)),
    }
    exact = task.encoder.dtype == torch.float32 and task.precision.name == "fp32"
    return found | {"holds": all(found[key] <= TOLERANCES[key] for key in TOLERANCES) if exact else None}


def _available(device: torch.device) -> int:
    """Bytes of memory that are free."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("MemAvailable:")).split()[1]) * 1024
    except (OSError, StopIteration):
        return 8 * 2**30
