"""Odd pictures of 8 bits load as ``PIL.Image.open(path).convert("RGB")`` gives them, as the reference reads them.

A broken one is one line with its path. For other depths see ``tests/kinds/test_pixels.py``.
"""

import io
import warnings

import numpy as np
import pytest
from dassl.data import DatasetWrapper
from dassl.data.datasets import Datum
from dassl.data.transforms import build_transform
from PIL import Image

from clip_prompts.common.errors import UserError
from clip_prompts.data import readable
from tests.datasets.pictures import write_classes

NOISE = np.random.default_rng(0).integers(0, 256, (40, 30, 4), dtype=np.uint8)  # (H, W, C)


def cmyk(path):
    Image.fromarray(NOISE, "CMYK").save(path.with_suffix(".jpg"))
    return path.with_suffix(".jpg")


def palette(path, **options):
    picture = Image.fromarray(NOISE[..., :3]).quantize(16)
    picture.save(path.with_suffix(".png"), **options)
    return path.with_suffix(".png")


def rotated(path):
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: turn by 90 degrees
    Image.fromarray(NOISE[..., :3]).save(path.with_suffix(".jpg"), exif=exif)
    return path.with_suffix(".jpg")


def saved(mode, size=(30, 40), suffix=".png"):
    def write(path):
        Image.fromarray(NOISE[..., :3]).resize(size).convert(mode).save(path.with_suffix(suffix))
        return path.with_suffix(suffix)

    return write


ODD = {
    "CMYK": cmyk,
    "palette": palette,
    "palette, a transparent colour": lambda path: palette(path, transparency=3),
    "palette, transparency of each colour": lambda path: palette(path, transparency=bytes(range(0, 160, 10))),
    "EXIF-rotated": rotated,
    "1x1": saved("RGB", (1, 1)),
    "1x1 grey": saved("L", (1, 1)),
    "one row": saved("RGB", (30, 1)),
    "transparent": saved("RGBA"),
    "grey and transparent": saved("LA"),
    "black and white": saved("1"),
    "GIF": saved("P", suffix=".gif"),
}


@pytest.mark.parametrize("case", ODD)
def test_odd_pictures(case, make_cfg, tmp_path):
    path = ODD[case](tmp_path / "odd")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's, about transparency
        expected = Image.open(path).convert("RGB")
        cfg = make_cfg()
        plain = DatasetWrapper(cfg, [Datum(str(path))])[0]["img"]
        assert (plain.mode, plain.size) == ("RGB", expected.size)
        assert np.array_equal(np.asarray(plain), np.asarray(expected))
        cfg.INPUT.SIZE, cfg.INPUT.INTERPOLATION = (32, 32), "bicubic"
        for train, transforms in ((True, ("random_resized_crop", "random_flip", "normalize")), (False, ("normalize",))):
            cfg.INPUT.TRANSFORMS = transforms
            wrapper = DatasetWrapper(cfg, [Datum(str(path))], build_transform(cfg, is_train=train), is_train=train)
            assert wrapper[0]["img"].shape == (3, 32, 32)


def test_the_odd_pictures_are_odd(tmp_path):
    """The content of the files matches their names; otherwise the test above proves nothing."""
    modes = {}
    for number, (case, write) in enumerate(ODD.items()):
        with Image.open(write(tmp_path / str(number))) as image:
            modes[case] = image.mode, image.size, image.getexif().get(0x0112), "transparency" in image.info
    assert modes["CMYK"][0] == "CMYK" and modes["palette"][0] == "P"
    assert modes["EXIF-rotated"][1:3] == ((30, 40), 6) and modes["1x1"][1] == (1, 1)
    assert [case for case, mode in modes.items() if mode[3]] == [
        "palette, a transparent colour",
        "palette, transparency of each colour",
    ]


def jpeg():
    buffer = io.BytesIO()
    Image.fromarray(NOISE[..., :3]).save(buffer, "JPEG")
    return buffer.getvalue()


BROKEN = {"cut in half": lambda: jpeg()[: len(jpeg()) // 2], "text": lambda: b"not a picture", "empty": lambda: b""}


@pytest.mark.parametrize("case", BROKEN)
@pytest.mark.parametrize("part", ["train", "test"])
def test_a_broken_picture_ends_a_run_with_one_line(case, part, run, tmp_path):
    folder = tmp_path / "pictures"
    for name in ("train", "test"):
        write_classes(folder / name, 3, ("cat", "dog"))
        for file in (folder / name).rglob("*.jpg"):
            file.write_bytes(BROKEN[case]() if name == part else jpeg())
    assert run("CoOp", "--root", str(folder), dataset="image_folder") == 2
    line = run.err.strip().splitlines()[-1]
    assert line.startswith("Error: ") and "Traceback" not in run.err + run.stdout
    assert f"6 of 12 pictures in {folder} cannot be read: {part}/cat/0.jpg" in line
    assert "DATASET.UNREADABLE skip" in line


def test_a_dassl_that_cannot_find_unreadable_images_says_so(monkeypatch):
    """A deep check must not call images readable that it has not looked at; a run skips the check."""
    monkeypatch.setattr(readable, "load_image", None)
    with pytest.raises(UserError, match="cannot skip unreadable images"):
        readable.find_unreadable([])
    assert readable.skip_unreadable([["item"]], "error", "folder") == ([["item"]], [])
