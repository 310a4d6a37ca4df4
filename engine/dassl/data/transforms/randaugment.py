"""Three augmentations by random operations of random or fixed strength on PIL images."""

import math
import random

import torchvision.transforms.functional as F
from torchvision import transforms as T

from dassl.utils import ConfigError

from .isolation import drawing_from_python_random

_GREY = [128, 128, 128]


class RandAugment(T.RandAugment):
    """``n`` random operations, all of strength ``m`` (Cubuk et al., RandAugment, NeurIPS 2020);
    the operations and ranges are torchvision's.

    Args:
        n (int): operations per image.
        m (int): strength, 0 to 30.

    Raises ConfigError: ``m`` is out of range.
    """

    def __init__(self, n=2, m=10):
        if not 0 <= m <= 30:
            raise ConfigError(f"RANDAUGMENT_M must be between 0 and 30, but got {m}.")
        super().__init__(num_ops=n, magnitude=m, num_magnitude_bins=31, fill=_GREY)

    def forward(self, img):
        with drawing_from_python_random():
            return super().forward(img)


def _shear(img, x, y):
    # torchvision takes degrees and keeps the centre in place.
    degrees = [math.degrees(math.atan(x)), math.degrees(math.atan(y))]
    return F.affine(img, angle=0, translate=[0, 0], scale=1.0, shear=degrees, fill=_GREY)


def _translate(img, x, y):
    """Shift by shares of the width and height."""
    width, height = img.size
    return F.affine(
        img, angle=0, translate=[round(x * width), round(y * height)], scale=1.0, shear=[0.0, 0.0], fill=_GREY
    )


# (operation, smallest, largest value), after the list of FixMatch (Sohn et al., NeurIPS 2020,
# appendix on CTAugment and RandAugment operations).
_OPERATIONS = (
    (lambda img, v: F.autocontrast(img), 0, 1),
    (lambda img, v: F.adjust_brightness(img, v), 0.05, 0.95),
    (lambda img, v: F.adjust_saturation(img, v), 0.05, 0.95),
    (lambda img, v: F.adjust_contrast(img, v), 0.05, 0.95),
    (lambda img, v: F.equalize(img), 0, 1),
    (lambda img, v: img, 0, 1),
    (lambda img, v: F.posterize(img, round(v)), 4, 8),
    (lambda img, v: F.rotate(img, v, fill=_GREY), -30, 30),
    (lambda img, v: F.adjust_sharpness(img, v), 0.05, 0.95),
    (lambda img, v: _shear(img, v, 0), -0.3, 0.3),
    (lambda img, v: _shear(img, 0, v), -0.3, 0.3),
    (lambda img, v: F.solarize(img, round(v)), 0, 255),
    (lambda img, v: _translate(img, v, 0), -0.3, 0.3),
    (lambda img, v: _translate(img, 0, v), -0.3, 0.3),
)


class RandAugmentFixMatch:
    """``n`` random operations, each of its own random strength (FixMatch, NeurIPS 2020).

    Args:
        n (int): operations per image.
    """

    def __init__(self, n=2):
        self.n = n

    def __call__(self, img):
        for operation, smallest, largest in random.choices(_OPERATIONS, k=self.n):
            img = operation(img, random.uniform(smallest, largest))
        return img


class RandAugment2:
    """``n`` random operations of random strength, each applied with probability ``p``.

    Args:
        n (int): operations per image.
        p (float): probability of each.
    """

    def __init__(self, n=2, p=0.6):
        self.n = n
        self.p = p

    def __call__(self, img):
        for operation, smallest, largest in random.choices(_OPERATIONS, k=self.n):
            if random.random() <= self.p:
                img = operation(img, random.uniform(smallest, largest))
        return img
