"""Pictures are read without loss or refused: depth, range, transparency and orientation."""

import io
import json

import numpy as np
import pytest
from dassl.data import DataManager
from dassl.data.decoded import DecodedImages
from dassl.utils import ImageReadError, image_suffixes, load_image, read_image
from PIL import Image

from tests.kinds.test_lists import config

pytestmark = pytest.mark.integration

GREY = np.arange(256, dtype=np.uint8).reshape(16, 16)


def write(path, values, **options):
    Image.fromarray(values).save(path, **options)
    return str(path)


WHITE_IS_ZERO = {"tiffinfo": {262: 0}}
SAME_AS_8_BITS = {
    "16-bit PNG": ("a.png", GREY.astype(np.uint16) * 257, {}),
    "16-bit PNG, shifted": ("a.png", GREY.astype(np.uint16) * 256, {}),
    "16-bit TIFF": ("a.tif", GREY.astype(np.uint16) * 257, {}),
    "16-bit TIFF, big-endian": ("a.tif", (GREY.astype(np.uint16) * 257).astype(">u2"), {}),
    "16-bit TIFF, white is zero": ("a.tif", 65535 - GREY.astype(np.uint16) * 257, WHITE_IS_ZERO),
    "16-bit JPEG 2000": ("a.jp2", GREY.astype(np.uint16) * 257, {}),
    "16-bit PGM": ("a.pgm", GREY.astype(np.uint16) * 257, {}),
    "32-bit integers up to 65535": ("a.tif", GREY.astype(np.int32) * 257, {}),
    "32-bit integers up to 255": ("a.tif", GREY.astype(np.int32), {}),
    "8 bits in 16": ("a.png", GREY.astype(np.uint16), {}),
    "floats up to 1": ("a.tif", GREY.astype(np.float32) / 255, {}),
    "floats up to 255": ("a.tif", GREY.astype(np.float32), {}),
}


@pytest.mark.parametrize("case", SAME_AS_8_BITS)
def test_a_deeper_picture_reads_as_the_8_bit_one(case, tmp_path):
    name, values, options = SAME_AS_8_BITS[case]
    picture = read_image(write(tmp_path / name, values, **options))
    assert picture.mode == "RGB"
    assert np.array_equal(np.asarray(picture), np.repeat(GREY[..., None], 3, axis=2))


REFUSED = {
    "32-bit integers above 65535": ("a.tif", GREY.astype(np.int32) * 300, "mode I with values from 0 to 76500"),
    "negative integers": ("a.tif", GREY.astype(np.int32) - 5, "values from -5 to 250"),
    "12 bits in 16": ("a.png", GREY.astype(np.uint16) * 16, "values up to 4080 of 65535"),
    "floats up to 65535": ("a.tif", GREY.astype(np.float32) * 257, "mode F with values from 0 to 65535"),
    "negative floats": ("a.tif", GREY.astype(np.float32) / 127.5 - 1, "mode F with values from -1 to 1"),
    "not a number": ("a.tif", np.full((4, 4), np.nan, np.float32), "mode F with values from nan"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_picture_of_an_unknown_range_is_refused_with_path_and_mode(case, tmp_path):
    name, values, line = REFUSED[case]
    path = write(tmp_path / name, values)
    with pytest.raises(ImageReadError) as caught:
        read_image(path)
    assert path in str(caught.value) and line in str(caught.value)


def test_black_stays_black(tmp_path):
    assert np.asarray(read_image(write(tmp_path / "a.png", np.zeros((4, 4), np.uint16)))).max() == 0


RED_ON_NOTHING = np.zeros((2, 2, 4), np.uint8)
RED_ON_NOTHING[0, 0] = (255, 0, 0, 255)


@pytest.mark.parametrize("kind", ["PNG", "GIF", "WEBP"])
def test_transparent_parts_of_own_pictures_are_white(kind, tmp_path):
    options = {"lossless": True} if kind == "WEBP" else {}
    Image.fromarray(RED_ON_NOTHING).save(tmp_path / "a.png", kind, **options)
    seen = np.asarray(load_image(tmp_path / "a.png", as_viewed=True))
    assert seen.reshape(-1, 3).tolist() == [[255, 0, 0]] + 3 * [[255, 255, 255]]


def turned(path, orientation, kind="JPEG"):
    """A picture whose upper left corner is white when it is seen as a viewer shows it."""
    shown = Image.new("RGB", (16, 24))
    shown.paste("white", (0, 0, 8, 8))
    back = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # the transposition that the viewer undoes
    stored = shown if orientation == 1 else shown.transpose(Image.Transpose(back[orientation]))
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(path, kind, exif=exif)
    return str(path)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_own_pictures_are_turned_as_their_exif_data_say(orientation, kind, tmp_path):
    path = turned(tmp_path / "a", orientation, kind)
    memory = DecodedImages(2**20)
    memory.fill([(path, True)])
    for seen in (load_image(path, as_viewed=True), memory.read(path, True)):
        assert seen.size == (16, 24)
        assert np.asarray(seen)[3, 3].min() > 200 and np.asarray(seen)[-4, -4].max() < 60


@pytest.mark.parametrize("layout", ["classes", "split file"])
def test_all_ways_of_reading_own_pictures_turn_them(layout, tmp_path, monkeypatch):
    """Training with and without decoded images in memory, tests, shots and halves of the classes."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    root = tmp_path / "pictures"
    for key in "ab":
        (root / key).mkdir(parents=True)
        for i in range(10):
            turned(root / key / f"{i}.jpg", 6)
    if layout == "split file":
        rows = {part: [[f"{key}/{i}.jpg", label, key] for label, key in enumerate("ab") for i in numbers]
                for part, numbers in (("train", range(4)), ("val", range(4, 6)), ("test", range(6, 10)))}  # fmt: skip
        (root / "split_x.json").write_text(json.dumps(rows))
    for classes in ("all", "new"):
        cfg = config("ImageFolder", root, shots=2, SUBSAMPLE_CLASSES=classes)
        cfg.INPUT.SIZE, cfg.INPUT.TRANSFORMS, cfg.DATALOADER.TRAIN_X.BATCH_SIZE = (24, 16), (), 2
        for workers in (0, 1):
            cfg.DATALOADER.NUM_WORKERS = workers
            data = DataManager(cfg)
            for loader in (data.train_loader_x, data.val_loader, data.test_loader):
                for batch in loader:
                    assert batch["img"][:, :, 3, 3].min() > 0.8 and batch["img"][:, :, -4, -4].max() < 0.2


def test_by_default_a_picture_is_read_as_the_reference_reads_it(tmp_path):
    path = turned(tmp_path / "a.jpg", 6)
    memory = DecodedImages(2**20)
    assert memory.read(path, True).size == (16, 24)
    for seen in (read_image(path), memory.read(path)):
        assert np.array_equal(np.asarray(seen), np.asarray(Image.open(path).convert("RGB")))


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_broken_exif_data_do_not_break_the_picture(tmp_path):
    buffer = io.BytesIO()
    Image.fromarray(GREY).save(buffer, "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + b"\xff" * 30)
    (tmp_path / "a.jpg").write_bytes(buffer.getvalue())
    assert load_image(tmp_path / "a.jpg", as_viewed=True).size == (16, 16)


def test_endings_are_those_of_the_formats_that_are_read():
    assert {".jpg", ".jfif", ".png", ".webp", ".tif", ".bmp", ".gif", ".jp2", ".tga", ".pgm"} <= image_suffixes()
    assert not {".eps", ".pdf", ".mpg", ".svg", ".txt"} & image_suffixes()
