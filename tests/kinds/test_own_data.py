"""Own pictures through ``train.py``: nothing is skipped, guessed, tested twice or read from another folder's cache."""

import json
import struct
import zlib

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from tests.conftest import ROOT

pytestmark = pytest.mark.integration

DIGITS = load_digits()


def draw(folder, digit, first, last, suffix=".png", scale=15, add=0, kind=np.uint8, **options):
    """scikit-learn's digits as pictures of 32 x 32 pixels."""
    folder.mkdir(parents=True, exist_ok=True)
    for i, a in enumerate(DIGITS.images[DIGITS.target == digit][first:last]):
        pixels = (np.kron(a, np.ones((4, 4))) * scale + add).astype(kind)
        Image.fromarray(pixels).save(folder / f"{i:02d}{suffix}", **options)


def draw_two(folder, *args, **options):
    for digit, name in enumerate(("zero", "one")):
        draw(folder / name, digit, *args, **options)


@pytest.fixture
def tiny(run, tmp_path):
    """``train.py`` on ImageFolder with the embedded backbone; gives the last record, or None after an error."""

    def call(root, trainer="CoOp", *flags, **settings):
        config = ROOT / f"configs/trainers/{trainer}/tiny.yaml"
        flags = ("--backbone", "tiny", "--root", str(root), *flags)
        call.status = run(trainer, *flags, dataset="image_folder", config=config, **settings)
        call.error = run.err.strip().rpartition("\n")[2]
        call.stdout = run.stdout
        assert "Traceback" not in run.err + run.stdout
        return json.loads((run.out / "results.json").read_text())[-1] if call.status == 0 else None

    return call


@pytest.mark.parametrize(
    "options",
    [
        {"scale": 3900, "add": 1000, "kind": np.uint16},
        {"scale": 3900, "add": 1000, "kind": np.uint16, "suffix": ".tif"},
        {"scale": 3900, "add": 1000, "kind": np.int32, "suffix": ".tif"},
        {"scale": 1 / 16, "kind": np.float32, "suffix": ".tif"},
    ],
)
def test_deep_pictures_give_the_8_bit_result(options, tiny, tmp_path):
    draw_two(tmp_path / "deep/test", 0, 12, **options)
    assert tiny(tmp_path / "deep", "ZeroshotCLIP")["metrics"]["accuracy"] == 100


def test_a_picture_of_an_unknown_range_is_named_before_the_test(tiny, tmp_path):
    draw_two(tmp_path / "deep/test", 0, 3)
    draw(tmp_path / "deep/test/one", 1, 0, 1, scale=1e6, kind=np.float32, suffix=".tif")
    assert tiny(tmp_path / "deep", "ZeroshotCLIP") is None
    assert "test/one/00.tif" in tiny.error and "mode F" in tiny.error


def with_equal_tails(path):
    """Put the same chunk of text before the last 12 bytes of a PNG file."""
    content, body = path.read_bytes(), b"Software\0" + b"x" * 61
    chunk = struct.pack(">I", len(body)) + b"tEXt" + body + struct.pack(">I", zlib.crc32(b"tEXt" + body))
    path.write_bytes(content[:-12] + chunk + content[-12:])


def test_features_follow_the_content_of_files_and_not_their_names(tiny, tmp_path):
    root = tmp_path / "pictures"
    draw_two(root / "test", 0, 12, compress_level=0)
    for path in root.rglob("*.png"):
        with_equal_tails(path)
    kept = {"FEATURES__DIR": tmp_path / "features"}
    assert tiny(root, "ZeroshotCLIP", **kept)["metrics"]["accuracy"] == 100
    for path in sorted((root / "test/zero").iterdir()):
        other = root / "test/one" / path.name
        path.rename(root / "x")
        other.rename(path)
        (root / "x").rename(other)
    assert tiny(root, "ZeroshotCLIP", out="again", **kept)["metrics"]["accuracy"] == 0
    assert "Image features read" not in tiny.stdout
    (root / "test/zero/00.png").rename(root / "test/zero/000.png")  # in the same place of the list
    root.rename(tmp_path / "renamed")
    assert tiny(tmp_path / "renamed", "ZeroshotCLIP", out="third", **kept)["metrics"]["accuracy"] == 0
    assert "Image features read" in tiny.stdout


def test_validation_pictures_are_taken_out_of_train_only_if_needed(tiny, tmp_path):
    for part, *range_ in (("train", 0, 16), ("valid", 16, 24), ("test", 24, 40)):
        draw_two(tmp_path / "V" / part, *range_)
    tiny(tmp_path / "V", DATASET__NUM_SHOTS=16)
    assert "# train_x  32" in tiny.stdout and "# val      8" in tiny.stdout
    draw_two(tmp_path / "U/train", 0, 2)
    draw_two(tmp_path / "U/test", 2, 4)
    assert tiny(tmp_path / "U", DATASET__NUM_SHOTS=-1, out="small")["images"] == 4
    assert "# train_x  4" in tiny.stdout and "# val" not in tiny.stdout


def split_file(folder, val=(4, 4), test=(4, 8)):
    ranges = {"train": (0, 4), "val": val, "test": test}
    names = ("zero", "one")
    rows = {
        part: [[f"{name}/{i:02d}.png", names.index(name), name] for name in names for i in range(*numbers)]
        for part, numbers in ranges.items()
    }
    (folder / "split_x.json").write_text(json.dumps(rows))


@pytest.mark.parametrize(
    "settings, line",
    [
        ({"TEST__FINAL_MODEL": "best_val"}, "TEST.FINAL_MODEL is best_val, but ImageFolder has no validation images"),
        ({"TEST__SPLIT": "val"}, "TEST.SPLIT is val, but ImageFolder has no validation images"),
        ({"trainer": "LinearProbe"}, "LinearProbe chooses C on validation images, but ImageFolder has none"),
    ],
)
def test_nothing_is_selected_on_test_pictures(settings, line, tiny, tmp_path):
    draw_two(tmp_path / "pictures", 0, 8)
    split_file(tmp_path / "pictures")
    assert tiny(tmp_path / "pictures", **settings) is None
    assert line in tiny.error and "loss" not in tiny.stdout


def test_test_pictures_are_not_trained_on(tiny, tmp_path):
    draw_two(tmp_path / "pictures/test", 0, 4)
    assert tiny(tmp_path / "pictures", DATASET__NUM_SHOTS=-1) is None
    assert "only test images" in tiny.error and "--eval-only" in tiny.error


def test_a_run_inside_the_folder_of_the_pictures_is_no_class(tiny, tmp_path):
    draw_two(tmp_path / "pictures", 0, 10)
    for out in ("pictures/output/a", "pictures/output/b", "elsewhere"):
        assert tiny(tmp_path / "pictures", "ZeroshotCLIP", out=out)["images"] == 6
        assert "Skipped folders of runs" in tiny.stdout and "output/" in tiny.stdout
    assert tiny(tmp_path / "pictures", out="pictures") is None
    assert "Choose another --output-dir" in tiny.error


def test_unreadable_pictures_are_listed_before_training_or_left_out(tiny, tmp_path):
    root = tmp_path / "pictures"
    draw_two(root, 0, 20)
    bad = [root / "zero/03.png", root / "zero/07.png", root / "one/19.png"]
    bad[0].write_bytes(bad[0].read_bytes()[:50])
    bad[1].write_bytes(b"")
    bad[2].write_text("<html>not found</html>")
    assert tiny(root) is None
    assert "3 of 40 pictures" in tiny.error and "DATASET.UNREADABLE skip" in tiny.error
    assert all(str(path.relative_to(root)) in tiny.error for path in bad)
    skipped = tiny(root, out="skip", DATASET__UNREADABLE="skip")
    assert "Skipped: 3 of 40 pictures" in tiny.stdout
    for path in bad:
        path.unlink()
    removed = tiny(root, out="removed")
    assert removed["images"] == skipped["images"] and removed["metrics"] == skipped["metrics"]


def test_pictures_next_to_the_class_folders_of_a_part_are_counted(tiny, tmp_path):
    draw_two(tmp_path / "p/test", 0, 4)
    draw(tmp_path / "p", 0, 4, 5)
    draw(tmp_path / "p/test", 0, 5, 7)
    assert tiny(tmp_path / "p", "ZeroshotCLIP")["metrics"]["accuracy"] == 100
    assert "Skipped 3 pictures that are not directly in a class folder, such as 00.png" in tiny.stdout


@pytest.mark.parametrize("names", (["001.Albatross", "002.Auklet"], ["n01440764", "n01443537"]))
def test_folder_names_that_are_not_for_prompts_are_named(names, tiny, tmp_path):
    for digit, name in enumerate(names):
        draw(tmp_path / "p/test" / name, digit, 0, 4)
    assert tiny(tmp_path / "p", "ZeroshotCLIP")
    assert f"2 of 2 class names have a {'number' if '.' in names[0] else 'WordNet id'}" in tiny.stdout


def test_names_with_a_byte_order_mark_are_read_and_a_broken_link_is_not_skipped(tiny, tmp_path):
    draw(tmp_path / "p/test/a", 0, 0, 12)
    draw(tmp_path / "p/test/b", 1, 0, 12)
    names = tmp_path / "p/classnames.txt"
    names.write_text("a zero\nb one\n", encoding="utf-8-sig")
    assert tiny(tmp_path / "p", "ZeroshotCLIP")["metrics"]["accuracy"] == 100
    names.unlink()
    names.symlink_to(tmp_path / "nowhere")
    assert tiny(tmp_path / "p", "ZeroshotCLIP", out="b") is None and "classnames.txt cannot be read" in tiny.error


@pytest.mark.parametrize("mark", (";", "\t"))
def test_a_list_with_other_separators_says_so(mark, tiny, tmp_path):
    draw_two(tmp_path / "p", 0, 4)
    (tmp_path / "p/annotations.csv").write_text(f"path{mark}classname\nzero/00.png{mark}zero\n")
    assert tiny(tmp_path / "p", "ZeroshotCLIP") is None and "Separate them by commas: path,classname" in tiny.error
