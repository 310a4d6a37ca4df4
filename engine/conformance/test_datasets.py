"""Section 1.4, 5.1, 5.2 and 5.4: Datum, DatasetBase, few-shot selections and their random numbers."""

import contextlib
import os
import pickle
import random
import re
import shutil
import sys
import tarfile
import types
import warnings
import zipfile
from unittest import mock

import pytest
from dassl.data.datasets import DatasetBase, Datum, base_dataset, build_dataset

from . import tiny
from .support import OURS, differs, or_user_error


def datum(label=0, domain=0, classname="", impath=None):
    return Datum(impath=impath or __file__, label=label, domain=domain, classname=classname)


def dataset(labels=(0, 1, 1), **parts):
    return DatasetBase(train_x=[datum(label, classname=f"class {label}") for label in labels], **parts)


def test_datum_values():
    """Read-only properties over private storage of the same names; equality is identity."""
    item = datum(3, 2, "cat")
    assert (item.impath, item.label, item.domain, item.classname) == (__file__, 3, 2, "cat")
    assert (item._impath, item._label, item._domain, item._classname) == (__file__, 3, 2, "cat")
    for name in ("impath", "label", "domain", "classname"):
        with pytest.raises(AttributeError):
            setattr(item, name, 1)
    assert item != datum(3, 2, "cat")


def test_datum_of_a_missing_file():
    """impath must be a str and an existing file, not a folder: otherwise an AssertionError without a message."""
    for bad in (str(tiny.folder() / "gone.png"), str(tiny.folder()), 5):
        with warnings.catch_warnings(), pytest.raises(or_user_error(AssertionError)):
            warnings.simplefilter("ignore")
            Datum(impath=bad)


def test_pickled_datum(tmp_path):
    """A pickle names dassl.data.datasets.base_dataset.Datum and holds the four private attributes; unpickling skips the
    constructor.
    """
    assert base_dataset.Datum is Datum and base_dataset.DatasetBase is DatasetBase
    path = tmp_path / "a.png"
    path.touch()
    content = pickle.dumps({"train": [datum(1, 2, "cat", str(path))]}, protocol=pickle.HIGHEST_PROTOCOL)
    assert b"dassl.data.datasets.base_dataset" in content
    path.unlink()
    (item,) = pickle.loads(content)["train"]
    assert vars(item) == {"_impath": str(path), "_label": 1, "_domain": 2, "_classname": "cat"}


def test_dataset_values():
    """The lists as given, and what train_x says of classes: num_classes, lab2cname, classnames by rising label."""
    parts = {name: [datum()] for name in ("train_u", "val", "test")}
    made = dataset((1, 0, 1), **parts)
    for name, part in parts.items():
        assert getattr(made, name) is part and getattr(made, f"_{name}") is part
    assert [item.label for item in made.train_x] == [1, 0, 1]
    assert (made.num_classes, made.classnames) == (2, ["class 0", "class 1"])
    assert made.lab2cname == {0: "class 0", 1: "class 1"}
    assert (made._num_classes, made._classnames, made._lab2cname) == (made.num_classes, made.classnames, made.lab2cname)
    assert made._train_x is made.train_x
    bare = dataset()
    assert (bare.train_u, bare.val, bare.test) == (None, None, None)


def test_dataset_without_images():
    """train_x None is a TypeError, an empty list a ValueError."""
    with pytest.raises(ValueError):
        DatasetBase(train_x=[])
    with pytest.raises(or_user_error(TypeError)):
        DatasetBase()


def test_gaps_between_labels():
    """num_classes is the largest label + 1, classnames is dense: labels 0 and 3 give 4 classes and 2 names."""
    try:
        made = dataset((0, 3))
    except ValueError as error:
        differs("gap" in str(error) or "label" in str(error), "label-gaps")
        raise
    assert (made.num_classes, len(made.classnames)) == (4, 2)


def test_several_names_for_a_label():
    """Of several names for one label it depends on the hash seed of the process which one is taken."""
    names = [f"name {n}" for n in range(50)]
    found = DatasetBase.get_lab2cname([datum(0, classname=name) for name in names])[1]
    differs(found == names[:1], "first-name-counts")
    assert len(found) == 1 and found[0] in names


def test_static_methods():
    """get_num_classes: the largest label + 1; get_lab2cname: (dict, list)."""
    items = [datum(1, classname="b"), datum(0, classname="a")]
    assert DatasetBase.get_num_classes(items) == 2
    assert DatasetBase.get_lab2cname(items) == ({0: "a", 1: "b"}, ["a", "b"])


def test_domains_are_checked():
    """An empty list is an AssertionError, an unknown domain a ValueError."""
    made = dataset()
    made.domains = ["x", "y"]
    made.check_input_domains(["x"], ["y"])
    made.is_input_domain_valid(["y", "x"])
    with pytest.raises(AssertionError, match=re.escape("source_domains (list) is empty")):
        made.check_input_domains([], ["x"])
    with pytest.raises(AssertionError, match=re.escape("target_domains (list) is empty")):
        made.check_input_domains(["x"], [])
    for call in (lambda: made.check_input_domains(["x"], ["z"]), lambda: made.is_input_domain_valid(["z"])):
        with pytest.raises(ValueError, match=re.escape("Input domain must belong to ['x', 'y'], but got [z]")):
            call()


def test_built_by_name(capsys):
    """build_dataset prints "Loading dataset: {name}" if VERBOSE and returns Class(cfg)."""
    made = build_dataset(tiny.make_cfg())
    text = capsys.readouterr()
    assert (type(made).__name__, text.out.splitlines()[0]) == (
        "ConformancePictures",
        "Loading dataset: ConformancePictures",
    )
    capsys.readouterr()
    build_dataset(tiny.make_cfg("VERBOSE", False))
    text = capsys.readouterr()
    assert text.out.splitlines() == []


def test_domain_labels():
    """Domain labels are positions in the list that was asked for, from 0 separately for source and target."""
    made = build_dataset(tiny.make_cfg("DATASET.SOURCE_DOMAINS", ("pale", "dark")))
    found = {(os.path.basename(os.path.dirname(os.path.dirname(item.impath))), item.domain) for item in made.train_x}
    assert found == {("pale", 0), ("dark", 1)}
    assert {item.domain for item in made.test} == {0}


@contextlib.contextmanager
def fetching(archive):
    """Let a download from Google Drive give this archive."""
    drive = types.ModuleType("gdown")
    drive.download = lambda url, output=None, **_: shutil.copy(archive, output)
    with contextlib.ExitStack() as stack:
        stack.enter_context(mock.patch.dict(sys.modules, {"gdown": drive}))
        if hasattr(base_dataset, "gdown"):  # imported with the module, or only when it is needed
            stack.enter_context(mock.patch.multiple(base_dataset, gdown=drive))
        yield


def test_download_and_extract():
    """Fetches from Google Drive and extracts .zip, .tar and .tar.gz beside the archive."""
    source = tiny.folder()
    (source / "in").mkdir()
    (source / "in" / "a.txt").write_text("content")
    for form, suffix in (("zip", "zip"), ("tar", "tar"), ("gztar", "tar.gz")):
        place = tiny.folder() / "new"
        with fetching(shutil.make_archive(str(source / form), form, source / "in")):
            dataset().download_data("https://drive.google.com/uc?id=0", str(place / f"x.{suffix}"))
        assert (place / "a.txt").read_text() == "content"


def test_download_from_elsewhere(tmp_path):
    """from_gdrive=False is NotImplementedError."""
    with zipfile.ZipFile(tmp_path / "source.zip", "w") as archive:
        archive.writestr("a.txt", "content")
    try:
        dataset().download_data((tmp_path / "source.zip").as_uri(), str(tmp_path / "b" / "x.zip"), from_gdrive=False)
    except NotImplementedError:
        assert not OURS
        return
    differs((tmp_path / "b" / "a.txt").read_text() == "content", "downloads-from-anywhere")
    raise AssertionError("nothing was extracted")


def test_archive_members(tmp_path):
    """Archives are extracted without a look at where their members would land."""
    (tmp_path / "in").mkdir()
    with tarfile.open(tmp_path / "source.tar", "w") as archive:
        archive.addfile(tarfile.TarInfo("../outside.txt"))
    try:
        with fetching(tmp_path / "source.tar"):
            dataset().download_data("https://drive.google.com/uc?id=0", str(tmp_path / "in" / "x.tar"))
    except Exception:
        differs(not (tmp_path / "outside.txt").exists(), "archives-stay-inside")
        raise
    assert (tmp_path / "outside.txt").exists()


# Few-shot selections


def test_random_of_python():
    """random.seed(1), then sample(range(10), 4) twice, sample(range(4), 4), random()."""
    random.seed(1)
    assert [random.sample(range(10), 4), random.sample(range(10), 4)] == [[2, 1, 4, 0], [7, 9, 8, 5]]
    assert random.sample(range(4), 4) == [3, 0, 2, 1]
    assert random.random() == 0.02834747652200631


def test_golden_selection(capsys):
    """After random.seed(1), labels (2, 0, 2, 0, 0, 1) with K=2 give the positions [0, 2, 3, 1, 5]: groups by first
    appearance, random.sample for n >= K, the whole group without a draw for n < K.
    """
    items = [datum(label) for label in (2, 0, 2, 0, 0, 1)]
    random.seed(1)
    capsys.readouterr()
    chosen = dataset().generate_fewshot_dataset(items, num_shots=2)
    text = capsys.readouterr()
    assert [items.index(item) for item in chosen] == [0, 2, 3, 1, 5]
    assert text.out.splitlines() == ["Creating a 2-shot dataset"]
    random.seed(1)
    for group in ([0, 2], [1, 3, 4]):
        random.sample(group, 2)
    after = random.random()
    random.seed(1)
    dataset().generate_fewshot_dataset(items, num_shots=2)
    assert random.random() == after


def test_selections_of_several():
    """num_shots < 1: the input object, or the tuple of inputs; several sources: a list of lists, left to right."""
    one, two = [datum(0), datum(1)], [datum(0), datum(0)]
    made = dataset()
    assert made.generate_fewshot_dataset(one, num_shots=0) is one
    assert made.generate_fewshot_dataset(one, two) == (one, two)
    random.seed(5)
    got = made.generate_fewshot_dataset(one, two, num_shots=1)
    random.seed(5)
    want = [made.generate_fewshot_dataset(part, num_shots=1) for part in (one, two)]
    assert got == want
    assert isinstance(got, list)


def test_selection_with_repeats():
    """n < K and repeat: random.choices of K."""
    group = [datum(0), datum(0)]
    random.seed(2)
    chosen = dataset().generate_fewshot_dataset(group, num_shots=5, repeat=True)
    random.seed(2)
    assert chosen == random.choices(group, k=5)


def test_splits():
    """A dict of lists by label, or domain, in the order of first appearance."""
    items = [datum(1, 0), datum(0, 1), datum(1, 1)]
    made = dataset()
    by_label, by_domain = made.split_dataset_by_label(items), made.split_dataset_by_domain(items)
    assert list(by_label.items()) == [(1, [items[0], items[2]]), (0, [items[1]])]
    assert list(by_domain.items()) == [(0, [items[0]]), (1, [items[1], items[2]])]
