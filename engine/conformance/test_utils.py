"""Section 1.9: files, names, seeds, meters."""

import os
import random
import re
import warnings
from collections import defaultdict

import numpy as np
import PIL
import pytest
import torch
from dassl.engine import trainer
from dassl.engine.trainer import AverageMeter, MetricMeter
from dassl.utils import (
    check_isfile,
    collect_env_info,
    download_url,
    listdir_nohidden,
    mkdir_if_missing,
    read_image,
    read_json,
    set_random_seed,
    tolist_if_not,
    tools,
    write_json,
)
from dassl.utils import get_most_similar_str_to_a_from_b as closest
from PIL import Image

from .support import OURS, differs


def test_mkdir(tmp_path):
    """Creates parents, accepts an existing folder; the empty string is a FileNotFoundError."""
    path = tmp_path / "a" / "b"
    mkdir_if_missing(str(path))
    mkdir_if_missing(str(path))
    assert path.is_dir()
    with pytest.raises(FileNotFoundError):
        mkdir_if_missing("")


def test_the_same_by_other_paths():
    """The deeper paths name the same function."""
    assert tools.mkdir_if_missing is trainer.mkdir_if_missing is mkdir_if_missing


def test_check_isfile(tmp_path):
    """Returns whether it is a file, and warns when not."""
    here, gone = __file__, str(tmp_path / "gone")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert (check_isfile(here), check_isfile(gone)) == (True, False)
    assert [str(w.message) for w in caught] == [f'No file found at "{gone}"']


def test_json_files(tmp_path):
    """Indent 4, separators "," and ": "; the parent folder is created; it reads back."""
    path = tmp_path / "new" / "a.json"
    write_json({"a": [1, "é"]}, str(path))
    assert path.read_text() == '{\n    "a": [\n        1,\n        "\\u00e9"\n    ]\n}'
    assert read_json(str(path)) == {"a": [1, "é"]}


def test_json_in_this_folder(tmp_path):
    """A bare file name is a FileNotFoundError."""
    before = os.getcwd()
    os.chdir(tmp_path)
    try:
        write_json([], "a.json")
        differs(os.path.isfile("a.json"), "bare-file-names")
    except FileNotFoundError:
        assert not OURS
        return
    finally:
        os.chdir(before)
    raise AssertionError("neither an error nor a file")


def test_seeds():
    """Seeds random, numpy and torch; sets no determinism flag."""
    flag = torch.are_deterministic_algorithms_enabled()
    set_random_seed(3)
    drawn = random.random(), np.random.rand(), torch.rand(1).item()
    random.seed(3)
    np.random.seed(3)
    torch.manual_seed(3)
    assert drawn == (random.random(), np.random.rand(), torch.rand(1).item())
    assert torch.are_deterministic_algorithms_enabled() == flag


def test_download(tmp_path):
    """Fetches a URL into a file."""
    (tmp_path / "source.bin").write_bytes(b"content")
    download_url((tmp_path / "source.bin").as_uri(), str(tmp_path / "copy.bin"))
    assert (tmp_path / "copy.bin").read_bytes() == b"content"


def test_read_image(tmp_path):
    """Returns a PIL image in RGB."""
    path = str(tmp_path / "grey.png")
    Image.new("L", (4, 2), 7).save(path)
    image = read_image(path)
    assert (image.mode, image.size, image.getpixel((0, 0))) == ("RGB", (4, 2), (7, 7, 7))


def test_environment():
    """torch's text on the environment, and a last line of eight spaces and "Pillow ({version})"."""
    lines = collect_env_info().splitlines()
    assert lines[-1] == f"        Pillow ({PIL.__version__})"
    assert any(f"PyTorch version: {torch.__version__}" in line for line in lines)
    differs(not any("GCC version" in line for line in lines), "own-environment-text")


def test_listing(tmp_path):
    """Names that do not start with a dot; sorted on request."""
    for name in ("b", ".hidden", "a"):
        (tmp_path / name).touch()
    assert listdir_nohidden(str(tmp_path), sort=True) == ["a", "b"]
    assert sorted(listdir_nohidden(str(tmp_path))) == ["a", "b"]


def test_most_similar():
    """The closest by difflib; of equals the last; an empty list gives None."""
    assert closest("abcd", ["abxx", "abcx", "zzzz"]) == "abcx"
    assert closest("ab", ["ax", "ay"]) == "ay"
    assert closest("ab", []) is None


def test_tolist():
    """A list stays itself; everything else, a tuple too, becomes the one element of a list."""
    given = [1]
    assert tolist_if_not(given) is given
    assert (tolist_if_not((1, 2)), tolist_if_not("ab")) == ([(1, 2)], ["ab"])


def test_average_meter():
    """val, avg, sum, count; update takes n and tensors; ema averages .9 avg + .1 val; reset clears."""
    meter = AverageMeter()
    meter.update(1.0)
    meter.update(torch.tensor(4.0), n=2)
    assert (meter.val, meter.sum, meter.count, meter.avg) == (4.0, 9.0, 3, 3.0)
    assert isinstance(meter.val, float)
    meter.reset()
    assert (meter.val, meter.sum, meter.count, meter.avg) == (0, 0, 0, 0)
    ema = AverageMeter(ema=True)
    ema.update(10.0)
    ema.update(20.0)
    assert abs(ema.avg - (0.9 * 1.0 + 0.1 * 20.0)) < 1e-9


def test_metric_meter():
    """A meter for each name of a dict, None is ignored; printed as name val (avg) in the order of insertion."""
    meter = MetricMeter()
    meter.update({"b": 1.0, "a": 2.0})
    meter.update(None)
    meter.update({"b": 2.0})
    assert isinstance(meter.meters, defaultdict) and isinstance(meter.meters["a"], AverageMeter)
    assert str(meter) == "b 2.0000 (1.5000) a 2.0000 (2.0000)"
    tabbed = MetricMeter(delimiter="\t")
    tabbed.update({"b": 1, "a": 2})
    assert str(tabbed) == "b 1.0000 (1.0000)\ta 2.0000 (2.0000)"


def test_metric_meter_wants_a_dict():
    """Something else than a dict or None is a TypeError."""
    with pytest.raises(TypeError, match=re.escape("Input to MetricMeter.update() must be a dictionary")):
        MetricMeter().update([1.0])
