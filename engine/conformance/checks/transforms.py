"""Section 1.5: the pipelines, their fixed order, and the lines that tell them."""

from .. import tiny
from ..checking import check, equal, near, printed, raises
from ..presence import find

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
    from dassl.data.transforms import build_transform

    with printed() as text:
        made = build_transform(tiny.make_cfg(*opts), is_train=is_train, choices=choices)
    return text.lines, [type(step).__name__ for step in made.transforms], made


def picture(size=(20, 24)):
    import numpy as np
    from PIL import Image

    return Image.fromarray(np.random.default_rng(0).integers(0, 255, (*size, 3), dtype=np.uint8))


@check("transform:*")
def known_choice(entry):
    """The choice is known, and its pipelines make tensors of an image."""
    import torch
    from dassl.data.transforms.transforms import AVAI_CHOICES

    assert entry.short in AVAI_CHOICES
    for is_train in (True, False):
        _, _, pipeline = build([entry.short], is_train, "INPUT.GB_K", 5)
        for _ in range(4):
            made = pipeline(picture())
            equal((made.dtype, tuple(made.shape)), (torch.float32, (3, 16, 16)))


@check("dassl.data.transforms.transforms.AVAI_CHOICES")
def choices():
    """There are 18 choices."""
    from dassl.data.transforms.transforms import AVAI_CHOICES

    equal(len(AVAI_CHOICES), 18)
    equal(set(AVAI_CHOICES), {*TRAIN, "center_crop"})


@check("interpolation:*")
def interpolation(entry):
    """The key stands for torchvision's mode of that name, which the resize steps use."""
    from dassl.data.transforms import INTERPOLATION_MODES

    equal(INTERPOLATION_MODES[entry.short].value, entry.short)
    for is_train in (True, False):
        equal(build([], is_train, "INPUT.INTERPOLATION", entry.short)[2].transforms[0].interpolation.value, entry.short)


@check("dassl.data.transforms.INTERPOLATION_MODES")
def interpolations():
    """There are these three keys."""
    from dassl.data.transforms import INTERPOLATION_MODES

    equal(set(INTERPOLATION_MODES), {"bilinear", "bicubic", "nearest"})


@check(
    "dassl.data.transforms.build_transform", "line:Building transform_train", "line:+ resize to {H}x{W}",
    "line:+ to torch tensor of range [0, 1]", "cfg.INPUT.TRANSFORMS", "cfg.INPUT.SIZE",
)  # fmt: skip
def smallest_training_pipeline():
    """Without choices: resize both edges, to tensor; choices None means INPUT.TRANSFORMS; the result is a Compose."""
    lines, steps, made = build([])
    equal(lines, ["Building transform_train", "+ resize to 16x16", "+ to torch tensor of range [0, 1]"])
    equal((steps, type(made).__name__), (["Resize", "ToTensor"], "Compose"))
    equal(tuple(made(picture()).shape), (3, 16, 16))
    equal(build(None)[1], ["Resize", "RandomHorizontalFlip", "ToTensor", "Normalize"])


@check(
    *(
        f"line:+ {line}"
        for line in (
            "random translation", "random crop (padding = {p})", "random resized crop (size={SIZE}, scale={s})",
            "random flip", "imagenet policy", "cifar10 policy", "svhn policy", "randaugment (n={n}, m={m})",
            "randaugment_fixmatch (n={n})", "randaugment2 (n={n})",
            "color jitter (brightness={b}, contrast={c}, saturation={s}, hue={h})", "random gray scale",
            "gaussian blur (kernel={k})", "to torch tensor of range [0, 1]", "cutout (n_holes={n}, length={l})",
            "normalization (mean={m}, std={s})", "gaussian noise (mean={m}, std={s})", "instance normalization",
        )
    ),
    "cfg.INPUT.CROP_PADDING", "cfg.INPUT.RRCROP_SCALE", "cfg.INPUT.CUTOUT_N", "cfg.INPUT.CUTOUT_LEN",
    "cfg.INPUT.GN_MEAN", "cfg.INPUT.GN_STD", "cfg.INPUT.RANDAUGMENT_N", "cfg.INPUT.RANDAUGMENT_M",
    "cfg.INPUT.COLORJITTER_B", "cfg.INPUT.COLORJITTER_C", "cfg.INPUT.COLORJITTER_S", "cfg.INPUT.COLORJITTER_H",
    "cfg.INPUT.RGS_P", "cfg.INPUT.GB_P", "cfg.INPUT.GB_K", "cfg.INPUT.PIXEL_MEAN", "cfg.INPUT.PIXEL_STD",
)  # fmt: skip
def all_training_steps():
    """The steps come in a fixed order, whatever the order of the list, each with its line; no resize with a crop."""
    lines, steps, made = build(list(TRAIN)[::-1])
    names = list(TRAIN)
    tensor = names.index("cutout")
    expected = [TRAIN[n] for n in names[:tensor]] + [TENSOR] + [TRAIN[n] for n in names[tensor:]]
    equal(lines, ["Building transform_train", *(f"+ {line}" for line, _ in expected)])
    equal(steps, [kind for _, kind in expected])
    blur = made.transforms[12]
    equal((blur.p, made.transforms[11].p), (0.5, 0.2))


@check("transform:center_crop", "transform:random_crop", "transform:random_resized_crop")
def crops():
    """center_crop has no effect; resize to both edges is there unless random_crop or random_resized_crop is chosen."""
    equal(build(["center_crop"])[1], ["Resize", "ToTensor"])
    equal(build(["random_crop"])[1], ["RandomCrop", "ToTensor"])
    equal(build(["random_resized_crop"])[1], ["RandomResizedCrop", "ToTensor"])
    equal(build(["random_translation"])[1], ["Resize", "Random2DTranslation", "ToTensor"])


@check(
    "line:Building transform_test", "line:+ resize the smaller edge to {max}", "line:+ {H}x{W} center crop",
    "dassl.data.transforms.build_transform",
)  # fmt: skip
def test_pipeline():
    """Resize the smaller edge to max(SIZE), centre crop, to tensor; then only Normalize and InstanceNormalization."""
    lines, steps, made = build(list(TRAIN), False, "INPUT.SIZE", (12, 16))
    equal(steps, ["Resize", "CenterCrop", "ToTensor", "Normalize", "InstanceNormalization"])
    equal(lines[:4], [
        "Building transform_test", "+ resize the smaller edge to 16", "+ 12x16 center crop",
        "+ to torch tensor of range [0, 1]",
    ])  # fmt: skip
    equal(tuple(made(picture()).shape), (3, 12, 16))


@check("line:Note: no transform is applied!", "cfg.INPUT.NO_TRANSFORM")
def no_transform():
    """NO_TRANSFORM prints a line and returns None."""
    from dassl.data.transforms import build_transform

    with printed() as text:
        equal(build_transform(tiny.make_cfg("INPUT.NO_TRANSFORM", True)), None)
    equal(text.lines, ["Note: no transform is applied!"])


@check("dassl.data.transforms.build_transform")
def unknown_choice():
    """An unknown choice is an AssertionError without a message."""
    with raises(AssertionError, chosen="errors-for-users"):
        build(["random_flop"])


@check("dassl.data.transforms.transforms.build_transform")
def deep_path():
    """The deeper path names the same function."""
    from dassl.data import transforms

    assert transforms.transforms.build_transform is transforms.build_transform


@check("dassl.data.transforms.transforms.Random2DTranslation")
def translation():
    """With probability p a window of the image enlarged by 1.125; otherwise resized."""
    import random

    from dassl.data.transforms.transforms import Random2DTranslation

    image = picture((16, 16))
    equal(Random2DTranslation(16, 12, p=0.0)(image).size, (12, 16))
    random.seed(0)
    views = {Random2DTranslation(16, 16, p=1.0)(image).tobytes() for _ in range(20)}
    assert 1 < len(views) <= 9  # enlarged to 18 x 18: nine windows


@check("dassl.data.transforms.transforms.InstanceNormalization")
def instance_normalization():
    """Each channel gets mean 0 and standard deviation 1."""
    import torch
    from dassl.data.transforms.transforms import InstanceNormalization

    made = InstanceNormalization()(torch.rand(3, 8, 8) * 5)
    assert made.mean((1, 2)).abs().max() < 1e-5
    near(made.flatten(1).std(1).tolist(), [1.0, 1.0, 1.0], 1e-4)


@check("dassl.data.transforms.transforms.Cutout", "transform:cutout")
def cutout():
    """n_holes squares of side length become 0."""
    import torch
    from dassl.data.transforms.transforms import Cutout

    made = Cutout(n_holes=1, length=4)(torch.ones(3, 16, 16))
    zeros = int((made[0] == 0).sum())
    assert 0 < zeros <= 16 and torch.equal(made[0], made[2])


@check("dassl.data.transforms.transforms.GaussianNoise", "transform:gaussian_noise")
def gaussian_noise():
    """With probability p noise of this mean and standard deviation is added."""
    import torch
    from dassl.data.transforms.transforms import GaussianNoise

    clean = torch.zeros(3, 64, 64)
    assert torch.equal(GaussianNoise(p=0.0)(clean), clean)
    noise = GaussianNoise(mean=1.0, std=0.5, p=1.0)(clean)
    assert 0.95 < noise.mean() < 1.05 and 0.45 < noise.std() < 0.55


@check(
    "dassl.data.transforms.autoaugment.ImageNetPolicy", "dassl.data.transforms.autoaugment.CIFAR10Policy",
    "dassl.data.transforms.autoaugment.SVHNPolicy", "dassl.data.transforms.randaugment.RandAugment",
    "dassl.data.transforms.randaugment.RandAugment2", "dassl.data.transforms.randaugment.RandAugmentFixMatch",
)  # fmt: skip
def policies():
    """Each turns a PIL image into a PIL image of the same size, at random."""
    import random

    from PIL import Image

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


@check("dassl.data.transforms.autoaugment.SubPolicy")
def sub_policy():
    """A pair of operations with probabilities and strengths: p1, operation1, index1, p2, operation2, index2."""
    from dassl.data.transforms import autoaugment

    names = {"invert", "Invert"}  # upstream's spelling, torchvision's
    for name in sorted(names):
        try:
            policy = autoaugment.SubPolicy(1.0, name, 3, 0.0, name, 3)
        except (KeyError, ValueError):
            continue
        image = picture((4, 4))
        equal(policy(image).getpixel((0, 0)), tuple(255 - v for v in image.getpixel((0, 0))))
        return
    raise AssertionError("no operation is called invert")
