"""Records of images: what the constructor of Datum would make, without asking for each image on its own."""

import hashlib
import os
import pickle

import pytest
from dassl.data.datasets import Datum

from clip_prompts.data.items import hash_lists, known_item, to_items


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images"
    for name in ("a/x.jpg", "a/y.jpg", "b/c/z.jpg", "top.jpg"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


ROWS = [("b/c/z.jpg", 1, "two"), ("a/y.jpg", 0, "one"), ("top.jpg", 1, "two"), ("a/x.jpg", 0, "one")]


def test_a_known_item_is_what_the_constructor_makes(images):
    path = str(images / "top.jpg")
    made, known = Datum(impath=path, label=3, domain=2, classname="x"), known_item(path, 3, 2, "x")
    assert type(known) is Datum
    assert vars(known) == vars(made)
    assert pickle.dumps(known) == pickle.dumps(made)


def test_items_stand_in_the_order_of_the_rows_with_the_constructors_paths(images):
    items = to_items(ROWS, str(images), "List")
    assert [(i.impath, i.label, i.domain, i.classname) for i in items] == [
        (os.path.join(str(images), path), label, 0, name) for path, label, name in ROWS
    ]


def test_the_number_of_questions_to_the_file_system_is_that_of_folders(pets, build, monkeypatch):
    """500 images in one folder: a few files, not an image each, and not a second time for base classes."""
    asked = []

    def isfile(path):
        asked.append(path)
        return original(path)

    original = os.path.isfile
    monkeypatch.setattr(os.path, "isfile", isfile)
    assert len(build(shots=2, classes="base").test) == 100
    assert not [path for path in asked if str(path).endswith(".jpg")]
    assert len(asked) < 10


def test_an_image_that_the_listing_spells_otherwise_is_asked_for(images, monkeypatch):
    """As on systems where X.JPG and x.jpg are one file."""
    monkeypatch.setattr(os.path, "isfile", lambda path: str(path).endswith(os.path.join("a", "X.JPG")) or None)
    (item,) = to_items([("a/X.JPG", 0, "one")], str(images), "List")
    assert item.impath.endswith("X.JPG")


@pytest.mark.parametrize("name", ["a/nobody.jpg", "nowhere/x.jpg", "a", "b/c"])
def test_what_is_no_file_is_missing(images, user_error, name):
    user_error(lambda: to_items([*ROWS, (name, 0, "one")], str(images), "List"), f"missing: {images}/{name}.")


def test_links_count_as_what_they_lead_to(images, user_error):
    (images / "a" / "link.jpg").symlink_to(images / "top.jpg")
    (images / "a" / "broken.jpg").symlink_to(images / "gone.jpg")
    assert len(to_items([("a/link.jpg", 0, "one")], str(images), "List")) == 1
    user_error(lambda: to_items([("a/broken.jpg", 0, "one")], str(images), "List"), "broken.jpg")


@pytest.mark.parametrize("path", ["../x.jpg", "a/../../x.jpg", "/etc/passwd", "a\\..\\..\\x.jpg"])
def test_a_path_that_leads_outside_is_named_with_its_place(images, user_error, path):
    user_error(lambda: to_items([*ROWS, (path, 0, "one")], str(images), "List"), "List, entry 5", path, "outside")


def test_a_name_with_two_dots_does_not_lead_outside(images):
    (images / "a" / "x..1.jpg").touch()
    assert len(to_items([("a/x..1.jpg", 0, "one")], str(images), "List")) == 1


def test_the_hash_is_that_of_the_lists_wherever_they_lie(images, tmp_path):
    train, test = to_items(ROWS[:2], str(images), "List"), to_items(ROWS[2:3], str(images), "List")
    text = "2\nb/c/z.jpg\t1\ttwo\na/y.jpg\t0\tone\n1\ntop.jpg\t1\ttwo\n"
    assert hash_lists((train, test), str(images)) == hashlib.sha256(text.encode()).hexdigest()


def test_names_that_are_not_utf8_can_be_hashed(images):
    name = os.fsdecode(b"a/caf\xe9.jpg")
    try:
        (images / name).touch()
    except (OSError, UnicodeError):
        pytest.skip("this file system takes only UTF-8")
    items = to_items([(name, 0, "one")], str(images), "List")
    assert hash_lists((items,), str(images)) == hashlib.sha256(b"1\na/caf\xe9.jpg\t0\tone\n").hexdigest()
