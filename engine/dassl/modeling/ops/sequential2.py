"""A chain of modules with several inputs."""

from torch import nn


class Sequential2(nn.Sequential):
    """``nn.Sequential`` with any number of inputs: a tuple that a module returns is the next one's arguments."""

    def forward(self, *inputs):
        for module in self:
            inputs = module(*inputs) if isinstance(inputs, tuple) else module(inputs)
        # An empty chain returns what came in.
        return inputs[0] if isinstance(inputs, tuple) and len(inputs) == 1 else inputs
