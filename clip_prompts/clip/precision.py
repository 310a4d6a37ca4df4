"""One policy for numerical precision, so that no trainer asks which one is on."""

from collections.abc import Sequence
from contextlib import AbstractContextManager

import torch
from torch import nn

from clip_prompts.common.errors import unknown

PRECISIONS = ("fp32", "fp16", "bf16", "amp")


class Precision:
    """fp32, fp16, bf16 or amp.

    ========  =====================================  ==================================
    name      CLIP's weights                         on a CPU
    ========  =====================================  ==================================
    fp32      float32                                the same
    fp16      as stored by OpenAI (half)             fp32 instead
    bf16      bfloat16 where fp16 has half           the same
    amp       float32, autocast to half, with        autocast to bfloat16, which needs
              scaling of the loss                    no scaling
    ========  =====================================  ==================================

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

    def convert(self, clip_model: nn.Module) -> nn.Module:
        """Bring a CLIP from its stored precision (half where OpenAI has half) to this one."""
        if self.name in ("fp32", "amp"):
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
