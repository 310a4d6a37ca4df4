"""The split of own pictures: files that come or go later never move the others between train and test."""

import json
import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.datasets.pictures import touch, write_classes, write_domains, write_parts
from tests.kinds.test_lists import config, error_of, load

pytestmark = pytest.mark.integration

KEYS = ("a", "b")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "pictures").mkdir()
    return tmp_path / "pictures"


def lists(folder, shots=-1, domains=(), val=False):
    from dassl.data.datasets import build_dataset

    cfg = config("ImageFolder", folder, shots)
    if domains:
        cfg.DATASET.SOURCE_DOMAINS, cfg.DATASET.TARGET_DOMAINS = domains
    if val:
        cfg.TEST.FINAL_MODEL = "best_val"
    data = build_dataset(cfg)
    return [[os.path.relpath(item.impath, folder) for item in part] for part in (data.train_x, data.val, data.test)]


def test_the_first_split_is_stored_and_read_in_its_order(folder, capsys):
    write_classes(folder)
    first = lists(folder)
    assert "Split stored in" in capsys.readouterr().out
    before = (folder / "stored_split.json").read_bytes()
    assert lists(folder) == first and lists(folder, shots=2)[2] == first[2]
    assert f"Split read from {folder / 'stored_split.json'}" in capsys.readouterr().out
    assert (folder / "stored_split.json").read_bytes() == before


def test_removed_files_drop_out_and_nothing_else_moves(folder, capsys):
    write_classes(folder)
    first = lists(folder)
    gone = {first[0][0], first[1][3], first[2][5]}
    for path in gone:
        (folder / path).unlink()
    assert lists(folder) == [[path for path in part if path not in gone] for part in first]
    assert "3 pictures of the stored split are not there any more" in capsys.readouterr().out
    for path in gone:
        touch(folder / path)
    assert lists(folder) == first, "a file that comes back has its old part"


def test_added_files_are_reported_and_shared_out(folder, capsys):
    write_classes(folder)
    first = lists(folder)
    for i in range(10, 20):
        touch(folder / f"dog/{i}.jpg")
    write_classes(folder, 10, ("newt",))
    capsys.readouterr()
    second = lists(folder)
    assert "20 pictures are new since the split was stored: 10 to train, 4 to val, 6 to test" in capsys.readouterr().out
    for old, new in zip(first, second, strict=True):
        assert [path for path in new if path in set(old)] == old
    assert [sum(path.startswith("dog/") for path in part) for part in second] == [10, 4, 6]
    assert lists(folder) == second


def test_a_deleted_split_is_made_again_from_what_is_there(folder):
    write_classes(folder)
    first = lists(folder)
    (folder / "stored_split.json").unlink()
    assert lists(folder) == first
    (folder / first[0][0]).unlink()
    (folder / "stored_split.json").unlink()
    assert sum(map(len, lists(folder))) == 39


def test_a_folder_that_cannot_be_written_uses_the_users_cache(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    write_classes(folder)
    import clip_prompts.data.folders.stored_split as module

    write = module.write_text_atomically

    def refuse(path, text):
        if Path(path).parent == folder:
            raise PermissionError(13, "Permission denied")
        write(path, text)

    monkeypatch.setattr(module, "write_text_atomically", refuse)
    first = lists(folder)
    (folder / first[2][0]).unlink()
    assert lists(folder)[0] == first[0] and list((tmp_path / "cache").rglob("stored_split.json"))


@pytest.mark.parametrize(
    "content", ["", "[]", '{"version": 2}', '{"version": 1, "split": {"train": 1}}', "[" * 5000, None]
)
def test_a_broken_stored_split_is_one_line_and_never_replaced(content, folder):
    write_classes(folder)
    lists(folder)
    path = folder / "stored_split.json"
    if content is None:
        stored = json.loads(path.read_text())
        stored["split"]["test"].append(stored["split"]["train"][0])
        content = json.dumps(stored)
    path.write_text(content)
    line = error_of(lambda: lists(folder))
    assert str(path) in line and "delete it to split the pictures again" in line
    assert path.read_text() == content


def test_a_fifo_in_its_place_is_one_line(folder):
    write_classes(folder)
    os.mkfifo(folder / "stored_split.json")
    assert "FIFO" in error_of(lambda: lists(folder))


def test_a_looking_program_stores_nothing(folder):
    from datafiles.state import build

    write_classes(folder)
    data = build("ImageFolder", str(folder))
    assert not (folder / "stored_split.json").exists()
    assert [os.path.relpath(item.impath, folder) for item in data.train_x] == lists(folder)[0]


def test_the_split_of_a_domain_does_not_depend_on_the_others(folder):
    write_domains(folder)
    alone = lists(folder, domains=(("photo",), ("sketch",)))
    (folder / "stored_split.json").unlink()
    both = lists(folder, domains=(("toy", "photo"), ("sketch",)))
    assert [path for path in both[0] if path.startswith("photo")] == alone[0]
    own = lists(folder, domains=(("photo",), ("photo",)))
    assert own[0] == alone[0] and not set(own[0]) & set(own[2])


def test_validation_pictures_of_the_users_train_part_stay_the_same(folder):
    write_parts(folder, ("train", "test"))
    assert not lists(folder)[1] and not (folder / "stored_split.json").exists()
    train, val, _ = lists(folder, val=True)
    assert len(val) == 4 and not set(train) & set(val)
    (folder / train[0]).unlink()
    touch(folder / "train/dog/new.jpg")
    later = lists(folder, val=True)
    assert set(val) <= set(later[1]) and set(train[1:]) <= set(later[0])


FILES = st.lists(st.tuples(st.sampled_from(KEYS), st.integers(0, 25)), max_size=6)


@settings(max_examples=25, deadline=None)
@given(
    counts=st.tuples(st.integers(5, 12), st.integers(5, 12)),
    changes=st.lists(st.tuples(FILES, FILES), min_size=1, max_size=3),
    layout=st.sampled_from(["classes", "parts", "domains", "csv"]),
    shots=st.sampled_from([-1, 1, 4]),
)
def test_a_picture_trained_on_is_never_tested_later(counts, changes, layout, shots):
    """Over random folders, files that come and go, and splits: a picture never changes its side."""
    place = Path(tempfile.mkdtemp())
    try:
        root = place / "pictures"
        inner = {"classes": [""], "csv": [""], "parts": ["train/", "test/"], "domains": ["x/", "y/"]}[layout]
        domains = (("x",), ("x",)) if layout == "domains" else ()

        def add(files):
            for part in inner:
                for key, i in files:
                    touch(root / f"{part}{key}/{i}.jpg")

        add([(key, i) for key, count in zip(KEYS, counts, strict=True) for i in range(count)])
        side: dict[str, str] = {}
        for added, removed in [([], []), *changes]:
            add(added)
            for part in inner:
                for key, i in removed:
                    if i >= 3:  # every class keeps some pictures
                        (root / f"{part}{key}/{i}.jpg").unlink(missing_ok=True)
            if layout == "csv":
                rows = [f"{path.relative_to(root)},{path.parent.name}" for path in sorted(root.rglob("*.jpg"))]
                (root / "annotations.csv").write_text("\n".join(["path,classname", *rows]))
            try:
                found = lists(root, shots, domains, val=True)
            except Exception as error:
                assert "no training image" in str(error) or "no test images" in str(error), error
                continue
            assert not set(found[0] + found[1]) & set(found[2])
            for part, paths in zip(("train", "val", "test"), found, strict=True):
                for path in paths:
                    assert side.setdefault(path, part) == part
    finally:
        shutil.rmtree(place)


def test_other_files_of_the_folder_do_not_matter(folder):
    """The stored split and the few-shot selections are no lists and no classes."""
    write_classes(folder)
    first = lists(folder, shots=1)
    assert sorted(os.listdir(folder))[-2:] == ["split_fewshot", "stored_split.json"]
    assert lists(folder, shots=1) == first
    assert load(folder).num_classes == 4
