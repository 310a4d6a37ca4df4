"""Section 1.4, 5.1, 5.2 and 5.4: Datum, DatasetBase, few-shot selections and their random numbers."""

import contextlib
import os
import pickle
import random
import shutil
import tarfile
import types
import warnings
import zipfile

from .. import tiny
from ..checking import check, differs, equal, folder, patched, patched_module, printed, raises

BASE = "dassl.data.datasets.DatasetBase."
DATUM = "dassl.data.datasets.Datum."


def datum(label=0, domain=0, classname="", impath=None):
    from dassl.data.datasets import Datum

    return Datum(impath=impath or __file__, label=label, domain=domain, classname=classname)


def dataset(labels=(0, 1, 1), **parts):
    from dassl.data.datasets import DatasetBase

    return DatasetBase(train_x=[datum(label, classname=f"class {label}") for label in labels], **parts)


@check(
    "dassl.data.datasets.Datum", DATUM + "impath", DATUM + "label", DATUM + "domain", DATUM + "classname",
    DATUM + "_impath", DATUM + "_label", DATUM + "_domain", DATUM + "_classname",
)  # fmt: skip
def datum_values():
    """Read-only properties over private storage of the same names; equality is identity."""
    item = datum(3, 2, "cat")
    equal((item.impath, item.label, item.domain, item.classname), (__file__, 3, 2, "cat"))
    equal((item._impath, item._label, item._domain, item._classname), (__file__, 3, 2, "cat"))
    for name in ("impath", "label", "domain", "classname"):
        with raises(AttributeError):
            setattr(item, name, 1)
    assert item != datum(3, 2, "cat")


@check("dassl.data.datasets.Datum")
def datum_of_a_missing_file():
    """impath must be a str and an existing file, not a folder: otherwise an AssertionError without a message."""
    from dassl.data.datasets import Datum

    for bad in (str(folder() / "gone.png"), str(folder()), 5):
        with warnings.catch_warnings(), raises(AssertionError, chosen="errors-for-users"):
            warnings.simplefilter("ignore")
            Datum(impath=bad)


@check(
    "dassl.data.datasets.base_dataset.Datum", "file:{dataset_dir}/split_fewshot/shot_{K}-seed_{SEED}.pkl",
    "dassl.data.datasets.base_dataset.DatasetBase", "dassl.data.datasets.base_dataset",
)  # fmt: skip
def pickled_datum():
    """A pickle names dassl.data.datasets.base_dataset.Datum and holds the four private attributes; unpickling skips the
    constructor.
    """
    from dassl.data.datasets import DatasetBase, Datum, base_dataset

    assert base_dataset.Datum is Datum and base_dataset.DatasetBase is DatasetBase
    path = folder() / "a.png"
    path.touch()
    content = pickle.dumps({"train": [datum(1, 2, "cat", str(path))]}, protocol=pickle.HIGHEST_PROTOCOL)
    assert b"dassl.data.datasets.base_dataset" in content
    path.unlink()
    (item,) = pickle.loads(content)["train"]
    equal(vars(item), {"_impath": str(path), "_label": 1, "_domain": 2, "_classname": "cat"})


@check(
    "dassl.data.datasets.DatasetBase", BASE + "train_x", BASE + "train_u", BASE + "val", BASE + "test",
    BASE + "lab2cname", BASE + "classnames", BASE + "num_classes", BASE + "_train_x", BASE + "_train_u", BASE + "_val",
    BASE + "_test", BASE + "_lab2cname", BASE + "_classnames", BASE + "_num_classes",
)  # fmt: skip
def dataset_values():
    """The lists as given, and what train_x says of classes: num_classes, lab2cname, classnames by rising label."""
    parts = {name: [datum()] for name in ("train_u", "val", "test")}
    made = dataset((1, 0, 1), **parts)
    for name, part in parts.items():
        assert getattr(made, name) is part and getattr(made, f"_{name}") is part
    equal([item.label for item in made.train_x], [1, 0, 1])
    equal((made.num_classes, made.classnames), (2, ["class 0", "class 1"]))
    equal(made.lab2cname, {0: "class 0", 1: "class 1"})
    equal((made._num_classes, made._classnames, made._lab2cname), (made.num_classes, made.classnames, made.lab2cname))
    assert made._train_x is made.train_x
    bare = dataset()
    equal((bare.train_u, bare.val, bare.test), (None, None, None))


@check("dassl.data.datasets.DatasetBase")
def dataset_without_images():
    """train_x None is a TypeError, an empty list a ValueError."""
    from dassl.data.datasets import DatasetBase

    with raises(ValueError):
        DatasetBase(train_x=[])
    with raises(TypeError, chosen="errors-for-users"):
        DatasetBase()


@check(BASE + "num_classes", BASE + "classnames")
def gaps_between_labels():
    """num_classes is the largest label + 1, classnames is dense: labels 0 and 3 give 4 classes and 2 names."""
    try:
        made = dataset((0, 3))
    except ValueError as error:
        differs("gap" in str(error) or "label" in str(error), "label-gaps")
        raise
    equal((made.num_classes, len(made.classnames)), (4, 2))


@check(BASE + "lab2cname", BASE + "classnames")
def several_names_for_a_label():
    """Of several names for one label it depends on the hash seed of the process which one is taken."""
    from dassl.data.datasets import DatasetBase

    names = [f"name {n}" for n in range(50)]
    found = DatasetBase.get_lab2cname([datum(0, classname=name) for name in names])[1]
    differs(found == names[:1], "first-name-counts")
    assert len(found) == 1 and found[0] in names


@check(BASE + "get_num_classes", BASE + "get_lab2cname")
def static_methods():
    """get_num_classes: the largest label + 1; get_lab2cname: (dict, list)."""
    from dassl.data.datasets import DatasetBase

    items = [datum(1, classname="b"), datum(0, classname="a")]
    equal(DatasetBase.get_num_classes(items), 2)
    equal(DatasetBase.get_lab2cname(items), ({0: "a", 1: "b"}, ["a", "b"]))


@check(
    BASE + "check_input_domains", BASE + "is_input_domain_valid", "message:source_domains (list) is empty",
    "message:target_domains (list) is empty", "message:Input domain must belong to {domains}, but got [{d}]",
)  # fmt: skip
def domains_are_checked():
    """An empty list is an AssertionError, an unknown domain a ValueError."""
    made = dataset()
    made.domains = ["x", "y"]
    made.check_input_domains(["x"], ["y"])
    made.is_input_domain_valid(["y", "x"])
    with raises(AssertionError, "source_domains (list) is empty"):
        made.check_input_domains([], ["x"])
    with raises(AssertionError, "target_domains (list) is empty"):
        made.check_input_domains(["x"], [])
    for call in (lambda: made.check_input_domains(["x"], ["z"]), lambda: made.is_input_domain_valid(["z"])):
        with raises(ValueError, "Input domain must belong to ['x', 'y'], but got [z]"):
            call()


@check("dassl.data.datasets.build_dataset", "line:Loading dataset: {name}")
def built_by_name():
    """build_dataset prints "Loading dataset: {name}" if VERBOSE and returns Class(cfg)."""
    from dassl.data.datasets import build_dataset

    with printed() as text:
        made = build_dataset(tiny.make_cfg())
    equal((type(made).__name__, text.lines[0]), ("ConformancePictures", "Loading dataset: ConformancePictures"))
    with printed() as text:
        build_dataset(tiny.make_cfg("VERBOSE", False))
    equal(text.lines, [])


@check("cfg.DATASET.SOURCE_DOMAINS", "cfg.DATASET.TARGET_DOMAINS")
def domain_labels():
    """Domain labels are positions in the list that was asked for, from 0 separately for source and target."""
    from dassl.data.datasets import build_dataset

    made = build_dataset(tiny.make_cfg("DATASET.SOURCE_DOMAINS", ("pale", "dark")))
    equal({(os.path.basename(os.path.dirname(os.path.dirname(i.impath))), i.domain) for i in made.train_x},
          {("pale", 0), ("dark", 1)})  # fmt: skip
    equal({item.domain for item in made.test}, {0})


@contextlib.contextmanager
def fetching(archive):
    """Let a download from Google Drive give this archive."""
    from dassl.data.datasets import base_dataset

    drive = types.ModuleType("gdown")
    drive.download = lambda url, output=None, **_: shutil.copy(archive, output)
    with contextlib.ExitStack() as stack:
        stack.enter_context(patched_module("gdown", drive))
        if hasattr(base_dataset, "gdown"):  # imported with the module, or only when it is needed
            stack.enter_context(patched(base_dataset, gdown=drive))
        yield


@check(BASE + "download_data")
def download_and_extract():
    """Fetches from Google Drive and extracts .zip, .tar and .tar.gz beside the archive."""
    source = folder()
    (source / "in").mkdir()
    (source / "in" / "a.txt").write_text("content")
    for form, suffix in (("zip", "zip"), ("tar", "tar"), ("gztar", "tar.gz")):
        place = folder() / "new"
        with fetching(shutil.make_archive(str(source / form), form, source / "in")):
            dataset().download_data("https://drive.google.com/uc?id=0", str(place / f"x.{suffix}"))
        equal((place / "a.txt").read_text(), "content")


@check(BASE + "download_data")
def download_from_elsewhere():
    """from_gdrive=False is NotImplementedError."""
    place = folder()
    with zipfile.ZipFile(place / "source.zip", "w") as archive:
        archive.writestr("a.txt", "content")
    try:
        dataset().download_data((place / "source.zip").as_uri(), str(place / "b" / "x.zip"), from_gdrive=False)
    except NotImplementedError:
        return
    differs((place / "b" / "a.txt").read_text() == "content", "downloads-from-anywhere")
    raise AssertionError("nothing was extracted")


@check(BASE + "download_data")
def archive_members():
    """Archives are extracted without a look at where their members would land."""
    place = folder()
    (place / "in").mkdir()
    with tarfile.open(place / "source.tar", "w") as archive:
        archive.addfile(tarfile.TarInfo("../outside.txt"))
    try:
        with fetching(place / "source.tar"):
            dataset().download_data("https://drive.google.com/uc?id=0", str(place / "in" / "x.tar"))
    except Exception:
        differs(not (place / "outside.txt").exists(), "archives-stay-inside")
        raise
    assert (place / "outside.txt").exists()


# Few-shot selections


@check("random:sample")
def random_of_python():
    """random.seed(1), then sample(range(10), 4) twice, sample(range(4), 4), random()."""
    random.seed(1)
    equal([random.sample(range(10), 4), random.sample(range(10), 4)], [[2, 1, 4, 0], [7, 9, 8, 5]])
    equal(random.sample(range(4), 4), [3, 0, 2, 1])
    equal(random.random(), 0.02834747652200631)


@check(BASE + "generate_fewshot_dataset", "random:generate_fewshot_dataset", "line:Creating a {k}-shot dataset")
def golden_selection():
    """After random.seed(1), labels (2, 0, 2, 0, 0, 1) with K=2 give the positions [0, 2, 3, 1, 5]: groups by first
    appearance, random.sample for n >= K, the whole group without a draw for n < K.
    """
    items = [datum(label) for label in (2, 0, 2, 0, 0, 1)]
    random.seed(1)
    with printed() as text:
        chosen = dataset().generate_fewshot_dataset(items, num_shots=2)
    equal([items.index(item) for item in chosen], [0, 2, 3, 1, 5])
    equal(text.lines, ["Creating a 2-shot dataset"])
    random.seed(1)
    for group in ([0, 2], [1, 3, 4]):
        random.sample(group, 2)
    after = random.random()
    random.seed(1)
    dataset().generate_fewshot_dataset(items, num_shots=2)
    equal(random.random(), after)


@check(BASE + "generate_fewshot_dataset")
def selections_of_several():
    """num_shots < 1: the input object, or the tuple of inputs; several sources: a list of lists, left to right."""
    one, two = [datum(0), datum(1)], [datum(0), datum(0)]
    made = dataset()
    assert made.generate_fewshot_dataset(one, num_shots=0) is one
    equal(made.generate_fewshot_dataset(one, two), (one, two))
    random.seed(5)
    got = made.generate_fewshot_dataset(one, two, num_shots=1)
    random.seed(5)
    want = [made.generate_fewshot_dataset(part, num_shots=1) for part in (one, two)]
    equal(got, want)
    assert isinstance(got, list)


@check(BASE + "generate_fewshot_dataset")
def selection_with_repeats():
    """n < K and repeat: random.choices of K."""
    group = [datum(0), datum(0)]
    random.seed(2)
    chosen = dataset().generate_fewshot_dataset(group, num_shots=5, repeat=True)
    random.seed(2)
    equal(chosen, random.choices(group, k=5))


@check(BASE + "split_dataset_by_label", BASE + "split_dataset_by_domain")
def splits():
    """A dict of lists by label, or domain, in the order of first appearance."""
    items = [datum(1, 0), datum(0, 1), datum(1, 1)]
    made = dataset()
    by_label, by_domain = made.split_dataset_by_label(items), made.split_dataset_by_domain(items)
    equal(list(by_label.items()), [(1, [items[0], items[2]]), (0, [items[1]])])
    equal(list(by_domain.items()), [(0, [items[0]]), (1, [items[1], items[2]])])
