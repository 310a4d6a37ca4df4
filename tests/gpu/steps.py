"""A training step of a method: time, memory, and share of the rate of a large matrix product."""

import contextlib
import io
from collections.abc import Callable

import torch
from clip.model import CLIP
from torch.utils.flop_counter import FlopCounterMode

from clip_prompts.common.yaml_files import read_yaml
from clip_prompts.encoders import blocks
from measuring import counters
from measuring.setting import Setting
from measuring.task import Task, random_clip
from measuring.training import TOLERANCES, equality
from tests.conftest import ROOT

BATCH = 4
MB = 2**20


class Steps:
    """Measures steps with random weights of ViT-B/16's shape, or of tiny's if ``small``."""

    def __init__(self, device: str, small: bool) -> None:
        self.device, self.small = device, small
        self.classes = (6, 12) if small else (50, 1000)
        self.repeat = 1 if small else 5
        self._clip: dict[str, CLIP] = {}  # precision -> a random CLIP for all methods, which leave it as it is
        self._rates: dict[torch.dtype, float] = {}  # operations per second of a large matrix product

    def measure(self, method: str, classes: int, precision: str, left: float) -> dict:
        """Numbers of one case. In fp32, with few classes, the step is compared with a plain implementation.

        Raises AssertionError: the two differ, or a loss is not finite.
        """
        backbone, compared = "tiny" if self.small else "ViT-B/16", precision == "fp32" and classes < 100
        opts = tiny_settings(method) if self.small else ()
        setting = Setting(method, backbone, classes, BATCH, 0, self.device, precision, opts=opts)
        with contextlib.redirect_stdout(io.StringIO()):
            task = Task(setting, with_plain=compared, clip_model=self._clip_in(precision, backbone))
            differences = equality(task, False) if compared else None
            x, images, label = task.features(), task.images(), task.labels()
            calls = {"step": lambda: task.step(images, label), "text": lambda: task.step(x, label)}
            if not task.learns_text:
                del calls["text"]
            seconds = counters.seconds_in_turn(calls, self.repeat, task.device)
            operations = {name: operations_of(call) for name, call in calls.items()}
            memory = counters.peak_memory(calls["step"], task.device) if self.device == "cuda" else ()
        rate = self._rate(task)
        found = {"ms a step": 1e3 * seconds["step"], "ms an image": 1e3 * seconds["step"] / BATCH}
        found["step of peak"] = percent(operations["step"] / seconds["step"] / rate)
        if task.learns_text:
            found["ms of text"] = 1e3 * seconds["text"]
            found["text of peak"] = percent(operations["text"] / seconds["text"] / rate)
        found |= dict(zip(("MB of a step", "peak MB"), (size / MB for size in memory), strict=False))
        found["product, TFLOP/s"] = rate / 1e12
        if differences:
            found["loss vs plain"], found["gradient vs plain"] = differences["loss"], differences["gradient"]
            worst = [name for name, limit in TOLERANCES.items() if not differences[name] <= limit]
            assert not worst, f"unlike the plain implementation: {differences}"
        return found

    def _clip_in(self, precision: str, backbone: str) -> CLIP:
        if precision not in self._clip:
            self._clip = {precision: random_clip(backbone, stored=precision != "fp32")}
        return self._clip[precision]

    def _rate(self, task: Task) -> float:
        if task.encoder.dtype not in self._rates:
            self._rates[task.encoder.dtype] = counters.machine_flops(task.device, task.encoder.dtype, 3)
        return self._rates[task.encoder.dtype]


def tiny_settings(method: str) -> tuple[str, ...]:
    """KEY VALUE pairs of a method's own settings in its config file for ``tiny``, without the precision."""
    node = method.upper()
    own = read_yaml(ROOT / f"configs/trainers/{method}/tiny.yaml")["TRAINER"][node]
    return tuple(str(x) for key, value in own.items() if key != "PREC" for x in (f"TRAINER.{node}.{key}", value))


def operations_of(call: Callable[[], object]) -> int:
    """Operations of the matrix products and attentions that a call computes."""
    product = torch.ops.mkldnn._linear_pointwise if blocks._PRODUCT else None
    own = {product: lambda x, weight, *_, **__: 2 * torch.Size(x).numel() * weight[0]} if product else {}
    with FlopCounterMode(display=False, custom_mapping=own) as counter:
        call()
    return counter.get_total_flops()


def percent(share: float) -> str:
    return f"{share:.1%}"
