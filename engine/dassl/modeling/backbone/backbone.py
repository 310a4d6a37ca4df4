from torch import nn


class Backbone(nn.Module):
    """Base class: images (B, 3, H, W) -> features (B, D). Subclasses set ``_out_features`` to D."""

    def __init__(self):
        super().__init__()
        self._out_features = None

    def forward(self, x):
        raise NotImplementedError

    @property
    def out_features(self):
        """int or None: the width D of the features; None when the subclass did not set it."""
        return self._out_features
