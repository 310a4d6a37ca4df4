"""One policy for numerical precision, so that no trainer asks which one is on."""

import platform
from collections.abc import Sequence
from contextlib import AbstractContextManager

import torch
from torch import nn

from clip_prompts.common.errors import unknown

PRECISIONS = ("fp32", "fp16", "bf16", "amp")


def has_native_bf16() -> bool:
    """Whether this machine's CPU has instructions for products of bfloat16 numbers, and PyTorch uses them.

    oneDNN computes such products for PyTorch, and its answer heeds ``ONEDNN_MAX_CPU_ISA``. It is not enough on x86,
    where any AVX-512 will do for it: without AVX512-BF16 it converts to float32. PyTorch has no public function for
    either question; a version that lacks the second one is trusted on the first.
    """
    if not torch.backends.mkldnn.is_available() or not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return False
    has_instructions = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)
    return platform.machine().lower() not in ("x86_64", "amd64") or has_instructions()


class Precision:
    """fp32, fp16, bf16 or amp.

    ========  =====================================  ==================================
    name      CLIP's weights                         on a CPU
    ========  =====================================  ==================================
    fp32      float32                                the same
    fp16      as stored by OpenAI (half)             fp32 instead
    bf16      bfloat16 where fp16 has half           the same, or fp32 (see below)
    amp       float32, autocast to half, with        autocast to bfloat16, which needs
              scaling of the loss                    no scaling, or fp32 (see below)
    ========  =====================================  ==================================

    A CPU without bfloat16 instructions converts every number, and was 34 times slower than in fp32. It computes bf16
    and amp in fp32 and says so in one line; ``name`` and ``description``, which records hold, are those of fp32.

    What is learned is float32 in all of them, and cast where it is used; so are similarities, logits and the loss.

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
        """The policy and the kind of device, on which rounding depends."""
        return f"{self.name} on {self.device.type}"

    @property
    def start_dtype(self) -> torch.dtype:
        """Data type in which a random start is drawn: half for fp16, as upstream does, so seeds keep their meaning."""
        return torch.float16 if self.name == "fp16" else torch.float32

    @property
    def keeps_half(self) -> bool:
        """True if weights that OpenAI stores in half precision have 16 bits."""
        return self.name in ("fp16", "bf16")

    def convert(self, clip_model: nn.Module) -> nn.Module:
        """Bring a CLIP from its stored precision (half where OpenAI has half) to this one."""
        if not self.keeps_half:
            return clip_model.float()
        if self.name == "bf16":
            for parameter in clip_model.parameters():
                if parameter.dtype == torch.float16:
                    parameter.data = parameter.data.bfloat16()
        return clip_model

    def autocast(self) -> AbstractContextManager:
        """Context of the forward pass."""
        dtype = torch.bfloat16 if self.device.type == "cpu" else torch.float16
        return torch.autocast(self.device.type, dtype=dtype, enabled=self.name == "amp")

    def backward_and_step(self, loss: torch.Tensor, optimizer: torch.optim.Optimizer) -> None:
        """Zero the gradients, differentiate the loss (a scalar), take one step."""
        optimizer.zero_grad()
        self.backward(loss)
        self.step(optimizer)

    def backward(self, loss: torch.Tensor) -> None:
        """Add the gradients of a loss (a scalar), scaled for ``step``, to those of what is learned."""
        self.scaler.scale(loss).backward()

    def gradients(self, loss: torch.Tensor, learned: Sequence[torch.Tensor]) -> tuple[torch.Tensor, ...]:
        """Gradients of a loss (a scalar), scaled for ``step``; the graph stays for another loss of the same batch."""
        return torch.autograd.grad(self.scaler.scale(loss), learned, retain_graph=True)

    def step(self, optimizer: torch.optim.Optimizer) -> None:
        """Take one step along the gradients of a scaled loss."""
        self.scaler.step(optimizer)
        self.scaler.update()
