"""One set of checks for every reader; folders are named as people name them, and nothing is skipped without a line."""

import json
import os
import random

import pytest
from dassl.config import get_cfg_default
from dassl.data import DataManager
from dassl.data.datasets import DATASET_REGISTRY, DatasetBase, Datum, build_dataset

import datasets
from clip_prompts.run.errors import USER_ERRORS
from tests.datasets.pictures import touch, write_classes, write_parts


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "pictures").mkdir()
    return tmp_path / "pictures"


def config(name, root, shots=-1, **dataset):
    cfg = get_cfg_default()
    datasets.add_config(cfg)
    cfg.DATASET.NAME, cfg.DATASET.ROOT, cfg.DATASET.NUM_SHOTS = name, str(root), shots
    cfg.DATASET.update(dataset)
    cfg.DATALOADER.NUM_WORKERS, cfg.USE_CUDA, cfg.SEED = 0, False, 1
    random.seed(1)
    return cfg


def load(folder, **dataset):
    return build_dataset(config("ImageFolder", folder, **dataset))


def error_of(call) -> str:
    with pytest.raises(USER_ERRORS) as caught:
        call()
    line = str(caught.value)
    assert "\n" not in line
    return line


# Every way in gives the same lists: class -> pictures, per part.


def as_split_file(folder, parts):
    labels = {key: label for label, key in enumerate(sorted({key for rows in parts.values() for key, _ in rows}))}
    rows = {part: [[path, labels[key], key] for key, path in parts[part]] for part in ("train", "val", "test")}
    (folder / "split_mine.json").write_text(json.dumps(rows))


def as_csv(folder, parts):
    lines = [f"{path},{key},{part}" for part, rows in parts.items() for key, path in rows]
    (folder / "annotations.csv").write_text("\n".join(["path,classname,split", *lines]))


def as_json_lines(folder, parts):
    rows = [{"path": path, "classname": key, "split": part} for part, rows in parts.items() for key, path in rows]
    (folder / "annotations.jsonl").write_text("\n".join(map(json.dumps, rows)))


@DATASET_REGISTRY.register()
class Listed(DatasetBase):
    """A dataset of a plugin: the lists that a test sets."""

    parts: dict = {}
    folder = None

    def __init__(self, cfg):
        keys = sorted({key for rows in self.parts.values() for key, _ in rows})
        lists = [
            [Datum(str(self.folder / path), keys.index(key), 0, key) for key, path in self.parts[part]]
            for part in ("train", "val", "test")
        ]
        super().__init__(train_x=lists[0], val=lists[1] or None, test=lists[2])


def as_plugin(folder, parts):
    Listed.parts, Listed.folder = parts, folder


WAYS = {"split file": as_split_file, "csv": as_csv, "json lines": as_json_lines, "plugin": as_plugin}


def lists_of(way, folder, parts):
    for rows in parts.values():
        for _, path in rows:
            touch(folder / path)
    WAYS[way](folder, parts)
    return DataManager(config("Listed" if way == "plugin" else "ImageFolder", folder))


def parts(**more):
    """Two classes in each part; ``more`` adds rows."""
    found = {part: [(key, f"{part}-{key}.ppm") for key in ("cat", "dog")] for part in ("train", "val", "test")}
    return {part: rows + more.get(part, []) for part, rows in found.items()}


FAULTS = {
    "train and test": (parts(test=[("cat", "train-cat.ppm")]), ["train-cat.ppm"]),
    "val and test": (parts(test=[("cat", "val-cat.ppm")]), ["val-cat.ppm"]),
    "train and val": (parts(val=[("cat", "train-cat.ppm")]), ["train-cat.ppm"]),
    "train and test, other spelling": (parts(test=[("cat", "./train-cat.ppm")]), ["train-cat.ppm"]),
    "twice in test": (parts(test=[("cat", "test-cat.ppm")]), ["test-cat.ppm", "twice"]),
    "twice in train": (parts(train=[("cat", "train-cat.ppm")]), ["train-cat.ppm", "twice"]),
    "twice with two labels": (parts(test=[("dog", "test-cat.ppm")]), ["test-cat.ppm", "twice"]),
    "a class of test only": (parts(test=[("eel", "test-eel.ppm")]), ["eel"]),
    "a class of val only": (parts(val=[("eel", "val-eel.ppm")]), ["eel"]),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found_by_every_reader(fault, way, folder):
    rows, words = FAULTS[fault]
    line = error_of(lambda: lists_of(way, folder, rows))
    assert all(word in line for word in words), line


@pytest.mark.parametrize("way", WAYS)
def test_equal_contents_in_train_and_test_are_a_warning(way, folder, capsys):
    lists_of(way, folder, parts())
    assert "Warning" not in capsys.readouterr().out
    rows = parts()
    (folder / "test-dog.ppm").write_bytes((folder / "train-cat.ppm").read_bytes())
    WAYS[way](folder, rows)
    DataManager(config("Listed" if way == "plugin" else "ImageFolder", folder))
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("Warning")]
    assert "1 of 2 test images" in line and "test-dog.ppm" in line and "train-cat.ppm" in line


@pytest.mark.parametrize("way", WAYS)
def test_unreadable_pictures_are_found_by_every_reader(way, folder, capsys):
    lists_of(way, folder, parts(train=[("dog", "more.ppm")]))
    (folder / "more.ppm").write_bytes(b"P6 9 9 255\n")
    name = "Listed" if way == "plugin" else "ImageFolder"
    assert "more.ppm" in error_of(lambda: DataManager(config(name, folder)))
    data = DataManager(config(name, folder, UNREADABLE="skip"))
    assert [len(part) for part in (data.dataset.train_x, data.dataset.val, data.dataset.test)] == [2, 2, 2]
    assert [path.rsplit("/", 1)[-1] for path in data.dataset.unreadable] == ["more.ppm"]
    assert "Skipped: 1 of 7" in capsys.readouterr().out
    assert "UNREADABLE" in error_of(lambda: DataManager(config(name, folder, UNREADABLE="no")))


@DATASET_REGISTRY.register()
class Odd(DatasetBase):
    """A dataset of a plugin: the lists that a test sets, as arguments of the base class."""

    lists: dict = {}

    def __init__(self, cfg):
        super().__init__(**self.lists)


@pytest.fixture
def odd(folder):
    """Build a plugin's dataset from lists of (file, label, name)."""

    def item(name, label, classname):
        touch(folder / name)
        return Datum(str(folder / name), label, 0, classname)

    def build(change=lambda train, test: {"train_x": train, "test": test}):
        train, test = ([item(f"{part}{i}.ppm", i, f"c{i}") for i in range(2)] for part in ("train", "test"))
        Odd.lists = change(train, test)
        return DataManager(config("Odd", folder))

    build.item = item
    return build


def test_lists_of_lists_are_one_line(odd):
    line = error_of(lambda: odd(lambda train, test: {"train_x": [train, train], "test": test}))
    assert "train_x of Odd holds a list" in line
    assert "test of Odd holds a str" in error_of(lambda: odd(lambda train, test: {"train_x": train, "test": ["a.jpg"]}))


def test_labels_are_numbers_and_names_agree(odd):
    text = odd.item("text.ppm", "0", "c0")
    assert "has the label '0'" in error_of(lambda: odd(lambda train, test: {"train_x": train, "test": [*test, text]}))
    name = odd.item("name.ppm", 0, "other")
    assert "'other'" in error_of(lambda: odd(lambda train, test: {"train_x": train, "test": [*test, name]}))


def test_lists_that_are_the_same_by_design_are_fine(odd):
    """Sets that are only tested on, ImageNet's validation images, and drawing with replacement."""
    odd(lambda train, test: {"train_x": test, "test": test})
    odd(lambda train, test: {"train_x": train, "val": test, "test": test})
    odd(lambda train, test: {"train_x": train + train[:1], "test": test})


def test_the_best_epoch_is_not_selected_on_the_test_list(odd, folder, tmp_path):
    from dassl.engine import build_trainer

    import trainers  # noqa: F401

    odd(lambda train, test: {"train_x": train, "val": test, "test": test})
    cfg = config("Odd", folder)
    cfg.TRAINER.NAME, cfg.MODEL.BACKBONE.NAME, cfg.OUTPUT_DIR = "Vanilla", "resnet18", str(tmp_path / "out")
    cfg.MODEL.BACKBONE.PRETRAINED, cfg.TEST.FINAL_MODEL, cfg.OPTIM.MAX_EPOCH = False, "best_val", 1
    trainer = build_trainer(cfg)
    assert "are its test images" in error_of(trainer.train)


def test_one_file_under_two_names_is_an_error(folder):
    write_parts(folder, ("train", "test"))
    for path in (folder / "test/dog").iterdir():
        path.unlink()
    (folder / "test/dog").rmdir()
    (folder / "test/dog").symlink_to("../train/dog")
    line = error_of(lambda: load(folder))
    assert "test/dog" in line and "train/dog" in line and "the same file" in line


# Layouts


@pytest.mark.parametrize(
    "names",
    [
        ("training", "validation", "testing"),
        ("Train", "Valid", "Test"),
        ("TRAIN", "VAL", "TEST"),
        ("train", "val", "test"),
    ],
)
def test_parts_are_recognised_as_people_name_them(names, folder):
    write_parts(folder)
    for part, name in zip(("train", "val", "test"), names, strict=True):
        (folder / part).rename(folder / "x")
        (folder / "x").rename(folder / name)
    data = load(folder)
    assert [len(part) for part in (data.train_x, data.val, data.test)] == [24, 8, 16]


@pytest.mark.parametrize("name", ["valid", "Val", "validation"])
def test_two_folders_for_one_part_are_refused(name, folder):
    write_parts(folder)
    write_classes(folder / name, 2)
    line = error_of(lambda: load(folder))
    assert "val/" in line and f"{name}/" in line and "train, val and test" in line


def test_the_column_split_takes_the_same_names(folder):
    rows = {"Training": "train", "valid": "val", "TEST": "test"}
    lines = [f"{name}-{i}.ppm,c{i},{name}" for name in rows for i in range(2)]
    for line in lines:
        touch(folder / line.split(",")[0])
    (folder / "annotations.csv").write_text("\n".join(["path,classname,split", *lines]))
    data = load(folder)
    assert [len(part) for part in (data.train_x, data.val, data.test)] == [2, 2, 2]


def split_of(folder, *places, paths=("0_0.ppm", "1_0.ppm")):
    for place in places:
        for path in paths:
            touch(folder / place / path)
    rows = [[path, label, f"c{label}"] for label, path in enumerate(paths)]
    touch(folder / "images/test0.ppm"), touch(folder / "images/test1.ppm")
    tests = [["test0.ppm", 0, "c0"], ["test1.ppm", 1, "c1"]]
    (folder / "split_x.json").write_text(json.dumps({"train": rows, "val": [], "test": tests}))


def test_a_split_file_whose_paths_fit_two_folders_names_both(folder):
    split_of(folder, "GT", "images")
    for name in ("test0.ppm", "test1.ppm"):
        touch(folder / "GT" / name)
    line = error_of(lambda: load(folder))
    assert str(folder / "GT") in line and str(folder / "images") in line


def test_the_folder_that_holds_all_paths_is_meant(folder):
    split_of(folder, "GT", "images")
    assert all("/images/" in item.impath for item in load(folder).train_x)


def test_skipped_files_are_counted_in_one_line(folder, capsys):
    write_classes(folder)
    for i in range(3):
        touch(folder / "dog" / f"{i}.MOV")
    touch(folder / "dog/notes"), touch(folder / "dog/.hidden")
    os.mkfifo(folder / "dog/pipe.jpg")
    touch(folder / "dog/more/1.jpg")
    load(folder)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("Skipped")]
    assert lines == [
        "Skipped 5 files that are not read as pictures: no ending 1, .MOV 3, .jpg 1",
        "Skipped 1 picture that is not directly in a class folder, such as dog/more/1.jpg",
    ]


def test_every_ending_of_a_picture_format_is_read(folder):
    for key in ("cat", "dog"):
        for i, ending in enumerate(
            (".jfif", ".JPE", ".jp2", ".tga", ".PGM", ".webp", ".apng", ".dib", ".tiff", ".ico")
        ):
            touch(folder / key / f"{i}{ending}")
    data = load(folder)
    assert len(data.train_x + data.val + data.test) == 20


EMPTY = {
    "heic": (["a.HEIC", "b.heic"], ["2 files", ".HEIC 1", ".heic 1", "pillow-heif"]),
    "deeper": (["red/a.jpg", "red/b.jpg"], ["2 one folder deeper", "zebra/red/a.jpg"]),
    "text": (["a.txt"], ["1 file", ".txt 1"]),
}


@pytest.mark.parametrize("case", EMPTY)
def test_a_class_folder_without_pictures_says_what_lies_there(case, folder, monkeypatch):
    import clip_prompts.data.folders.class_folders as module

    suffixes = module.image_suffixes() - {".heic", ".heif"}
    monkeypatch.setattr(module, "image_suffixes", lambda: suffixes)
    write_classes(folder)
    names, words = EMPTY[case]
    for name in names:
        touch(folder / "zebra" / name)
    line = error_of(lambda: load(folder))
    assert "zebra holds no images" in line and all(word in line for word in words)


def test_a_public_set_is_checked_where_that_is_asked_for(tmp_path, capsys):
    """Its start stays fast: without ``skip``, the loader names the first broken picture."""
    for domain in ("amazon", "webcam"):
        write_classes(tmp_path / "office31" / domain, 4, ("cat", "dog"))
    (tmp_path / "office31/amazon/cat/0.jpg").write_bytes(b"")
    domains = {"SOURCE_DOMAINS": ("amazon",), "TARGET_DOMAINS": ("webcam",)}
    assert len(DataManager(config("Office31", tmp_path, **domains)).dataset.train_x) == 8
    assert len(DataManager(config("Office31", tmp_path, UNREADABLE="skip", **domains)).dataset.train_x) == 7
    assert "Skipped: 1 of 16" in capsys.readouterr().out
