"""ImageFolder: every layout gives the lists that it should, and few-shot, base/new and domains work on each."""

import functools
import os
import random
from collections import Counter
from pathlib import Path

import pytest

from tests.datasets import pictures
from tests.datasets.pictures import KEYS, NAMES, records, write_classes, write_csv, write_domains, write_json_lines

ALL = ("path", "label", "classname", "split")


def rows(items, dataset):
    return [(Path(i.impath).relative_to(dataset.image_dir).as_posix(), i.label, i.classname) for i in items]


def lists(dataset):
    return [rows(part, dataset) for part in (dataset.train_x, dataset.val, dataset.test)]


def given(part):
    return [(r["path"], r["label"], r["classname"]) for r in records() if r["split"] == part]


def split_per_class(paths_by_class, seed=1):
    """The 50/20/30 rule once more: each class shuffled by one stream of its own."""
    rng, parts = random.Random(seed), ([], [], [])
    for paths in paths_by_class:
        paths = list(paths)
        rng.shuffle(paths)
        a = round(0.5 * len(paths))
        b = a + round(0.2 * len(paths))
        for part, chosen in zip(parts, (paths[:a], paths[a:b], paths[b:]), strict=True):
            part += chosen
    return parts


LISTED = {
    "csv": lambda f: write_csv(f, records(), ALL),
    "csv, names only": lambda f: write_csv(f, records(), ("split", "classname", "path")),
    "json lines": lambda f: write_json_lines(f, records(), ALL),
    "split file": lambda f: pictures.write_split_json(f),
    "split file over a folder of images": lambda f: pictures.write_split_json(f, "images"),
}


@pytest.mark.parametrize("layout", LISTED)
def test_a_list_with_parts(layout, folder, load):
    LISTED[layout](folder)
    before = {path: path.read_bytes() for path in folder.rglob("*.*")}
    dataset = load()
    assert {path: path.read_bytes() for path in folder.rglob("*.*")} == before, "the user's files stay as they are"
    assert lists(dataset) == [given(part) for part in ("train", "val", "test")]
    assert dataset.classnames == NAMES
    assert bool(dataset.split_path) == ("split file" in layout)


def test_part_folders(folder, load):
    pictures.write_parts(folder)
    dataset = load()
    for part, items in zip(("train", "val", "test"), lists(dataset), strict=True):
        assert items == [
            (f"{part}/{key}/{i}.jpg", label, NAMES[label])
            for label, key in enumerate(KEYS)
            for i in range(pictures.COUNTS[part])
        ]


@pytest.mark.parametrize("layout", ["folders", "csv"])
def test_without_val_a_fifth_of_train_is_taken_if_something_needs_it(layout, folder, load):
    if layout == "csv":
        write_csv(folder, records(("train", "test")), ALL)
    else:
        pictures.write_parts(folder, ("train", "test"))
    assert (len(load().train_x), load().val) == (24, [])
    load = functools.partial(load, test={"FINAL_MODEL": "best_val"})
    dataset = load()
    assert [Counter(item.label for item in part) for part in (dataset.train_x, dataset.val, dataset.test)] == [
        dict.fromkeys(range(4), n) for n in (5, 1, 4)
    ]
    assert not {item.impath for item in dataset.val} & {item.impath for item in dataset.train_x}
    assert lists(load(seed=2)) == lists(dataset)


def test_class_folders_are_split_by_the_rule(folder, load):
    write_classes(folder)
    dataset = load()
    expected = split_per_class([[f"{key}/{i}.jpg" for i in range(10)] for key in KEYS])
    assert [[path for path, _, _ in part] for part in lists(dataset)] == list(expected)
    assert dataset.classnames == NAMES
    load(seed=7)
    assert random.getstate() == random.Random(7).getstate(), "the split draws from its own stream"
    assert lists(load(seed=7)) == lists(dataset)
    assert sorted(os.listdir(folder)) == [*KEYS, "stored_split.json"]


def test_labels_alone_get_their_names_from_the_file(folder, load):
    write_csv(folder, records(), ("path", "label", "split"))
    (folder / "classnames.txt").write_text("3 silver fox\n0 auk\n2 dog\n1 cat of the house\n17 unused\n")
    assert load().classnames == ["auk", "cat of the house", "dog", "silver fox"]


def test_labels_that_are_text_are_class_names(folder, load):
    named = [{**row, "label": row["classname"]} for row in records()]
    write_csv(folder, named, ("path", "label", "split"))
    assert lists(load())[0] == given("train")


def test_class_names_of_folders_from_the_file(folder, load):
    write_classes(folder, keys=("n02", "two words", "n01"))
    (folder / "classnames.txt").write_text("n01 tench\n\nn02 great white shark\ntwo words\tspaced name\n")
    assert load().classnames == ["tench", "great white shark", "spaced name"]


def test_a_list_without_parts_is_split_by_the_rule(folder, load):
    whole = [row for label in range(4) for row in records() if row["label"] == label]
    write_csv(folder, whole, ("path", "classname"))
    expected = split_per_class([[row["path"] for row in whole if row["label"] == label] for label in range(4)])
    assert [[path for path, _, _ in part] for part in lists(load())] == list(expected)


def test_a_list_as_spreadsheets_write_it(folder, load):
    """A byte order mark, capitals, spaces and another column; backslashes from Windows; CR LF; a name with a comma."""
    lines = ["\ufeffPath, Class Name ,Note\r\n"]  # and no break at a line separator within a cell
    for name in ("cat", "dog, small"):
        for i in range(5):
            pictures.touch(folder / "images" / f"{name} {i}.jpg")
            lines.append(f'"images\\{name} {i}.jpg"," {name} ",{i}\u2028x\r\n')
    (folder / "annotations.csv").write_bytes("".join([*lines, "\r\n"]).encode())
    dataset = load()
    assert dataset.classnames == ["cat", "dog, small"]
    assert len(dataset.train_x + dataset.val + dataset.test) == 10


def test_names_alone_are_numbered_in_sorted_order(folder, load):
    write_csv(folder, records()[::-1], ("path", "classname", "split"))
    dataset = load()
    assert dataset.classnames == NAMES and lists(dataset)[0] == given("train")[::-1]


def test_list_file_chooses(folder, load, tmp_path):
    write_csv(folder, records(), ALL, "annotations.csv")
    few = [row for row in records() if row["label"] < 2]
    write_json_lines(folder, few, ALL, "few.jsonl")
    assert load().num_classes == 4
    assert load(LIST_FILE="few.jsonl").num_classes == 2
    elsewhere = (folder / "few.jsonl").rename(tmp_path / "few.jsonl")
    assert load(LIST_FILE=str(elsewhere)).num_classes == 2


def test_a_class_may_be_called_train(folder, load):
    write_classes(folder, keys=("car", "train", "test"))
    assert load().classnames == ["car", "test", "train"]


def test_only_test_pictures_are_a_target(folder, load, capsys):
    pictures.write_parts(folder, ("test",))
    dataset = load(shots=2)
    assert lists(dataset)[0] == lists(dataset)[2] and dataset.val == []
    assert len(dataset.test) == 16 and dataset.classnames == NAMES
    assert "test pictures only" in capsys.readouterr().out


def test_hidden_files_other_files_and_our_own_folder_are_no_classes(folder, load):
    write_classes(folder)
    pictures.touch(folder / ".git" / "a.jpg")
    pictures.touch(folder / "split_fewshot" / "x.json")
    pictures.touch(folder / "readme.txt")
    pictures.touch(folder / "dog" / "notes.txt")
    pictures.touch(folder / "dog" / ".DS_Store")
    dataset = load()
    assert dataset.classnames == NAMES
    assert len(dataset.train_x + dataset.val + dataset.test) == 40


LAYOUTS = {**LISTED, "class folders": write_classes, "part folders": pictures.write_parts}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_few_shot_and_base_to_new(layout, folder, load):
    LAYOUTS[layout](folder)
    full, first = load(), load(shots=2, seed=3)
    assert lists(load(shots=2, seed=3)) == lists(first)  # the kept selection
    random.seed(3)
    by_label = [[row for row in lists(full)[0] if row[1] == label] for label in range(4)]
    assert lists(first)[0] == [row for group in by_label for row in random.sample(group, 2)]
    base, new = load(shots=2, seed=3, classes="base"), load(shots=2, seed=3, classes="new")
    assert (base.classnames, new.classnames) == (NAMES[:2], NAMES[2:])
    assert {i.impath for i in base.train_x} | {i.impath for i in new.train_x} == {i.impath for i in first.train_x}
    assert {item.classname for item in new.test} == set(NAMES[2:])


def test_selections_go_to_the_users_cache_where_the_folder_cannot_be_written(folder, load, own_cache):
    write_classes(folder)
    (folder / "split_fewshot").touch()  # as good as a read-only folder, and also for root
    first = lists(load(shots=1, seed=5))
    assert list((own_cache / "split_fewshot").rglob("shot_1-seed_5-*.json"))
    assert lists(load(shots=1, seed=5)) == first


SOURCE = {"SOURCE_DOMAINS": ("photo",), "TARGET_DOMAINS": ("sketch",)}


def domain_of(items):
    return {(Path(item.impath).parts[-3], item.domain) for item in items}


def test_domain_folders(folder, load):
    """A source domain is split by the rule; of a target that is no source, every picture is tested."""
    write_domains(folder)
    dataset = load(**SOURCE)
    expected = split_per_class([[f"photo/{key}/{i}.jpg" for i in range(10)] for key in KEYS])
    assert [[path for path, _, _ in part] for part in lists(dataset)[:2]] == list(expected[:2])
    assert len(dataset.test) == 40 and domain_of(dataset.test) == {("sketch", 0)}
    assert dataset.classnames == NAMES
    own = load(SOURCE_DOMAINS=("photo",), TARGET_DOMAINS=("photo",))
    assert lists(own)[:2] == lists(dataset)[:2], "what is trained on does not depend on the target"
    assert [path for path, _, _ in lists(own)[2]] == expected[2]


def test_several_domains_are_numbered_in_the_order_of_the_run(folder, load):
    write_domains(folder)
    dataset = load(SOURCE_DOMAINS=("toy", "photo"), TARGET_DOMAINS=("sketch", "photo"), shots=4)
    assert domain_of(dataset.train_x) <= {("toy", 0), ("photo", 1)} and len(dataset.train_x) == 16
    assert domain_of(dataset.test) == {("sketch", 0), ("photo", 1)}
    new = load(SOURCE_DOMAINS=("toy", "photo"), TARGET_DOMAINS=("sketch", "photo"), classes="new")
    assert domain_of(new.train_x) == {("toy", 0), ("photo", 1)} and new.classnames == NAMES[2:]


def test_a_domain_column(folder, load):
    write_csv(folder, records(domains=("photo", "sketch")), (*ALL, "domain"))
    dataset = load(**SOURCE)
    for part, domain, items in zip(("train", "val", "test"), ("photo", "photo", "sketch"), lists(dataset), strict=True):
        expected = [
            r["path"] for r in records(domains=("photo", "sketch")) if (r["split"], r["domain"]) == (part, domain)
        ]
        assert [path for path, _, _ in items] == expected
    everything = load()
    assert len(everything.train_x) == 48, "without domains in the config, all are used"


def test_a_domain_column_without_parts(folder, load):
    write_csv(folder, records(domains=("photo", "sketch")), ("path", "classname", "domain"))
    dataset = load(**SOURCE)
    assert (len(dataset.train_x), len(dataset.val), len(dataset.test)) == (4 * 6, 4 * 2, 4 * 12)


DOMAINS = {"SOURCE_DOMAINS": ("photo",), "TARGET_DOMAINS": ("sketch",)}


def test_the_target_trains_without_labels_where_it_is_asked_for(folder, load):
    write_domains(folder)
    plain = load(**DOMAINS)
    assert plain.train_u is None
    dataset = load(UNLABELED="target", **DOMAINS)
    assert lists(dataset) == lists(plain), "nothing else changes"
    assert rows(dataset.train_u, dataset) == rows(dataset.test, dataset) and domain_of(dataset.train_u) == {
        ("sketch", 0)
    }
    base = load(UNLABELED="target", classes="base", **DOMAINS)
    assert {item.label for item in base.train_u} == {item.label for item in base.train_x} != set(range(4))


def test_the_users_train_part_of_the_target_trains_without_labels(folder, load):
    write_csv(folder, records(domains=("photo", "sketch")), (*ALL, "domain"))
    dataset = load(UNLABELED="target", **DOMAINS)
    expected = [
        r["path"] for r in records(domains=("photo", "sketch")) if (r["split"], r["domain"]) == ("train", "sketch")
    ]
    assert [path for path, *_ in rows(dataset.train_u, dataset)] == expected
    assert not {i.impath for i in dataset.train_u} & {i.impath for i in dataset.test}


def test_what_shots_leave_out_trains_without_labels(folder, load):
    LISTED["csv"](folder)
    full, dataset = load(), load(shots=2, UNLABELED="rest")
    assert Counter(item.label for item in dataset.train_x) == {label: 2 for label in range(4)}
    assert Counter(rows(dataset.train_x + dataset.train_u, dataset)) == Counter(rows(full.train_x, full))
    assert len(load(shots=2, UNLABELED="rest", ALL_AS_UNLABELED=True).train_u) == len(full.train_x)
    by_total = load(NUM_LABELED=8, UNLABELED="rest")
    assert rows(by_total.train_x, by_total) == rows(dataset.train_x, dataset)
    assert load(shots=2).train_u is None and load(UNLABELED="rest").train_u is None
    assert load(UNLABELED="target").train_u is None, "there are no domains"


def test_unlabelled_images_that_cannot_be(folder, load, user_error):
    LISTED["csv"](folder)
    user_error(load, "UNLABELED", "'source'", "target", UNLABELED="source")
    user_error(load, "NUM_LABELED 6 cannot be shared equally by 4 classes", NUM_LABELED=6)
