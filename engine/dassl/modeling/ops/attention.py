"""Weights over a few choices, computed from an image's features."""

from torch import nn
from torch.nn import functional as F


class Attention(nn.Module):
    """Global average pooling, two linear layers and a softmax: (B, in_channels, H, W) -> (B, out_features).

    Each row of the output is positive and sums to 1. The form is that of squeeze-and-excitation
    (CVPR 2018, section 3.2) with a softmax at its end.

    Args:
        in_channels (int): channels of the input.
        out_features (int): number of choices.
        squeeze (int or None): width of the hidden layer; None means ``in_channels // 16``, at least 1.
        bias (bool): biases in the linear layers.
    """

    def __init__(self, in_channels, out_features, squeeze=None, bias=True):
        super().__init__()
        self.squeeze = squeeze or max(1, in_channels // 16)
        self.in_channels = in_channels
        self.out_features = out_features
        self.fc1 = nn.Linear(in_channels, self.squeeze, bias=bias)
        self.fc2 = nn.Linear(self.squeeze, out_features, bias=bias)

    def forward(self, x):
        hidden = F.relu(self.fc1(x.mean(dim=(2, 3))))
        return self.fc2(hidden).softmax(dim=1)
