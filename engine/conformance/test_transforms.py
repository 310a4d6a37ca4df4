"""Section 1.5: the pipelines, their fixed order, and the lines that tell them."""

import contextlib
import io
import random

import numpy as np
import pytest
import torch
from dassl.data import transforms
from dassl.data.transforms import INTERPOLATION_MODES, autoaugment, build_transform
from dassl.data.transforms.transforms import (
    AVAI_CHOICES,
    Cutout,
    GaussianNoise,
    InstanceNormalization,
    Random2DTranslation,
)
from PIL import Image

from . import tiny
from .catalogue import find, table
from .support import or_user_error

TRAIN = {  # choice -> (line, class of the step), in the order of the pipeline
    "random_translation": ("random translation", "Random2DTranslation"),
    "random_crop": ("random crop (padding = 4)", "RandomCrop"),
    "random_resized_crop": ("random resized crop (size=(16, 16), scale=(0.08, 1.0))", "RandomResizedCrop"),
    "random_flip": ("random flip", "RandomHorizontalFlip"),
    "imagenet_policy": ("imagenet policy", "ImageNetPolicy"),
    "cifar10_policy": ("cifar10 policy", "CIFAR10Policy"),
    "svhn_policy": ("svhn policy", "SVHNPolicy"),
    "randaugment": ("randaugment (n=2, m=10)", "RandAugment"),
    "randaugment_fixmatch": ("randaugment_fixmatch (n=2)", "RandAugmentFixMatch"),
    "randaugment2": ("randaugment2 (n=2)", "RandAugment2"),
    "colorjitter": ("color jitter (brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1)", "ColorJitter"),
    "randomgrayscale": ("random gray scale", "RandomGrayscale"),
    "gaussian_blur": ("gaussian blur (kernel=21)", "RandomApply"),
    "cutout": ("cutout (n_holes=1, length=16)", "Cutout"),
    "normalize": ("normalization (mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225])", "Normalize"),
    "gaussian_noise": ("gaussian noise (mean=0.0, std=0.15)", "GaussianNoise"),
    "instance_norm": ("instance normalization", "InstanceNormalization"),
}
TENSOR = ("to torch tensor of range [0, 1]", "ToTensor")


def build(choices=None, is_train=True, *opts):
    """(lines, names of the steps, pipeline)"""
    with contextlib.redirect_stdout(io.StringIO()) as text:
        made = build_transform(tiny.make_cfg(*opts), is_train=is_train, choices=choices)
    return text.getvalue().splitlines(), [type(step).__name__ for step in made.transforms], made


def picture(size=(20, 24)):
    return Image.fromarray(np.random.default_rng(0).integers(0, 255, (*size, 3), dtype=np.uint8))


@pytest.mark.parametrize("name", table("transform"))
def test_known_choice(name):
    """The choice is known, and its pipelines make tensors of an image."""
    assert name in AVAI_CHOICES
    for is_train in (True, False):
        _, _, pipeline = build([name], is_train, "INPUT.GB_K", 5)
        for _ in range(4):
            made = pipeline(picture())
            assert (made.dtype, tuple(made.shape)) == (torch.float32, (3, 16, 16))


def test_choices():
    """There are 18 choices."""
    assert len(AVAI_CHOICES) == 18
    assert set(AVAI_CHOICES) == {*TRAIN, "center_crop"}


@pytest.mark.parametrize("name", table("interpolation"))
def test_interpolation(name):
    """The key means torchvision's mode of this name, which the resize steps use."""
    assert INTERPOLATION_MODES[name].value == name
    for is_train in (True, False):
        assert build([], is_train, "INPUT.INTERPOLATION", name)[2].transforms[0].interpolation.value == name


def test_interpolations():
    """There are these three keys."""
    assert set(INTERPOLATION_MODES) == {"bilinear", "bicubic", "nearest"}


def test_smallest_training_pipeline():
    """Without choices: resize both edges, to tensor; choices None means INPUT.TRANSFORMS; the result is a Compose."""
    lines, steps, made = build([])
    assert lines == ["Building transform_train", "+ resize to 16x16", "+ to torch tensor of range [0, 1]"]
    assert (steps, type(made).__name__) == (["Resize", "ToTensor"], "Compose")
    assert tuple(made(picture()).shape) == (3, 16, 16)
    assert build(None)[1] == ["Resize", "RandomHorizontalFlip", "ToTensor", "Normalize"]


def test_all_training_steps():
    """The steps come in a fixed order, whatever the order of the list, each with its line; no resize with a crop."""
    lines, steps, made = build(list(TRAIN)[::-1])
    names = list(TRAIN)
    tensor = names.index("cutout")
    expected = [TRAIN[n] for n in names[:tensor]] + [TENSOR] + [TRAIN[n] for n in names[tensor:]]
    assert lines == ["Building transform_train", *(f"+ {line}" for line, _ in expected)]
    assert steps == [kind for _, kind in expected]
    blur = made.transforms[12]
    assert (blur.p, made.transforms[11].p) == (0.5, 0.2)


def test_crops():
    """center_crop has no effect; resize to both edges is there unless random_crop or random_resized_crop is chosen."""
    assert build(["center_crop"])[1] == ["Resize", "ToTensor"]
    assert build(["random_crop"])[1] == ["RandomCrop", "ToTensor"]
    assert build(["random_resized_crop"])[1] == ["RandomResizedCrop", "ToTensor"]
    assert build(["random_translation"])[1] == ["Resize", "Random2DTranslation", "ToTensor"]


def test_pipeline():
    """Resize the smaller edge to max(SIZE), centre crop, to tensor; then only Normalize and InstanceNormalization."""
    lines, steps, made = build(list(TRAIN), False, "INPUT.SIZE", (12, 16))
    assert steps == ["Resize", "CenterCrop", "ToTensor", "Normalize", "InstanceNormalization"]
    assert lines[:4] == [
        "Building transform_test", "+ resize the smaller edge to 16", "+ 12x16 center crop",
        "+ to torch tensor of range [0, 1]",
    ]  # fmt: skip
    assert tuple(made(picture()).shape) == (3, 12, 16)


def test_no_transform(capsys):
    """NO_TRANSFORM prints a line and returns None."""
    assert build_transform(tiny.make_cfg("INPUT.NO_TRANSFORM", True)) is None
    assert capsys.readouterr().out.splitlines() == ["Note: no transform is applied!"]


def test_unknown_choice():
    """An unknown choice is an AssertionError without a message."""
    with pytest.raises(or_user_error(AssertionError)):
        build(["random_flop"])


def test_deep_path():
    """The deeper path names the same function."""
    assert transforms.transforms.build_transform is transforms.build_transform


def test_translation():
    """With probability p a window of the image enlarged by 1.125; otherwise resized."""
    image = picture((16, 16))
    assert Random2DTranslation(16, 12, p=0.0)(image).size == (12, 16)
    random.seed(0)
    views = {Random2DTranslation(16, 16, p=1.0)(image).tobytes() for _ in range(20)}
    assert 1 < len(views) <= 9  # enlarged to 18 x 18: nine windows


def test_instance_normalization():
    """Each channel gets mean 0 and standard deviation 1."""
    made = InstanceNormalization()(torch.rand(3, 8, 8) * 5)
    assert made.mean((1, 2)).abs().max() < 1e-5
    assert made.flatten(1).std(1).tolist() == pytest.approx([1.0, 1.0, 1.0], rel=1e-4)


def test_cutout():
    """n_holes squares of side length become 0."""
    made = Cutout(n_holes=1, length=4)(torch.ones(3, 16, 16))
    zeros = int((made[0] == 0).sum())
    assert 0 < zeros <= 16 and torch.equal(made[0], made[2])


def test_gaussian_noise():
    """With probability p noise of this mean and standard deviation is added."""
    clean = torch.zeros(3, 64, 64)
    assert torch.equal(GaussianNoise(p=0.0)(clean), clean)
    noise = GaussianNoise(mean=1.0, std=0.5, p=1.0)(clean)
    assert 0.95 < noise.mean() < 1.05 and 0.45 < noise.std() < 0.55


def test_policies():
    """Each turns a PIL image into a PIL image of the same size, at random."""
    image = picture((16, 16))
    for name in (
        "autoaugment.ImageNetPolicy", "autoaugment.CIFAR10Policy", "autoaugment.SVHNPolicy", "randaugment.RandAugment",
        "randaugment.RandAugment2", "randaugment.RandAugmentFixMatch",
    ):  # fmt: skip
        policy = find(f"dassl.data.transforms.{name}")()
        random.seed(0)
        made = [policy(image) for _ in range(30)]
        assert all(isinstance(view, Image.Image) and view.size == image.size for view in made), name
        assert len({view.tobytes() for view in made}) > 3, name


def test_sub_policy():
    """A pair of operations with probabilities and strengths: p1, operation1, index1, p2, operation2, index2."""
    names = {"invert", "Invert"}  # upstream's spelling, torchvision's
    for name in sorted(names):
        try:
            policy = autoaugment.SubPolicy(1.0, name, 3, 0.0, name, 3)
        except (KeyError, ValueError):
            continue
        image = picture((4, 4))
        assert policy(image).getpixel((0, 0)) == tuple(255 - v for v in image.getpixel((0, 0)))
        return
    raise AssertionError("no operation is called invert")
