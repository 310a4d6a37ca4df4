"""Networks that perturb images, so that they look as if from another domain.

Source: Deep Domain-Adversarial Image Generation for Domain Generalisation, AAAI 2020, section 3.2.
The optional first part is the spatial transformer of Spatial Transformer Networks, NeurIPS 2015.
"""

import torch
from torch import nn
from torch.nn import functional as F

from dassl.utils import ConfigError, init_network_weights

from .build import NETWORK_REGISTRY


def _conv_norm_relu(in_channels, out_channels, kernel_size, stride=1, padding_mode="reflect"):
    conv = nn.Conv2d(
        in_channels, out_channels, kernel_size, stride, padding=kernel_size // 2, padding_mode=padding_mode
    )
    return nn.Sequential(conv, nn.InstanceNorm2d(out_channels), nn.ReLU(inplace=True))


class ResidualBlock(nn.Module):
    """x + two 3 x 3 convolutions with instance normalisation: (B, C, H, W) -> the same shape."""

    def __init__(self, channels):
        super().__init__()
        self.layers = nn.Sequential(
            _conv_norm_relu(channels, channels, 3),
            nn.Conv2d(channels, channels, 3, padding=1, padding_mode="reflect"),
            nn.InstanceNorm2d(channels),
        )

    def forward(self, x):
        return x + self.layers(x)


class SpatialTransformer(nn.Module):
    """Warps each image by an affine map that it computes from the image; at first the identity.

    Images (B, 3, image_size, image_size) -> the same shape, and maps (B, 2, 3) in the coordinates of
    ``torch.nn.functional.affine_grid``.

    Args:
        image_size (int): height and width of the images.
        channels (int): channels of the localisation network.
        n_blocks (int): its convolutions, each of which halves the size.

    Raises:
        ConfigError: (a ValueError, in the forward pass) images of another size.
    """

    def __init__(self, image_size, channels, n_blocks):
        super().__init__()
        self.image_size = image_size
        layers = []
        in_channels, size = 3, image_size
        for _ in range(n_blocks):
            layers.append(_conv_norm_relu(in_channels, channels, 3, stride=2, padding_mode="zeros"))
            in_channels, size = channels, (size + 1) // 2
        self.features = nn.Sequential(*layers, nn.Flatten())
        self.to_map = nn.Linear(channels * size * size, 6)
        self.reset_map()

    def reset_map(self):
        """Make every map the identity."""
        nn.init.zeros_(self.to_map.weight)
        with torch.no_grad():
            self.to_map.bias.copy_(torch.eye(2, 3).flatten())

    def forward(self, x):
        if x.shape[2:] != (self.image_size, self.image_size):
            raise ConfigError(
                f"This spatial transformer was made for images of {self.image_size} x {self.image_size} pixels, "
                f"but got {x.size(2)} x {x.size(3)}. Build it with image_size, or set INPUT.SIZE"
            )
        maps = self.to_map(self.features(x)).view(-1, 2, 3)
        grid = F.affine_grid(maps, x.shape, align_corners=False)
        return F.grid_sample(x, grid, align_corners=False), maps


class FCN(nn.Module):
    """A fully convolutional network that adds a perturbation within -1 and 1, times a factor, to images.

    3 x 3 convolution, residual blocks, and a 1 x 1 convolution with tanh. Before the last, the average of
    the feature maps over the image is set beside each pixel's features and fused with them (global
    context). With ``image_size``, a spatial transformer warps the images first.

    Args:
        channels (int): width of all hidden layers.
        n_blocks (int): residual blocks.
        image_size (int or None): height and width of the images, with a spatial transformer; None means
            none, and images of any size from 2 x 2.
    """

    def __init__(self, channels, n_blocks, image_size=None):
        super().__init__()
        self.features = nn.Sequential(
            _conv_norm_relu(3, channels, 3), *(ResidualBlock(channels) for _ in range(n_blocks))
        )
        self.fuse_context = _conv_norm_relu(2 * channels, channels, 1)
        self.to_perturbation = nn.Sequential(nn.Conv2d(channels, 3, 1), nn.Tanh())
        self.transformer = None if image_size is None else SpatialTransformer(image_size, channels, n_blocks)
        init_network_weights(self, init_type="normal", gain=0.02)
        if self.transformer is not None:
            self.transformer.reset_map()

    def forward(self, x, lmda=1.0, return_p=False, return_stn_output=False):
        """Images x (B, 3, H, W) -> x + lmda * perturbation, of the same shape.

        Args:
            lmda (float): factor of the perturbation.
            return_p (bool): return the tuple (output, perturbation).
            return_stn_output (bool): return (output, perturbation, images after the transformer), which are
                x where there is no transformer.
        """
        if self.transformer is not None:
            x, _ = self.transformer(x)
        features = self.features(x)
        context = features.mean(dim=(2, 3), keepdim=True).expand_as(features)
        perturbation = self.to_perturbation(self.fuse_context(torch.cat([features, context], dim=1)))
        output = x + lmda * perturbation
        if return_stn_output:
            return output, perturbation, x
        return (output, perturbation) if return_p else output


@NETWORK_REGISTRY.register()
def fcn_3x32_gctx(**kwargs):
    """Return an :class:`FCN` of 3 blocks with 32 channels."""
    return FCN(32, 3)


@NETWORK_REGISTRY.register()
def fcn_3x64_gctx(**kwargs):
    """Return an :class:`FCN` of 3 blocks with 64 channels."""
    return FCN(64, 3)


@NETWORK_REGISTRY.register()
def fcn_3x32_gctx_stn(image_size=32, **kwargs):
    """Return an :class:`FCN` of 3 blocks with 32 channels and a spatial transformer."""
    return FCN(32, 3, image_size)


@NETWORK_REGISTRY.register()
def fcn_3x64_gctx_stn(image_size=224, **kwargs):
    """Return an :class:`FCN` of 3 blocks with 64 channels and a spatial transformer."""
    return FCN(64, 3, image_size)
