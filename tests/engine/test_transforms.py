import random

import numpy as np
import pytest
import torch
import torchvision.transforms as T
from dassl.data.transforms import INTERPOLATION_MODES, build_transform
from dassl.data.transforms.autoaugment import CIFAR10Policy, ImageNetPolicy, SubPolicy, SVHNPolicy
from dassl.data.transforms.randaugment import _OPERATIONS, RandAugment, RandAugment2, RandAugmentFixMatch
from dassl.data.transforms.transforms import (
    Cutout,
    Random2DTranslation,
)
from dassl.utils import ConfigError, UnknownNameError
from PIL import Image

SIZE = ("INPUT.SIZE", (16, 12))


@pytest.fixture
def picture():
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def test_clip_pipeline_draws_as_torchvision_does(make_cfg, picture):
    """Crop and flip decide which pixels a seed gives: they are torchvision's, in this order."""
    cfg = make_cfg("INPUT.INTERPOLATION", "bicubic")
    pipeline = build_transform(cfg, choices=["normalize", "random_flip", "random_resized_crop"])
    plain = T.Compose([
        T.RandomResizedCrop((8, 8), scale=(0.08, 1.0), interpolation=T.InterpolationMode.BICUBIC),
        T.RandomHorizontalFlip(),
        T.ToTensor(),
        T.Normalize(cfg.INPUT.PIXEL_MEAN, cfg.INPUT.PIXEL_STD),
    ])  # fmt: skip
    for n in range(4):
        torch.manual_seed(n)
        expected = plain(picture)
        torch.manual_seed(n)
        assert torch.equal(pipeline(picture), expected)


def test_unknown_names_are_refused_with_a_suggestion(make_cfg):
    with pytest.raises(UnknownNameError, match="Unknown transform 'random_flop'. Did you mean 'random_flip'?"):
        build_transform(make_cfg("INPUT.TRANSFORMS", ("random_flop",)))
    with pytest.raises(UnknownNameError, match="INPUT.INTERPOLATION 'bicubical'. Did you mean 'bicubic'"):
        build_transform(make_cfg("INPUT.INTERPOLATION", "bicubical"))
    assert list(INTERPOLATION_MODES) == ["bilinear", "bicubic", "nearest"]


@pytest.mark.parametrize(
    "transform",
    [
        ImageNetPolicy(),
        CIFAR10Policy(),
        SVHNPolicy(),
        SubPolicy(1.0, "Rotate", 9, 1.0, "Invert", 3),
        RandAugment(),
        RandAugment2(),
        RandAugmentFixMatch(),
    ],
    ids=lambda transform: type(transform).__name__,
)
def test_policies_follow_pythons_seed_and_leave_torchs_stream(picture, transform):
    random.seed(0)
    stream = torch.get_rng_state()
    first = [np.asarray(transform(picture)) for _ in range(5)]
    assert torch.equal(torch.get_rng_state(), stream)
    random.seed(0)
    again = [np.asarray(transform(picture)) for _ in range(5)]
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert any(not np.array_equal(a, np.asarray(picture)) for a in first)


@pytest.mark.parametrize("n", range(len(_OPERATIONS)))
def test_operations_work_at_both_ends_of_their_range(picture, n):
    operation, smallest, largest = _OPERATIONS[n]
    for value in (smallest, largest):
        result = operation(picture, value)
        assert result.size == picture.size and result.mode == "RGB"


def test_randaugment2_without_probability_changes_nothing(picture):
    assert np.array_equal(RandAugment2(n=5, p=0.0)(picture), picture)


def test_randaugment_magnitude_is_checked():
    with pytest.raises(ConfigError, match="between 0 and 30, but got 31"):
        RandAugment(2, 31)


def test_cutout_blanks_one_square(picture):
    ones = torch.ones(3, 32, 32)
    random.seed(0)
    for _ in range(20):
        zeros = (Cutout(1, 8)(ones) == 0).all(0)
        height, width = zeros.any(1).sum().item(), zeros.any(0).sum().item()
        assert zeros.sum() == height * width and 4 <= height <= 8 and 4 <= width <= 8
    assert ones.min() == 1, "the input is left as it is"


def test_random_translation_moves_by_at_most_an_eighth(picture):
    random.seed(0)
    plain = np.asarray(Random2DTranslation(16, 12, p=0.0)(picture))
    assert np.array_equal(plain, T.Resize((16, 12))(picture))
    moved = [Random2DTranslation(16, 12, p=1.0)(picture) for _ in range(10)]
    assert {image.size for image in moved} == {(12, 16)}
    enlarged = np.asarray(T.Resize((18, 14))(picture))  # 16 * 1.125, 12 * 1.125 rounded
    windows = [enlarged[y : y + 16, x : x + 12] for y in range(3) for x in range(3)]
    assert all(any(np.array_equal(image, window) for window in windows) for image in moved)


def test_sub_policy_applies_both_operations(picture):
    assert np.array_equal(SubPolicy(1.0, "Invert", 0, 1.0, "Invert", 0)(picture), picture)
