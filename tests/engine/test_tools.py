"""Files, images, seeds, the environment."""

import os
import time
import urllib.error

import numpy as np
import PIL
import pytest
import torch
from dassl.utils import (
    UserError,
    collect_env_info,
    download_url,
    listdir_nohidden,
    mkdir_if_missing,
    read_image,
    read_json,
    set_random_seed,
    write_json,
)
from dassl.utils.atomic import atomic_path
from PIL import Image


def test_mkdir_of_nothing_and_below_a_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        mkdir_if_missing("")
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "sub"):
        with pytest.raises(UserError) as caught:
            mkdir_if_missing(str(path))
        assert str(path) in str(caught.value) and "\n" not in str(caught.value)


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


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_seed_out_of_range(seed):
    with pytest.raises(UserError, match=str(seed)):
        set_random_seed(seed)


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
