"""The learned policies of AutoAugment (Cubuk et al., CVPR 2019) in torchvision's implementation."""

from torchvision.transforms import AutoAugment, AutoAugmentPolicy

from .isolation import drawing_from_python_random

GREY = (128, 128, 128)


class _Policy(AutoAugment):
    """PIL image -> PIL image, by one random pair of operations of the policy.

    Args:
        fillcolor (tuple): RGB (0 to 255) of pixels that come in from outside.
    """

    learned_on = None

    def __init__(self, fillcolor=GREY):
        super().__init__(self.learned_on, fill=list(fillcolor))

    def forward(self, img):
        with drawing_from_python_random():
            return super().forward(img)


class ImageNetPolicy(_Policy):
    __doc__ = _Policy.__doc__
    learned_on = AutoAugmentPolicy.IMAGENET


class CIFAR10Policy(_Policy):
    __doc__ = _Policy.__doc__
    learned_on = AutoAugmentPolicy.CIFAR10


class SVHNPolicy(_Policy):
    __doc__ = _Policy.__doc__
    learned_on = AutoAugmentPolicy.SVHN


class SubPolicy(_Policy):
    """One pair of operations, each applied with its own probability.

    Args:
        p1, p2 (float): probabilities.
        operation1, operation2 (str): names as torchvision's AutoAugment has them, such as ``Rotate``.
        magnitude_idx1, magnitude_idx2 (int): strength, 0 to 9.
        fillcolor (tuple): RGB (0 to 255) of pixels that come in from outside.
    """

    learned_on = AutoAugmentPolicy.IMAGENET

    def __init__(self, p1, operation1, magnitude_idx1, p2, operation2, magnitude_idx2, fillcolor=GREY):
        super().__init__(fillcolor)

        def entry(operation, p, index):
            # torchvision's tables hold one strength for operations that have none to choose.
            return (operation, p, None if operation in ("AutoContrast", "Equalize", "Invert") else index)

        self.policies = [(entry(operation1, p1, magnitude_idx1), entry(operation2, p2, magnitude_idx2))]
