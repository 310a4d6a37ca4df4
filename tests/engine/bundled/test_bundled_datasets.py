"""Every bundled dataset is read from a small replica in the layout of its release."""

import ast
import random
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from dassl.config import get_cfg_default
from dassl.data import DataManager, datasets
from dassl.data.datasets import DATASET_REGISTRY, build_dataset
from dassl.utils import ConfigError, MissingFileError, OutputError, UserError
from PIL import Image

from tests.engine.bundled import archives
from tests.engine.bundled.replicas import REPLICAS, domains_of, touch

pytestmark = pytest.mark.zoo

BUNDLED = [n for n in DATASET_REGISTRY.registered_names() if DATASET_REGISTRY.get(n).__module__.startswith("dassl.")]
PARTS = ("train_x", "train_u", "val", "test")
CLASS_FOLDERS = ("Office31", "OfficeHome", "VLCS", "DigitsDG", "OfficeHomeDG")  # whose layout is these alone
PARTLY_LABELLED = ("CIFAR10", "CIFAR100", "SVHN", "STL10")


def make_cfg(name, root, *opts):
    cfg = get_cfg_default()
    cfg.merge_from_list(["DATASET.NAME", name, "DATASET.ROOT", str(root), "USE_CUDA", False, *opts])
    return cfg


@pytest.fixture
def build(tmp_path):
    """``build(name, *opts)``: the dataset in ``tmp_path``, with the global generator seeded as by a run."""

    def call(name, *opts):
        random.seed(1)
        return build_dataset(make_cfg(name, tmp_path, *opts))

    return call


def found(dataset, root, part):
    items = getattr(dataset, part) or []
    return Counter((Path(i.impath).relative_to(root).as_posix(), i.label, i.domain) for i in items)


def one_line(call, *parts, kind=UserError):
    with pytest.raises(kind) as caught:
        call()
    line = str(caught.value)
    assert "\n" not in line
    for part in parts:
        assert str(part) in line
    return line


def test_the_names_of_the_contract_are_bundled():
    assert set(BUNDLED) == set(
        "Digit5 VisDA17 CIFARSTL Office31 DomainNet OfficeHome miniDomainNet PACS VLCS FMoW IWildCam Camelyon17 "
        "CIFAR10C CIFAR100C DigitsDG DigitSingle OfficeHomeDG CIFAR10 CIFAR100 SVHN STL10".split()
    )
    assert set(REPLICAS) == set(BUNDLED)


@pytest.mark.parametrize("name", BUNDLED)
def test_a_replica_is_read(name, build, tmp_path):
    replica = REPLICAS[name](tmp_path)
    dataset = build(name, *replica.opts)
    assert dataset.classnames == list(replica.names)
    assert found(dataset, tmp_path, "test") == Counter(replica.test)
    assert found(dataset, tmp_path, "val") == Counter(replica.val)
    if name in PARTLY_LABELLED:
        labelled, rest = (found(dataset, tmp_path, part) for part in ("train_x", "train_u"))
        assert labelled + rest == Counter(replica.train_x + replica.train_u)
        assert set(Counter(item.label for item in dataset.train_x).values()) == {4}
        return
    assert found(dataset, tmp_path, "train_x") == Counter(replica.train_x)
    assert found(dataset, tmp_path, "train_u") == Counter(replica.train_u)
    assert dataset.val is None or replica.val
    assert dataset.train_u is None or replica.train_u


@pytest.mark.parametrize("name", BUNDLED)
def test_missing_data_is_one_line(name, build, tmp_path):
    opts = REPLICAS[name](tmp_path / "elsewhere").opts
    line = one_line(lambda: build(name, *opts), str(tmp_path), "Get ", kind=MissingFileError)
    assert "http" in line or "DATASETS.md" in line


@pytest.mark.parametrize("name", [n for n in BUNDLED if n not in (*PARTLY_LABELLED, *CLASS_FOLDERS)])
def test_a_missing_file_is_named(name, build, tmp_path):
    replica = REPLICAS[name](tmp_path)
    path = tmp_path / replica.missing
    if path.is_dir():
        path.rename(tmp_path / "moved")
    else:
        path.unlink()
    one_line(lambda: build(name, *replica.opts), *([path] if path.suffix else []), kind=MissingFileError)


@pytest.mark.parametrize("name", [n for n in BUNDLED if hasattr(DATASET_REGISTRY.get(n), "unlabeled")])
def test_unlabelled_images_are_of_the_target_or_the_rest_of_the_source(name, build, tmp_path):
    replica = REPLICAS[name](tmp_path)
    source = build(name, *replica.opts).train_x
    few = [*replica.opts, "DATASET.NUM_SHOTS", 1, "DATASET.UNLABELED", "rest"]
    dataset = build(name, *few)
    rest = dataset.train_u or []
    drawn, left = (Counter((i.impath, i.domain) for i in items) for items in (dataset.train_x, rest))
    assert set(Counter(i.label for i in dataset.train_x).values()) == {1}
    assert drawn + left == Counter((i.impath, i.domain) for i in source)
    everything = build(name, *few, "DATASET.ALL_AS_UNLABELED", True).train_u
    assert len(everything) == len(source)
    if name not in ("CIFAR10C", "CIFAR100C"):  # whose replicas have no corrupted training images
        target = build(name, *replica.opts, "DATASET.UNLABELED", "target").train_u
        assert target and {i.domain for i in target} == {i.domain for i in dataset.test}
        assert not {i.impath for i in target} & {i.impath for i in source}
    one_line(lambda: build(name, *replica.opts, "DATASET.UNLABELED", "all"), "Unknown DATASET.UNLABELED 'all'")


@pytest.mark.parametrize("name", [n for n in BUNDLED if hasattr(DATASET_REGISTRY.get(n), "unlabeled")])
def test_domains_are_checked(name, build, tmp_path):
    replica = REPLICAS[name](tmp_path)
    rest = replica.opts[4:]
    one_line(lambda: build(name, *domains_of([], ["x"]), *rest), "source_domains (list) is empty")
    one_line(lambda: build(name, *domains_of(["x"], ["y"]), *rest), "Input domain must belong to", "[x]")


def test_stock_loaders_run_on_a_bundled_dataset(tmp_path):
    replica = REPLICAS["Digit5"](tmp_path)
    opts = ["INPUT.SIZE", (32, 32), "DATALOADER.NUM_WORKERS", 0, "DATALOADER.TRAIN_X.SAMPLER", "RandomDomainSampler",
            "DATALOADER.TRAIN_X.BATCH_SIZE", 6, "DATALOADER.TRAIN_U.SAME_AS_X", False]  # fmt: skip
    data = DataManager(make_cfg("Digit5", tmp_path, *replica.opts, *opts))
    assert (data.num_classes, data.num_source_domains) == (10, 3)
    batch = next(iter(data.train_loader_x))
    assert batch["img"].shape == (6, 3, 32, 32) and batch["domain"].bincount().tolist() == [2, 2, 2]


def test_digits_are_exported_as_they_are(build, tmp_path):
    replica = REPLICAS["Digit5"](tmp_path)
    build("Digit5", *replica.opts)
    for domain, size, channels in (
        ("mnist", 28, 1),
        ("svhn", 32, 3),
        ("syn", 32, 3),
        ("mnist_m", 28, 3),
        ("usps", 28, 1),
    ):
        part = "train" if domain in ("mnist", "svhn", "usps") else "test"
        files = sorted((tmp_path / "digit5" / domain / f"{part}_images").iterdir())
        assert len(files) == len(archives.DIGITS[part])
        for file, label in zip(files, archives.DIGITS[part], strict=True):
            image = np.asarray(Image.open(file))
            assert image.shape == ((size, size, 3) if channels == 3 else (size, size))
            assert image.reshape(-1)[0] == label * 10 and image.reshape(-1)[-1] == 255
    before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.png")}
    for file in tmp_path.rglob("*.mat"):
        file.unlink()
    build("Digit5", *replica.opts)
    assert before == {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.png")}, "written once"


def test_digit5_draws_with_the_seed(build, tmp_path, monkeypatch):
    from dassl.data.datasets.da import digit5

    replica = REPLICAS["Digit5"](tmp_path)
    monkeypatch.setattr(digit5, "MOST", {"train": 19, "test": 2})
    opts = [*domains_of(["mnist"], ["svhn"])]
    first = [i.impath for i in build("Digit5", *opts).train_x]
    assert len(first) == len(set(first)) == 19
    assert first == [i.impath for i in build("Digit5", *opts).train_x]
    random.seed(2)
    other = build_dataset(make_cfg("Digit5", tmp_path, *opts)).train_x
    assert first != [i.impath for i in other] and replica


def test_an_interrupted_export_leaves_nothing(build, tmp_path, monkeypatch):
    from dassl.data.datasets.shared import digit_five

    replica = REPLICAS["DigitSingle"](tmp_path)

    def broken(images, paths):
        Path(next(iter(paths))).touch()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(digit_five, "write_pictures", broken)
        with pytest.raises(KeyboardInterrupt):
            build("DigitSingle", *replica.opts)
    assert not list((tmp_path / "digit5" / "mnist").iterdir())
    assert build("DigitSingle", *replica.opts).train_x


def test_an_export_that_cannot_be_written_is_one_line(build, tmp_path):
    replica = REPLICAS["DigitSingle"](tmp_path)
    (tmp_path / "digit5/mnist").write_text("a file where a folder should be")
    one_line(lambda: build("DigitSingle", *replica.opts), "Cannot write the pictures", "mnist", kind=OutputError)


@pytest.mark.parametrize("level", [1, 5])
def test_the_level_of_a_corruption(build, tmp_path, level):
    replica = REPLICAS["CIFAR10C"](tmp_path)
    dataset = build("CIFAR10C", *replica.opts, "DATASET.CIFAR_C_LEVEL", level)
    assert {np.asarray(Image.open(i.impath)).max() for i in dataset.test} == {level - 1}


@pytest.mark.parametrize(
    ("opts", "says"),
    [
        (["DATASET.CIFAR_C_TYPE", "rain"], "Unknown DATASET.CIFAR_C_TYPE 'rain'"),
        (["DATASET.CIFAR_C_TYPE", ""], "Unknown DATASET.CIFAR_C_TYPE ''"),
        (["DATASET.CIFAR_C_LEVEL", 6], "must be 1 to 5, but got 6"),
    ],
)
def test_bad_corruptions(build, tmp_path, opts, says):
    replica = REPLICAS["CIFAR10C"](tmp_path)
    one_line(lambda: build("CIFAR10C", *replica.opts, *opts), says)


def test_arrays_of_another_content(build, tmp_path):
    replica = REPLICAS["CIFAR10C"](tmp_path)
    folder = tmp_path / "CIFAR-10-C"
    np.save(folder / "fog.npy", np.zeros((15, 2, 2, 3)))
    one_line(lambda: build("CIFAR10C", *replica.opts), "fog.npy", "shape (15, 2, 2, 3)", kind=ConfigError)
    np.save(folder / "fog.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    one_line(lambda: build("CIFAR10C", *replica.opts), "fog.npy", "not a readable array", kind=ConfigError)
    (tmp_path / "digit5").mkdir()
    (tmp_path / "digit5/mnist_data.mat").write_bytes(b"no MATLAB file")
    one_line(lambda: build("DigitSingle", *domains_of(["mnist"], ["mnist"])), "mnist_data.mat", kind=ConfigError)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("../../outside.jpg 1", "outside of the image folder"),
        ("/etc/passwd 1", "outside of the image folder"),
        ("sketch/dog/a.jpg", "is not a path and a label from 1"),
        ("sketch/dog/a.jpg 0", "is not a path and a label from 1"),
        ("sketch/dog/gone.jpg 1", "gone.jpg"),
    ],
)
def test_bad_lines_of_a_list(build, tmp_path, line, says):
    replica = REPLICAS["PACS"](tmp_path)
    path = tmp_path / "pacs/splits/sketch_train_kfold.txt"
    path.write_text(f"{line}\n")
    line = one_line(lambda: build("PACS", *replica.opts), says)
    assert "gone" in line or f'{path}", line 1' in line


def test_class_folders_that_do_not_fit_together(build, tmp_path):
    replica = REPLICAS["OfficeHome"](tmp_path)
    touch(tmp_path, "office_home/clipart/Chair/0.jpg")
    one_line(lambda: build("OfficeHome", *replica.opts), "no source domain has the class of", "Chair/0.jpg")
    (tmp_path / "office_home/clipart/Chair/0.jpg").unlink()
    one_line(lambda: build("OfficeHome", *replica.opts), "Chair", "holds no picture")


@pytest.mark.parametrize(
    ("opts", "says"),
    [
        (["DATASET.NUM_LABELED", 5], "cannot be shared equally by 2 classes"),
        (["DATASET.NUM_LABELED", 40], "asks for 20 images of each class, but one has 11"),
        (["DATASET.VAL_PERCENT", 1.0], "VAL_PERCENT must be at least 0 and below 1"),
    ],
)
def test_numbers_of_labels_that_cannot_be(build, tmp_path, opts, says):
    REPLICAS["CIFAR10"](tmp_path)
    one_line(lambda: build("CIFAR10", *opts), says, kind=ConfigError)


def test_labelled_images_are_drawn_with_the_seed(build, tmp_path):
    REPLICAS["CIFAR10"](tmp_path)
    opts = ["DATASET.NUM_LABELED", 8]
    first, again = (build("CIFAR10", *opts) for _ in range(2))
    assert [i.impath for i in first.train_x] == [i.impath for i in again.train_x]
    random.seed(2)
    other = build_dataset(make_cfg("CIFAR10", tmp_path, *opts))
    assert {i.impath for i in other.train_x} != {i.impath for i in first.train_x}
    assert len(build("CIFAR10", *opts, "DATASET.ALL_AS_UNLABELED", True).train_u) == len(first.train_u) + 8
    shots = build("CIFAR10", "DATASET.NUM_SHOTS", 3, "DATASET.VAL_PERCENT", 0.0)
    assert (len(shots.train_x), len(shots.train_u), shots.val) == (6, 18, None)
    full = build("CIFAR10")
    assert len(full.train_x) == 22 and full.train_u is None


@pytest.mark.parametrize(
    ("name", "write", "names"),
    [
        ("CIFAR10", archives.write_cifar, ["airplane", "aquarium_fish"]),
        ("CIFAR100", lambda root, patch: archives.write_cifar(root, patch, True), ["airplane", "aquarium_fish"]),
        ("SVHN", archives.write_svhn, ["0", "1"]),
        ("STL10", archives.write_stl10, ["airplane", "bird"]),
    ],
)
def test_public_archives_are_exported(name, write, names, build, tmp_path, monkeypatch):
    write(tmp_path, monkeypatch)
    dataset = build(name, "DATASET.NUM_LABELED", 4, "DATASET.VAL_PERCENT", 0.0)
    assert dataset.classnames == names
    assert len(dataset.test) == 20
    total = {"CIFAR10": 100, "STL10": 25}.get(name, 20)
    assert len(dataset.train_x) + len(dataset.train_u) == total
    for item in dataset.test:
        n = int(Path(item.impath).stem)
        image = np.asarray(Image.open(item.impath))
        assert image.shape == ((96, 96, 3) if name == "STL10" else (32, 32, 3)) and (image == n).all()
        assert item.label == (n + 1 if name == "SVHN" else n) % 2


def test_an_archive_that_is_not_the_released_one_is_not_read(build, tmp_path, monkeypatch):
    home = archives.write_svhn(tmp_path, monkeypatch)
    with open(home / "train_32x32.mat", "ab") as file:
        file.write(b"more")
    one_line(lambda: build("SVHN"), home, "corrupted", "http", kind=MissingFileError)
    assert not (home / "train").exists()


def test_a_fold_of_stl10(build, tmp_path, monkeypatch):
    home = archives.write_stl10(tmp_path, monkeypatch)
    dataset = build("STL10", "DATASET.STL10_FOLD", 3, "DATASET.VAL_PERCENT", 0.0)
    assert {int(Path(i.impath).stem) for i in dataset.train_x} == {3, 4, 18, 19}
    assert len(dataset.train_u) == 5 and {i.label for i in dataset.train_u} == {-1}
    one_line(lambda: build("STL10", "DATASET.STL10_FOLD", 10), "STL10_FOLD must be 0 to 9")
    (home / "stl10_binary/fold_indices.txt").unlink()
    one_line(lambda: build("STL10", "DATASET.STL10_FOLD", 3), "fold_indices.txt")


def test_cifar_and_stl_stand_in_for_cifar_stl(build, tmp_path):
    for path in ("cifar10/train/automobile", "cifar10/train/frog", "stl10/train/car", "stl10/test/car"):
        touch(tmp_path, f"{path}/1.png")
    dataset = build("CIFARSTL", *domains_of(["cifar"], ["stl"]))
    assert dataset.classnames == ["car"]
    assert [len(getattr(dataset, part)) for part in ("train_x", "train_u", "test")] == [1, 1, 1]


def test_shots_of_wilds_are_of_each_domain(build, tmp_path):
    REPLICAS["Camelyon17"](tmp_path)
    table = tmp_path / "wilds/camelyon17_v1.0/metadata.csv"
    with open(table, "a") as file:
        for n in range(4):
            file.write(f"{n + 9},004,4,{n + 50},2,1,0,0,0\n")
            touch(
                tmp_path,
                f"wilds/camelyon17_v1.0/patches/patient_004_node_4/patch_patient_004_node_4_x_{n + 50}_y_2.png",
            )
    assert Counter((i.domain, i.label) for i in build("Camelyon17").train_x) == {(0, 1): 5, (1, 0): 1}
    drawn = build("Camelyon17", "DATASET.NUM_SHOTS", 2).train_x
    assert Counter((i.domain, i.label) for i in drawn) == {(0, 1): 2, (1, 0): 1}


def test_bad_tables_of_wilds(build, tmp_path):
    REPLICAS["IWildCam"](tmp_path)
    table = tmp_path / "wilds/iwildcam_v2.0/metadata.csv"
    text = table.read_text()
    for old, new, says in (
        ("filename", "file", "has no column filename"),
        ("a.jpg", "../../../a.jpg", "is outside"),
        ("a.jpg,0", "a.jpg,zero", 'holds "zero", not a number'),
        ("a.jpg,0", "a.jpg,inf", 'holds "inf", not a number'),
        ("a.jpg,0", "a.jpg," + 200_000 * "9", "is not a table in CSV"),
    ):
        table.write_text(text.replace(old, new))
        one_line(lambda: build("IWildCam"), says, kind=ConfigError)


@pytest.mark.parametrize("file", sorted(Path(datasets.__file__).parent.rglob("*.py")), ids=lambda p: p.stem)
def test_importing_the_datasets_imports_nothing_heavy(file):
    """Readers of arrays are imported where a run needs them."""
    top = ast.parse(file.read_text(encoding="utf-8")).body
    imported = {alias.name for node in top if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module for node in top if isinstance(node, ast.ImportFrom) and node.level == 0}
    heavy = {"gdown", "h5py", "pandas", "scipy", "sklearn", "torchvision", "wilds"}
    assert not {name.split(".")[0] for name in imported} & heavy
