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
        (operations per second of a matrix product), ``necessary_operations``, ``equality``. Ways are left out that
        the method does not have, and the plain ones if there is no plain implementation.
    """
    task = Task(setting, with_plain)
    separately = task.plain_separately(_available(task.device))
    measured = {name: call for name, call in calls(task, separately).items() if with_plain or "plain" not in name}
    record: dict = {"equality": equality(task, separately) if task.plain else None}
    times = counters.seconds_in_turn(measured, repeat, task.device)
    record["ways"] = ways = {name: {"seconds": time} for name, time in times.items()}
    for way, count in task.positions.items():
        if f"text, {way}" in ways:
            ways[f"text, {way}"]["positions"] = count
    shape, prompts = task.encoder.shape, task.learner.prompts
    record |= {
        "machine_flops": counters.machine_flops(task.device, task.encoder.dtype, repeat),
        "necessary_operations": counters.text_flops(shape, prompts, task.contexts, True, task.separate_from),
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
    timed = min(images, plain_images) if task.learner.is_conditional else images
    few, batch = x[:timed], min(images, 20)
    pictures = task.images(batch)
    seconds = {
        "text, ours": counters.seconds(lambda: task.evaluate("ours", x), repeat, task.device),
        "image encoder": counters.seconds(lambda: task.encode_images(pictures), repeat, task.device) * images / batch,
    }
    difference = None
    if task.plain:
        plain = counters.seconds(lambda: task.evaluate("plain", few), 1, task.device, 0) * images / timed
        seconds = {"text, plain": plain, **seconds}
        difference = relative(task.evaluate("ours", few[:5]), task.evaluate("plain", few[:5]))
    return {"seconds": seconds, "images": images, "plain_images": timed, "encoded_images": batch,
            "difference": difference}  # fmt: skip


def memory(task: Task, name: str, separately: bool) -> dict:
    """Peak of one way's step, measured in this process: on top of what was in use, and altogether, in bytes."""
    step, process = counters.peak_memory(calls(task, separately)[name], task.device)
    return {"peak_bytes": step, "process_bytes": process}


def _memory_of_own_process(task: Task, name: str, separately: bool) -> dict:
    flags = [*task.setting.flags(), "--only-memory", name, *["--separately"] * separately, *task.setting.opts]
    command = [sys.executable, str(PROGRAM), *flags]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"PYTHONWARNINGS": "ignore"})
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or [f"status {done.returncode}, perhaps out of memory"])[-1]
        raise UserError(f"Measuring the memory of '{name}' failed: {reason}. --no-memory skips it")
    return json.loads(done.stdout.splitlines()[-1])


def equality(task: Task, separately: bool) -> dict:
    """Relative difference of the loss and, at most, of a gradient, in a step on images if these have prompts."""
    x, label = task.images() if task.learns_images else task.features(), task.labels()
    terms = task.plain_step(x, label, separately)
    expected = torch.tensor(sum(terms.values()))
    found = task.step(x, label)
    loss = torch.tensor(found["loss"] if "loss" in found else sum(found[name] for name in terms))
    ours, theirs = task.gradients("ours"), task.gradients("plain")
    worst = max(relative(ours[name], theirs[name]) for name in theirs)
    exact = task.encoder.dtype == torch.float32 and task.precision.name == "fp32"
    differences = {"loss": relative(loss, expected), "gradient": worst}
    return differences | {"holds": all(differences[key] <= TOLERANCES[key] for key in TOLERANCES) if exact else None}


def _available(device: torch.device) -> int:
    """Bytes of memory that are free."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("MemAvailable:")).split()[1]) * 1024
    except (OSError, StopIteration):
        return 8 * 2**30
