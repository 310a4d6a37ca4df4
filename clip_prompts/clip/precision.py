"""Numerical precision of a run: fp32, fp16, bf16 or amp."""

import platform
from collections.abc import Sequence
from contextlib import AbstractContextManager

import torch
from torch import nn

from clip_prompts.common.errors import unknown

PRECISIONS = ("fp32", "fp16", "bf16", "amp")


def has_native_bf16() -> bool:
    """True if this CPU multiplies bfloat16 numbers in hardware, and PyTorch uses these instructions.

    PyTorch asks oneDNN, whose answer depends on ``ONEDNN_MAX_CPU_ISA``. On x86, oneDNN says yes for any AVX-512, but
    converts to float32 without AVX512-BF16, so AVX512-BF16 is checked too. PyTorch has no public function for either
    check. If the second function is missing, the first one decides.
    """
    if not torch.backends.mkldnn.is_available() or not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return False
    has_instructions = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)
    return platform.machine().lower() not in ("x86_64", "amd64") or has_instructions()


class Precision:
    """Numerical precision of a run, the same code for all methods.

    | name | CLIP's weights | on a CPU |
    |---|---|---|
    | fp32 | float32 | the same |
    | fp16 | as stored by OpenAI (half) | fp32 instead |
    | bf16 | bfloat16 where fp16 has half | the same, or fp32 |
    | amp | float32, autocast to half, with loss scaling | autocast to bfloat16 without loss scaling, or fp32 |

    A CPU without bfloat16 instructions converts every number, which was 34 times slower than fp32. On such a CPU, fp32
    replaces bf16 and amp, and one line says so. ``name``, ``description`` and the records then say fp32, too.

    Learned parameters are float32 in every precision, and are cast where they are used. Similarities, logits and the
    loss are float32.

    Args:
        name: a name in the table.
        device: device of the run.

    Raises:
        UserError: unknown name.
    """

    def __init__(self, name: str, device: torch.device) -> None:
        if name not in PRECISIONS:
            raise unknown("precision", name, PRECISIONS)
        on_cpu = device.type == "cpu"
        if name == "fp16" and on_cpu:
            print("Precision fp16 needs a GPU: this run computes in fp32 on the CPU")
            name = "fp32"
        if name in ("bf16", "amp") and on_cpu and not has_native_bf16():
            print(f"Precision {name} needs bfloat16, which this CPU does not compute in: this run computes in fp32")
            name = "fp32"
        if name == "amp" and on_cpu:
            print("Precision amp on the CPU: autocast to bfloat16")
        self.name = name
        self.device = device
        self.scaler = torch.amp.GradScaler(device.type, enabled=name == "amp" and not on_cpu)

    @property
    def description(self) -> str:
        """Name of the precision and kind of device. Rounding depends on both."""
        return f"{self.name} on {self.device.type}"

    @property
    def start_dtype(self) -> torch.dtype:
        """Data type in which a random start is drawn: half for fp16, as in upstream, so seeds give the same start."""
        return torch.float16 if self.name == "fp16" else torch.float32

    @property
    def keeps_half(self) -> bool:
        """True if weights that OpenAI stores in half precision stay at 16 bits."""
        return self.name in ("fp16", "bf16")

    def convert(self, clip_model: nn.Module) -> nn.Module:
        """Convert a CLIP from its stored precision (half where OpenAI stores half) to this one."""
        if not self.keeps_half:
            return clip_model.float()
        if self.name == "bf16":
            for parameter in clip_model.parameters():
                if parameter.dtype == torch.float16:
                    parameter.data = parameter.data.bfloat16()
        return clip_model

    def autocast(self) -> AbstractContextManager:
        """Return the context for the forward pass. It has an effect in amp only."""
        dtype = torch.bfloat16 if self.device.type == "cpu" else torch.float16
        return torch.autocast(self.device.type, dtype=dtype, enabled=self.name == "amp")

    def backward_and_step(self, loss: torch.Tensor, optimizer: torch.optim.Optimizer) -> None:
        """Set the gradients to zero, differentiate the loss (a scalar) and take one optimizer step."""
        optimizer.zero_grad()
        self.backward(loss)
        self.step(optimizer)

    def backward(self, loss: torch.Tensor) -> None:
        """Add the gradients of a loss (a scalar), scaled for ``step``, to the gradients of the learned parameters."""
        self.scaler.scale(loss).backward()

    def gradients(self, loss: torch.Tensor, learned: Sequence[torch.Tensor]) -> tuple[torch.Tensor, ...]:
        """Return the gradients of a loss (a scalar), scaled for ``step``. The graph is kept for a second loss."""
        return torch.autograd.grad(self.scaler.scale(loss), learned, retain_graph=True)

    def step(self, optimizer: torch.optim.Optimizer) -> None:
        """Take one optimizer step along the gradients of a scaled loss."""
        self.scaler.step(optimizer)
        self.scaler.update()
