"""One policy for numerical precision, so that no trainer asks which one is on."""

from contextlib import AbstractContextManager

import torch
from torch import nn

from common.errors import unknown

PRECISIONS = ("fp32", "fp16", "bf16", "amp")


class Precision:
    """fp32, fp16, bf16 or amp.

    ========  ============================  =========================  ===========
    name      CLIP's weights                what is learned            loss scaling
    ========  ============================  =========================  ===========
    fp32      float32                       float32                    no
    fp16      as stored by OpenAI (half)    half (upstream's CoOp)     no
    bf16      bfloat16 where fp16 has half  float32                    no
    amp       float32, autocast to half     float32                    yes
    ========  ============================  =========================  ===========

    On a CPU a request for half precision runs in fp32, and says so.

    Raises:
        UserError: unknown name.
    """

    def __init__(self, name: str, device: torch.device) -> None:
        if name not in PRECISIONS:
            raise unknown("precision", name, PRECISIONS)
        if name != "fp32" and device.type == "cpu":
            print(f"Precision {name} needs a GPU: this run computes in fp32 on the CPU")
            name = "fp32"
        self.name = name
        self.device = device
        self.scaler = torch.amp.GradScaler(device.type, enabled=name == "amp")

    def convert(self, clip_model: nn.Module) -> nn.Module:
        """Bring a CLIP from its stored precision (half where OpenAI has half) to this one."""
        if self.name in ("fp32", "amp"):
            return clip_model.float()
        if self.name == "bf16":
            for parameter in clip_model.parameters():
                if parameter.dtype == torch.float16:
                    parameter.data = parameter.data.bfloat16()
        return clip_model

    @property
    def learned_dtype(self) -> torch.dtype:
        """Data type of the learned parameters."""
        return torch.float16 if self.name == "fp16" else torch.float32

    def autocast(self) -> AbstractContextManager:
        """Context of the forward pass."""
        return torch.autocast(self.device.type, enabled=self.name == "amp")

    def backward_and_step(self, loss: torch.Tensor, optimizer: torch.optim.Optimizer) -> None:
        """Zero the gradients, differentiate the loss (a scalar), take one step."""
        optimizer.zero_grad()
        self.scaler.scale(loss).backward()
        self.scaler.step(optimizer)
        self.scaler.update()
