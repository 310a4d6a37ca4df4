"""Section 1.9: files, names, seeds, meters."""

import os
import warnings

from ..checking import check, differs, equal, folder, printed, raises


@check("dassl.utils.mkdir_if_missing")
def mkdir():
    """Creates parents, accepts an existing folder; the empty string is a FileNotFoundError."""
    from dassl.utils import mkdir_if_missing

    path = folder() / "a" / "b"
    mkdir_if_missing(str(path))
    mkdir_if_missing(str(path))
    assert path.is_dir()
    with raises(FileNotFoundError):
        mkdir_if_missing("")


@check("dassl.utils.tools.mkdir_if_missing", "dassl.engine.trainer.mkdir_if_missing")
def the_same_by_other_paths():
    """The deeper paths name the same function."""
    from dassl.engine import trainer
    from dassl.utils import mkdir_if_missing, tools

    assert tools.mkdir_if_missing is trainer.mkdir_if_missing is mkdir_if_missing


@check("dassl.utils.check_isfile", 'message:No file found at "{path}"')
def check_isfile():
    """Returns whether it is a file, and warns when not."""
    from dassl.utils import check_isfile

    here, gone = __file__, str(folder() / "gone")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        equal((check_isfile(here), check_isfile(gone)), (True, False))
    equal([str(w.message) for w in caught], [f'No file found at "{gone}"'])


@check("dassl.utils.read_json", "dassl.utils.write_json")
def json_files():
    """Indent 4, separators "," and ": "; the parent folder is created; it reads back."""
    from dassl.utils import read_json, write_json

    path = folder() / "new" / "a.json"
    write_json({"a": [1, 2]}, str(path))
    equal(path.read_text(), '{\n    "a": [\n        1,\n        2\n    ]\n}')
    equal(read_json(str(path)), {"a": [1, 2]})


@check("dassl.utils.write_json")
def json_in_this_folder():
    """A bare file name is a FileNotFoundError."""
    from dassl.utils import write_json

    before = os.getcwd()
    os.chdir(folder())
    try:
        write_json([], "a.json")
        differs(os.path.isfile("a.json"), "bare-file-names")
    except FileNotFoundError:
        return
    finally:
        os.chdir(before)
    raise AssertionError("neither an error nor a file")


@check("dassl.utils.set_random_seed")
def seeds():
    """Seeds random, numpy and torch; sets no determinism flag."""
    import random

    import numpy as np
    import torch
    from dassl.utils import set_random_seed

    flag = torch.are_deterministic_algorithms_enabled()
    set_random_seed(3)
    drawn = random.random(), np.random.rand(), torch.rand(1).item()
    random.seed(3)
    np.random.seed(3)
    torch.manual_seed(3)
    equal(drawn, (random.random(), np.random.rand(), torch.rand(1).item()))
    equal(torch.are_deterministic_algorithms_enabled(), flag)


@check("dassl.utils.download_url")
def download():
    """Fetches a URL into a file."""
    from dassl.utils import download_url

    place = folder()
    (place / "source.bin").write_bytes(b"content")
    with printed():
        download_url((place / "source.bin").as_uri(), str(place / "copy.bin"))
    equal((place / "copy.bin").read_bytes(), b"content")


@check("dassl.utils.read_image")
def read_image():
    """Returns a PIL image in RGB."""
    from dassl.utils import read_image
    from PIL import Image

    path = str(folder() / "grey.png")
    Image.new("L", (4, 2), 7).save(path)
    image = read_image(path)
    equal((image.mode, image.size, image.getpixel((0, 0))), ("RGB", (4, 2), (7, 7, 7)))


@check("dassl.utils.collect_env_info")
def environment():
    """torch's text on the environment, and a last line of eight spaces and "Pillow ({version})"."""
    import PIL
    import torch
    from dassl.utils import collect_env_info

    lines = collect_env_info().splitlines()
    equal(lines[-1], f"        Pillow ({PIL.__version__})")
    assert any(f"PyTorch version: {torch.__version__}" in line for line in lines)
    differs(not any("GCC version" in line for line in lines), "own-environment-text")


@check("dassl.utils.listdir_nohidden")
def listing():
    """Names that do not start with a dot; sorted on request."""
    from dassl.utils import listdir_nohidden

    place = folder()
    for name in ("b", ".hidden", "a"):
        (place / name).touch()
    equal(listdir_nohidden(str(place), sort=True), ["a", "b"])
    equal(sorted(listdir_nohidden(str(place))), ["a", "b"])


@check("dassl.utils.get_most_similar_str_to_a_from_b")
def most_similar():
    """The closest by difflib; of equals the last; an empty list gives None."""
    from dassl.utils import get_most_similar_str_to_a_from_b as closest

    equal(closest("abcd", ["abxx", "abcx", "zzzz"]), "abcx")
    equal(closest("ab", ["ax", "ay"]), "ay")
    equal(closest("ab", []), None)


@check("dassl.utils.tolist_if_not", "dassl.engine.trainer.tolist_if_not")
def tolist():
    """A list stays itself; everything else, a tuple too, becomes the one element of a list."""
    from dassl.utils import tolist_if_not

    given = [1]
    assert tolist_if_not(given) is given
    equal((tolist_if_not((1, 2)), tolist_if_not("ab")), ([(1, 2)], ["ab"]))


@check(
    "dassl.utils.AverageMeter", "dassl.utils.AverageMeter.val", "dassl.utils.AverageMeter.avg",
    "dassl.utils.AverageMeter.sum", "dassl.utils.AverageMeter.count", "dassl.utils.AverageMeter.update",
    "dassl.utils.AverageMeter.reset", "dassl.engine.trainer.AverageMeter",
)  # fmt: skip
def average_meter():
    """val, avg, sum, count; update takes n and tensors; ema averages .9 avg + .1 val; reset clears."""
    import torch
    from dassl.engine.trainer import AverageMeter

    meter = AverageMeter()
    meter.update(1.0)
    meter.update(torch.tensor(4.0), n=2)
    equal((meter.val, meter.sum, meter.count, meter.avg), (4.0, 9.0, 3, 3.0))
    meter.reset()
    equal((meter.val, meter.sum, meter.count, meter.avg), (0, 0, 0, 0))
    ema = AverageMeter(ema=True)
    ema.update(10.0)
    ema.update(20.0)
    assert abs(ema.avg - (0.9 * 1.0 + 0.1 * 20.0)) < 1e-9


@check(
    "dassl.utils.MetricMeter", "dassl.utils.MetricMeter.meters", "dassl.utils.MetricMeter.update",
    "line:{name} {val:.4f} ({avg:.4f})", "dassl.engine.trainer.MetricMeter",
)  # fmt: skip
def metric_meter():
    """A meter for each name of a dict, None is ignored; printed as name val (avg) in the order of insertion."""
    from collections import defaultdict

    from dassl.engine.trainer import AverageMeter, MetricMeter

    meter = MetricMeter()
    meter.update({"b": 1.0, "a": 2.0})
    meter.update(None)
    meter.update({"b": 2.0})
    assert isinstance(meter.meters, defaultdict) and isinstance(meter.meters["a"], AverageMeter)
    equal(str(meter), "b 2.0000 (1.5000) a 2.0000 (2.0000)")
    tabbed = MetricMeter(delimiter="\t")
    tabbed.update({"b": 1, "a": 2})
    equal(str(tabbed), "b 1.0000 (1.0000)\ta 2.0000 (2.0000)")


@check("message:Input to MetricMeter.update() must be a dictionary")
def metric_meter_wants_a_dict():
    """Something else than a dict or None is a TypeError."""
    from dassl.utils import MetricMeter

    with raises(TypeError, "Input to MetricMeter.update() must be a dictionary"):
        MetricMeter().update([1.0])
