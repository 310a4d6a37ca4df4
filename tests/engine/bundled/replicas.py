"""Small replicas of the bundled datasets, in the layouts of their releases. Pictures that no test opens are empty.

``REPLICAS``: registry name -> builder. ``builder(root)`` writes below the data root and returns a :class:`Replica`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from tests.engine.bundled import archives

CLASSES = ("alarm_clock", "Bike")  # sorted as file systems and Python do: capitals first
SORTED = ("Bike", "alarm_clock")


@dataclass
class Replica:
    """Expected result of a reader: (path below the root, label, domain) of each part's images, in any order."""

    names: Sequence[str]
    train_x: list
    test: list
    val: list = field(default_factory=list)
    train_u: list = field(default_factory=list)
    opts: list = field(default_factory=list)
    missing: str = ""  # a path below the root whose absence must be told; "" where there are class folders alone


def touch(root, path):
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch()
    return path


def domains_of(source, target):
    return ["DATASET.SOURCE_DOMAINS", source, "DATASET.TARGET_DOMAINS", target]


def write_classes(root, folder, domain, classes=CLASSES, labels=None, count=2):
    """Write ``folder/<class>/<n>.jpg``; return (path, label, domain) of each."""
    labels = labels or {name: place for place, name in enumerate(sorted(classes))}
    return [(touch(root, f"{folder}/{name}/{n}.jpg"), labels[name], domain) for name in classes for n in range(count)]


def unsplit(folder, inner="", spelled=lambda domain: domain):
    """A dataset of ``<domain>/<inner><class>/`` that is not split: train_u and test are all of the target."""

    def build(root, source, target):
        def write(domains):
            return [
                item
                for place, domain in enumerate(domains)
                for item in write_classes(root, f"{folder}/{spelled(domain)}{inner}", place)
            ]

        test = write(target)
        return Replica([n.lower() for n in SORTED], write(source), test, train_u=test, opts=domains_of(source, target))

    return build


def office31(root):
    return unsplit("office31", "/images")(root, ["webcam", "amazon"], ["dslr"])


def office_home(root):
    spelled = {"art": "Art", "real_world": "Real World", "clipart": "clipart"}.__getitem__
    return unsplit("office_home", spelled=spelled)(root, ["real_world", "art"], ["clipart"])


def split_folders(folder, source, target, parts, classes=CLASSES, names=None, spelled=str.lower):
    """``<domain>/<part>/<class>/``; ``parts``: "train", "val", "test" -> the folders of each."""

    def build(root):
        written = {
            (domain, inner): write_classes(root, f"{folder}/{spelled(domain)}/{inner}", 0, classes)
            for domain in (*source, *target)
            for inner in sorted(set().union(*parts.values()))
        }

        def found(domains, part):
            return [
                (path, label, place)
                for place, domain in enumerate(domains)
                for inner in parts[part]
                for path, label, _ in written[domain, inner]
            ]

        return Replica(
            names or [n.lower() for n in sorted(classes)], found(source, "train"), found(target, "test"),
            found(source, "val"), opts=domains_of(source, target),
        )  # fmt: skip

    return build


TRAIN_VAL = {"train": ("train",), "val": ("val",), "test": ("train", "val")}
CROSSVAL = {"train": ("train",), "val": ("crossval",), "test": ("test",)}


def lists(folder, images, pattern, parts, source, target, first=0, own_u=False):
    """Lists ``path label``; ``parts``: "train", "val", "test" -> the lists of each."""

    def build(root):
        written = {}
        for domain in (*source, *target):
            for n, part in enumerate(dict.fromkeys(p for names in parts.values() for p in names)):
                rows = [(f"{domain}/{c}/{part}_{n}.jpg", label) for label, c in enumerate(("dog", "cat"))]
                for path, _ in rows:
                    touch(root, f"{folder}/{images}{path}")
                file = root / folder / pattern.format(domain, part)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text("".join(f"{path} {label + first}\n" for path, label in rows) + "\n")
                written[domain, part] = rows

        def found(domains, part):
            return [
                (f"{folder}/{images}{path}", label, place)
                for place, domain in enumerate(domains)
                for inner in parts[part]
                for path, label in written[domain, inner]
            ]

        return Replica(
            ["dog", "cat"], found(source, "train"), found(target, "test"), found(source, "val"),
            train_u=found(target, "train") if own_u else [], opts=domains_of(source, target),
            missing=f"{folder}/{pattern.format(source[0], 'train')}",
        )  # fmt: skip

    return build


def pacs(root):
    parts = {"train": ("train",), "val": ("crossval",), "test": ("train", "crossval")}
    replica = lists(
        "pacs", "images/", "splits/{}_{}_kfold.txt", parts, ["sketch", "photo"], ["cartoon"], first=1
    )(root)  # fmt: skip
    with open(root / "pacs/splits/sketch_train_kfold.txt", "a") as file:
        file.write("sketch/dog/n02103406_4068-1.png 1\n")  # listed, but damaged: never used
    return replica


def visda17(root):
    images = {}
    for part, prefix in (("train", "src"), ("validation", "target")):
        rows = [(f"{name}/{prefix}_1.png", label) for label, name in enumerate(("aeroplane", "bicycle"))]
        images[part] = [(touch(root, f"visda17/{part}/{path}"), label, 0) for path, label in rows]
        text = "".join(f"{path} {label}\n" for path, label in rows)
        (root / f"visda17/{part}/image_list.txt").write_text(text)
    return Replica(
        ["aeroplane", "bicycle"], images["train"], images["validation"], train_u=images["validation"],
        opts=domains_of(["synthetic"], ["real"]), missing="visda17/train/image_list.txt",
    )  # fmt: skip


def cifar_stl(root):
    cifar = {"airplane": 0, "automobile": 1, "frog": None}
    stl = {"0_airplane": 0, "2_car": 1, "7_monkey": None}

    def write(domain, part, classes):
        found = write_classes(root, f"cifar_stl/{domain}/{part}", 0, classes, labels=classes)
        return [item for item in found if item[1] is not None]

    return Replica(
        ["airplane", "car"], write("cifar", "train", cifar), write("stl", "test", stl),
        train_u=write("stl", "train", stl), opts=domains_of(["cifar"], ["stl"]), missing="cifar_stl/cifar",
    )  # fmt: skip


def _digits(root, train_of, test_of, own_u):
    archives.write_digit_five(root / "digit5")

    def found(domains, part, repeats=1):
        return [
            (f"digit5/{domain}/{part}_images/{n:06d}_{label}.png", label, place)
            for place, domain in enumerate(domains)
            for n, label in enumerate(archives.DIGITS[part])
            for _ in range(repeats if domain == "usps" else 1)
        ]

    return Replica(
        [str(n) for n in range(10)], found(train_of, "train", 3 if own_u else 1), found(test_of, "test"),
        train_u=found(test_of, "train", 3) if own_u else [], opts=domains_of(train_of, test_of),
        missing="digit5/mnist_data.mat",
    )  # fmt: skip


def digit5(root):
    return _digits(root, ["mnist", "svhn", "usps"], ["syn", "mnist_m"], own_u=True)


def digit_single(root):
    return _digits(root, ["mnist"], ["svhn", "syn", "usps"], own_u=False)


def cifar_c(clean, folder, domains):
    def build(root):
        train = write_classes(root, f"{clean}/train", 0, ("cat", "ship"))
        labels = np.array([1, 0, 1])
        (root / folder).mkdir()
        np.save(root / folder / "labels.npy", np.tile(labels, 5))
        images = np.repeat(np.arange(5, dtype=np.uint8), 3)[:, None, None, None] * np.ones((1, 2, 2, 3), np.uint8)
        np.save(root / folder / "fog.npy", images)  # of level n: all pixels n - 1
        test = [
            (f"{folder}/fog/4/{('cat', 'ship')[label]}/{n:05d}.png", int(label), 0) for n, label in enumerate(labels)
        ]
        opts = [*domains_of(domains[:1], domains[1:]), "DATASET.CIFAR_C_TYPE", "fog", "DATASET.CIFAR_C_LEVEL", 4]
        return Replica(["cat", "ship"], train, test, opts=opts, missing=f"{folder}/fog.npy")

    return build


def _table(path, *rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(",".join(map(str, row)) + "\n" for row in rows))


def fmow(root):
    folder = "wilds/fmow_v1.1"
    _table(
        root / folder / "rgb_metadata.csv", ("split", "category", "country_code", "timestamp"),
        ("train", "zoo", "FRA", "2011-02-03T04:05:06Z"), ("train", "car_park", "USA", "2010-02-03T04:05:06Z"),
        ("seq", "zoo", "FRA", "2011-02-03T04:05:06Z"), ("val", "zoo", "FRA", "2013-02-03T04:05:06Z"),
        ("val", "zoo", "FRA", "2012-02-03T04:05:06Z"), ("test", "car_park", "USA", "2016-02-03T04:05:06Z"),
        ("test", "zoo", "XXX", "2017-02-03T04:05:06Z"), ("train", "zoo", "USA", "2017-02-03T04:05:06Z"),
    )  # fmt: skip
    _table(root / folder / "country_code_mapping.csv", ("alpha-3", "region"), ("FRA", "Europe"), ("USA", "Americas"))

    def image(n):
        return touch(root, f"{folder}/images/rgb_img_{n}.png")

    return Replica(
        ["car park", "zoo"], [(image(0), 1, 1), (image(1), 0, 0)], [(image(5), 0, 0), (image(6), 1, 1)],
        [(image(3), 1, 0)], missing=f"{folder}/rgb_metadata.csv",
    )  # fmt: skip


def iwildcam(root):
    folder = "wilds/iwildcam_v2.0"
    _table(root / folder / "categories.csv", ("y", "name"), (0, "empty"), (1, "tapir"), (2, "puma"))
    rows = [("train", "a.jpg", 0, 7), ("train", "b.jpg", 2, 3), ("val", "c.jpg", 2, 9), ("test", "d.jpg", 0, 5),
            ("test", "e.jpg", 1, 6), ("id_val", "f.jpg", 0, 7), ("id_test", "g.jpg", 0, 7)]  # fmt: skip
    _table(root / folder / "metadata.csv", ("split", "filename", "y", "location_remapped"), *rows)
    a, b, c, d, e, *_ = (touch(root, f"{folder}/train/{row[1]}") for row in rows)
    # No training image shows the tapir: its label is behind those of the others.
    return Replica(
        ["empty", "puma"], [(a, 0, 1), (b, 1, 0)], [(d, 0, 0), (e, 2, 1)], [(c, 1, 0)],
        missing=f"{folder}/metadata.csv",
    )  # fmt: skip


def camelyon17(root):
    folder = "wilds/camelyon17_v1.0"
    header = ("", "patient", "node", "x_coord", "y_coord", "tumor", "slide", "center", "split")
    rows = [(0, "004", 4, 3, 2, 1, 0, 0, 0), (1, "020", 1, 3, 2, 0, 1, 3, 0), (2, "020", 1, 9, 2, 0, 1, 3, 1),
            (3, "040", 2, 1, 1, 1, 2, 1, 0), (4, "060", 0, 5, 6, 0, 3, 2, 1)]  # fmt: skip
    _table(root / folder / "metadata.csv", header, *rows)
    paths = [
        touch(root, f"{folder}/patches/patient_{p}_node_{n}/patch_patient_{p}_node_{n}_x_{x}_y_{y}.png")
        for _, p, n, x, y, *_ in rows
    ]
    return Replica(
        ["normal tissue", "tumor"], [(paths[0], 1, 0), (paths[1], 0, 1)], [(paths[4], 0, 0)], [(paths[3], 1, 0)],
        missing=f"{folder}/metadata.csv",
    )  # fmt: skip


def partly_labelled(folder, classes, names=None, unlabelled=0):
    """Twelve images a class: the first tenth (one) validates, of eleven four are labelled."""

    def build(root):
        train = write_classes(root, f"{folder}/train", 0, classes, count=12)
        test = write_classes(root, f"{folder}/test", 0, classes)
        val = [item for item in train if item[0].endswith("/0.jpg")]
        never = [(touch(root, f"{folder}/unlabeled/{n}.jpg"), -1, 0) for n in range(unlabelled)]
        left = [item for item in train if item not in val]
        opts = ["DATASET.NUM_LABELED", 4 * len(classes)]
        # Which are labelled is drawn: see the test of the draw.
        return Replica(names or sorted(classes), left, test, val, train_u=never, opts=opts)

    return build


REPLICAS = {
    "Office31": office31,
    "OfficeHome": office_home,
    "DomainNet": lists(
        "domainnet", "", "splits/{}_{}.txt", {"train": ("train",), "val": ("test",), "test": ("test",)},
        ["real", "clipart"], ["quickdraw"], own_u=True,
    ),
    "miniDomainNet": lists(
        "domainnet", "", "splits_mini/{}_{}.txt", {"train": ("train",), "val": (), "test": ("test",)},
        ["sketch", "real"], ["painting", "clipart"], own_u=True,
    ),
    "VisDA17": visda17,
    "CIFARSTL": cifar_stl,
    "Digit5": digit5,
    "DigitSingle": digit_single,
    "PACS": pacs,
    "VLCS": split_folders(
        "VLCS", ["sun", "caltech"], ["pascal"], CROSSVAL, ("0", "1", "4"), ["bird", "car", "person"], str.upper
    ),
    "DigitsDG": split_folders("digits_dg", ["svhn", "mnist"], ["syn"], TRAIN_VAL, ("0", "1", "2")),
    "OfficeHomeDG": split_folders("office_home_dg", ["art", "product"], ["clipart"], TRAIN_VAL),
    "CIFAR10C": cifar_c("cifar10", "CIFAR-10-C", ["cifar10", "cifar10_c"]),
    "CIFAR100C": cifar_c("cifar100", "CIFAR-100-C", ["cifar100", "cifar100_c"]),
    "FMoW": fmow,
    "IWildCam": iwildcam,
    "Camelyon17": camelyon17,
    "CIFAR10": partly_labelled("cifar10", ("airplane", "cat")),
    "CIFAR100": partly_labelled("cifar100", ("apple", "bear", "zebra")),
    "SVHN": partly_labelled("svhn", ("0", "1")),
    "STL10": partly_labelled("stl10", ("1_bird", "0_airplane"), ["airplane", "bird"], unlabelled=3),
}  # fmt: skip
