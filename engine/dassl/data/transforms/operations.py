"""Single augmentations that torchvision lacks.

Decisions are drawn from Python's global ``random``, which torch seeds in every loader worker; the
generator that shuffles the training images is not touched.
"""

import random

import torch
import torchvision.transforms as T
import torchvision.transforms.functional as F
from torchvision.transforms import InterpolationMode

from dassl.utils import ConfigError


class Random2DTranslation:
    """With probability ``p`` enlarge by 1.125 and cut a random window; otherwise only resize.

    Args:
        height, width (int): output size in pixels.
        p (float): probability.
        interpolation: torchvision's InterpolationMode.
    """

    scale = 1.125

    def __init__(self, height, width, p=0.5, interpolation=InterpolationMode.BILINEAR):
        self.height = height
        self.width = width
        self.p = p
        self.interpolation = interpolation

    def __call__(self, img):
        if random.random() > self.p:
            return F.resize(img, [self.height, self.width], interpolation=self.interpolation)
        height, width = round(self.height * self.scale), round(self.width * self.scale)
        img = F.resize(img, [height, width], interpolation=self.interpolation)
        left = round(random.uniform(0, width - self.width))
        top = round(random.uniform(0, height - self.height))
        return F.crop(img, top, left, self.height, self.width)


class RandomCrop(T.RandomCrop):
    """torchvision's, with one line for an image that is too small.

    Raises ConfigError: the padded image is smaller than the crop; names the settings.
    """

    def forward(self, img):
        width, height = img.size
        if height + 2 * self.padding < self.size[0] or width + 2 * self.padding < self.size[1]:
            raise ConfigError(
                f"its {width} x {height} pixels with INPUT.CROP_PADDING {self.padding} are fewer than INPUT.SIZE "
                f"{tuple(self.size)}, and random_crop of INPUT.TRANSFORMS does not enlarge images. Use "
                "random_resized_crop, "
                "another size or more padding"
            )
        return super().forward(img)


class InstanceNormalization:
    """Give each channel of an image mean 0 and standard deviation 1 over its pixels.

    Args:
        eps (float): added to the standard deviation.
    """

    def __init__(self, eps=1e-8):
        self.eps = eps

    def __call__(self, img):
        """(3, H, W) -> (3, H, W)."""
        pixels = img.flatten(1)
        mean = pixels.mean(1)[:, None, None]
        std = pixels.std(1)[:, None, None]
        return (img - mean) / (std + self.eps)


class Cutout:
    """Set random squares of an image to 0 (DeVries and Taylor, Improved Regularization of
    Convolutional Neural Networks with Cutout, 2017). Squares may reach over the border.

    Args:
        n_holes (int): number of squares.
        length (int): side in pixels.
    """

    def __init__(self, n_holes=1, length=16):
        self.n_holes = n_holes
        self.length = length

    def __call__(self, img):
        """(3, H, W) -> (3, H, W), a new tensor."""
        height, width = img.shape[-2:]
        img = img.clone()
        for _ in range(self.n_holes):
            top = random.randrange(height) - self.length // 2
            left = random.randrange(width) - self.length // 2
            img[..., max(top, 0) : max(top + self.length, 0), max(left, 0) : max(left + self.length, 0)] = 0
        return img


class GaussianNoise:
    """With probability ``p`` add noise to each value of the tensor.

    Args:
        mean, std (float): of the noise, in units of the tensor.
        p (float): probability.
    """

    def __init__(self, mean=0, std=0.15, p=0.5):
        self.mean = mean
        self.std = std
        self.p = p

    def __call__(self, img):
        if random.random() > self.p:
            return img
        return img + torch.randn(img.size()) * self.std + self.mean
