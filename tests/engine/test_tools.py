"""Files, images, seeds, the environment."""

import os
import random
import time
import urllib.error

import numpy as np
import PIL
import pytest
import torch
from dassl.utils import (
    UserError,
    check_isfile,
    collect_env_info,
    download_url,
    listdir_nohidden,
    mkdir_if_missing,
    read_image,
    read_json,
    set_random_seed,
    tolist_if_not,
    write_json,
)
from dassl.utils.atomic import atomic_path
from PIL import Image


def test_mkdir_creates_parents_and_keeps_an_existing_folder(tmp_path):
    mkdir_if_missing(tmp_path / "a" / "b")
    mkdir_if_missing(str(tmp_path / "a" / "b"))
    assert (tmp_path / "a" / "b").is_dir()


def test_mkdir_of_nothing_and_below_a_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        mkdir_if_missing("")
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "sub"):
        with pytest.raises(UserError) as caught:
            mkdir_if_missing(str(path))
        assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_check_isfile_warns(tmp_path):
    with pytest.warns(UserWarning, match="No file found at"):
        assert not check_isfile(str(tmp_path / "none"))
    assert not os.path.isfile(tmp_path)
    (tmp_path / "some").write_text("")
    assert check_isfile(str(tmp_path / "some"))


def test_json_layout_and_round_trip(tmp_path, monkeypatch):
    path = tmp_path / "new" / "a.json"
    write_json({"a": [1, "é"]}, str(path))
    assert path.read_text() == '{\n    "a": [\n        1,\n        "\\u00e9"\n    ]\n}'
    assert read_json(path) == {"a": [1, "é"]}
    monkeypatch.chdir(tmp_path)
    write_json([], "bare.json")
    assert read_json("bare.json") == []


def test_json_errors(tmp_path):
    with pytest.raises(FileNotFoundError, match="none.json"):
        read_json(tmp_path / "none.json")
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(UserError, match="bad.json.*not valid JSON"):
        read_json(tmp_path / "bad.json")


def test_failed_write_keeps_the_old_file(tmp_path):
    path = tmp_path / "a.json"
    write_json([1], str(path))
    with pytest.raises(TypeError):
        write_json([2, object()], str(path))
    assert read_json(path) == [1]
    assert os.listdir(tmp_path) == ["a.json"]


def test_atomic_path_reports_an_unwritable_place(tmp_path):
    target = tmp_path / "absent" / "a"
    with pytest.raises(UserError, match="Cannot write .*absent"):
        with atomic_path(target) as temporary, open(temporary, "w"):
            pass


def test_seed_covers_the_three_generators():
    def draw():
        return random.random(), np.random.rand(), torch.rand(1).item()

    set_random_seed(0)
    first = draw()
    set_random_seed(0)
    assert draw() == first
    set_random_seed(1)
    # The numbers of the plain generators, so that upstream's seeds give upstream's runs.
    assert draw()[0] == random.Random(1).random()
    assert draw() != first


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_seed_out_of_range(seed):
    with pytest.raises(UserError, match=str(seed)):
        set_random_seed(seed)


def test_read_image_is_rgb(tmp_path):
    Image.new("L", (5, 4), 7).save(tmp_path / "a.png")
    image = read_image(str(tmp_path / "a.png"))
    assert (image.mode, image.size, image.getpixel((0, 0))) == ("RGB", (5, 4), (7, 7, 7))


def test_read_image_errors_name_the_file(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (40, 40, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "cut.jpg")
    data = (tmp_path / "cut.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(data[: len(data) // 2])
    (tmp_path / "text.jpg").write_text("no image")
    for name in ("cut.jpg", "text.jpg"):
        with pytest.raises(UserError, match=name) as caught:
            read_image(str(tmp_path / name))
        assert isinstance(caught.value, OSError) and "\n" not in str(caught.value)
    with pytest.raises(FileNotFoundError, match="none.jpg"):
        read_image(str(tmp_path / "none.jpg"))


def test_listdir_nohidden(tmp_path):
    for name in ("b", ".hidden", "a"):
        (tmp_path / name).write_text("")
    assert listdir_nohidden(tmp_path, sort=True) == ["a", "b"]
    assert set(listdir_nohidden(tmp_path)) == {"a", "b"}
    with pytest.raises(FileNotFoundError, match="none"):
        listdir_nohidden(tmp_path / "none")


def test_tolist_if_not_wraps_tuples():
    assert tolist_if_not([1]) == [1]
    assert tolist_if_not((1, 2)) == [(1, 2)]


def test_download(tmp_path):
    (tmp_path / "source").write_bytes(b"data")
    download_url((tmp_path / "source").as_uri(), str(tmp_path / "new" / "copy"))
    assert (tmp_path / "new" / "copy").read_bytes() == b"data"


def test_failed_download_leaves_nothing(tmp_path):
    with pytest.raises(UserError, match="Cannot download .*absent") as caught:
        download_url((tmp_path / "absent").as_uri(), str(tmp_path / "new" / "copy"))
    assert isinstance(caught.value.__cause__, urllib.error.URLError)
    assert os.listdir(tmp_path / "new") == []


def test_environment_is_quick_and_ends_with_pillow():
    start = time.perf_counter()
    text = collect_env_info()
    assert time.perf_counter() - start < 1
    assert text.splitlines()[0] == f"PyTorch version: {torch.__version__}"
    assert f"[pip3] numpy=={np.__version__}" in text
    assert text.splitlines()[-1] == f"        Pillow ({PIL.__version__})"
