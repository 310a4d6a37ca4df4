"""The training and test pipelines. Their order is fixed; the config only chooses the steps."""

import torchvision.transforms as T
from torchvision.transforms import InterpolationMode

from dassl.utils import UnknownNameError, get_most_similar_str_to_a_from_b

from .autoaugment import CIFAR10Policy, ImageNetPolicy, SVHNPolicy
from .operations import Cutout, GaussianNoise, InstanceNormalization, Random2DTranslation, RandomCrop
from .randaugment import RandAugment, RandAugment2, RandAugmentFixMatch

# center_crop is accepted for old configs: testing always crops the centre, training never does.
AVAI_CHOICES = [
    "random_flip", "random_resized_crop", "normalize", "instance_norm", "random_crop", "random_translation",
    "center_crop", "cutout", "imagenet_policy", "cifar10_policy", "svhn_policy", "randaugment",
    "randaugment_fixmatch", "randaugment2", "gaussian_noise", "colorjitter", "randomgrayscale", "gaussian_blur",
]  # fmt: skip

INTERPOLATION_MODES = {
    "bilinear": InterpolationMode.BILINEAR,
    "bicubic": InterpolationMode.BICUBIC,
    "nearest": InterpolationMode.NEAREST,
}


def interpolation_mode(name):
    """Return torchvision's mode for ``bilinear``, ``bicubic`` or ``nearest``. Raises UnknownNameError for others."""
    _check_known("INPUT.INTERPOLATION", name, list(INTERPOLATION_MODES))
    return INTERPOLATION_MODES[name]


def build_transform(cfg, is_train=True, choices=None):
    """Return the pipeline PIL image -> float tensor (3, H, W), and print its steps.

    Args:
        cfg: the config tree; ``INPUT`` is read.
        is_train (bool): training or test pipeline.
        choices (list of str): names of AVAI_CHOICES in any order; None means INPUT.TRANSFORMS.

    Returns:
        torchvision Compose, or None when INPUT.NO_TRANSFORM is set.

    Raises UnknownNameError: a choice, or the interpolation, is unknown.
    """
    if cfg.INPUT.NO_TRANSFORM:
        print("Note: no transform is applied!")
        return None
    if choices is None:
        choices = cfg.INPUT.TRANSFORMS
    for choice in choices:
        _check_known("transform", choice, AVAI_CHOICES)
    mode = interpolation_mode(cfg.INPUT.INTERPOLATION)
    print(f"Building transform_{'train' if is_train else 'test'}")
    transforms = []
    for line, transform in (_train_steps if is_train else _test_steps)(cfg.INPUT, choices, mode):
        print(f"+ {line}")
        transforms.append(transform)
    return T.Compose(transforms)


def _train_steps(settings, choices, mode):
    """Yield (printed line, transform) for each step of training, in order."""
    size = settings.SIZE
    height, width = size
    if "random_crop" not in choices and "random_resized_crop" not in choices:
        yield f"resize to {height}x{width}", T.Resize(size, interpolation=mode)
    if "random_translation" in choices:
        yield "random translation", Random2DTranslation(height, width)
    if "random_crop" in choices:
        padding = settings.CROP_PADDING
        yield f"random crop (padding = {padding})", RandomCrop(size, padding=padding)
    if "random_resized_crop" in choices:
        scale = settings.RRCROP_SCALE
        yield (
            f"random resized crop (size={size}, scale={scale})",
            T.RandomResizedCrop(size, scale=scale, interpolation=mode),
        )
    if "random_flip" in choices:
        yield "random flip", T.RandomHorizontalFlip()
    for name, policy in (("imagenet", ImageNetPolicy), ("cifar10", CIFAR10Policy), ("svhn", SVHNPolicy)):
        if f"{name}_policy" in choices:
            yield f"{name} policy", policy()
    n, m = settings.RANDAUGMENT_N, settings.RANDAUGMENT_M
    if "randaugment" in choices:
        yield f"randaugment (n={n}, m={m})", RandAugment(n, m)
    if "randaugment_fixmatch" in choices:
        yield f"randaugment_fixmatch (n={n})", RandAugmentFixMatch(n)
    if "randaugment2" in choices:
        yield f"randaugment2 (n={n})", RandAugment2(n)
    if "colorjitter" in choices:
        b, c, s, h = settings.COLORJITTER_B, settings.COLORJITTER_C, settings.COLORJITTER_S, settings.COLORJITTER_H
        yield (
            f"color jitter (brightness={b}, contrast={c}, saturation={s}, hue={h})",
            T.ColorJitter(brightness=b, contrast=c, saturation=s, hue=h),
        )
    if "randomgrayscale" in choices:
        yield "random gray scale", T.RandomGrayscale(p=settings.RGS_P)
    if "gaussian_blur" in choices:
        kernel = settings.GB_K
        yield f"gaussian blur (kernel={kernel})", T.RandomApply([T.GaussianBlur(kernel)], p=settings.GB_P)
    yield "to torch tensor of range [0, 1]", T.ToTensor()
    if "cutout" in choices:
        holes, length = settings.CUTOUT_N, settings.CUTOUT_LEN
        yield f"cutout (n_holes={holes}, length={length})", Cutout(holes, length)
    if "normalize" in choices:
        yield _normalization(settings)
    if "gaussian_noise" in choices:
        mean, std = settings.GN_MEAN, settings.GN_STD
        yield f"gaussian noise (mean={mean}, std={std})", GaussianNoise(mean, std)
    if "instance_norm" in choices:
        yield "instance normalization", InstanceNormalization()


def _test_steps(settings, choices, mode):
    """Yield (printed line, transform) for each step of testing, in order."""
    height, width = settings.SIZE
    smaller_edge = max(settings.SIZE)
    yield f"resize the smaller edge to {smaller_edge}", T.Resize(smaller_edge, interpolation=mode)
    yield f"{height}x{width} center crop", T.CenterCrop(settings.SIZE)
    yield "to torch tensor of range [0, 1]", T.ToTensor()
    if "normalize" in choices:
        yield _normalization(settings)
    if "instance_norm" in choices:
        yield "instance normalization", InstanceNormalization()


def _normalization(settings):
    mean, std = settings.PIXEL_MEAN, settings.PIXEL_STD
    return f"normalization (mean={mean}, std={std})", T.Normalize(mean=mean, std=std)


def _check_known(kind, name, known):
    if name not in known:
        closest = get_most_similar_str_to_a_from_b(str(name), known)
        raise UnknownNameError(f"Unknown {kind} '{name}'. Did you mean '{closest}'? Known: {', '.join(known)}")
