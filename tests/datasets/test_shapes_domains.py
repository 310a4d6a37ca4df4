"""ShapesDomains: what each choice of domains trains and tests on."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from dassl.data.datasets import build_dataset
from PIL import Image

from datasets import shapes_domains
from datasets.shapes import COLOURS, SHAPES

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Folder of the pictures, which are made once."""
    return tmp_path_factory.mktemp("root")


@pytest.fixture
def load(make_cfg, monkeypatch, root):
    """Build it with two, one and one picture of each colour; further keys of DATASET as keywords."""
    monkeypatch.setattr(shapes_domains, "IMAGES", {"train": 2, "val": 1, "test": 1})

    def call(source=(), target=(), seed=1, **keys):
        cfg = make_cfg(name="ShapesDomains", root=root, seed=seed)
        cfg.DATASET.update({"SOURCE_DOMAINS": source, "TARGET_DOMAINS": target, **keys})
        return build_dataset(cfg)

    return call


def domains_of(items):
    """(domain, part) of the file and domain label -> number of items."""
    return Counter((*Path(i.impath).parts[-3:-1], i.domain) for i in items)


def test_source_and_target(load):
    dataset = load(("noise", "clean"), ("sketch",))
    assert dataset.classnames == list(SHAPES)
    assert domains_of(dataset.train_x) == {("noise", "train", 0): 84, ("clean", "train", 1): 84}
    assert domains_of(dataset.val) == {("noise", "val", 0): 42, ("clean", "val", 1): 42}
    assert domains_of(dataset.test) == {("sketch", "test", 0): 42}
    assert domains_of(dataset.train_u) == {("sketch", "train", 0): 84}
    assert all(Path(i.impath).name.startswith(i.classname) for i in (*dataset.train_x, *dataset.test))
    colours = Counter(Path(i.impath).stem.split("_")[2] for i in dataset.train_x)
    assert colours == {colour: 28 for colour in COLOURS}


def test_few_labels_of_one_domain(load):
    dataset = load(("blur",), NUM_LABELED=21)
    assert domains_of(dataset.train_x) == {("blur", "train", 0): 21}
    assert Counter(i.label for i in dataset.train_x) == {label: 3 for label in range(7)}
    assert domains_of(dataset.train_u) == {("blur", "train", 0): 63}
    assert domains_of(dataset.test) == {("blur", "test", 0): 42}, "without a target, the source is tested"
    assert not {i.impath for i in dataset.train_x} & {i.impath for i in dataset.train_u}


def test_all_domains_where_none_is_named(load):
    dataset = load()
    assert domains_of(dataset.train_x) == {(d, "train", n): 84 for n, d in enumerate(shapes_domains.DOMAINS)}
    assert domains_of(dataset.test) == {(d, "test", n): 42 for n, d in enumerate(shapes_domains.DOMAINS)}
    assert dataset.train_u is None


def test_the_choice_of_unlabelled_images_can_be_changed(load):
    rest = load(("clean",), ("sketch",), NUM_SHOTS=1, UNLABELED="rest").train_u
    assert domains_of(rest) == {("clean", "train", 0): 77}
    assert domains_of(load(("clean",), ("clean",), UNLABELED="target").train_u) == {("clean", "train", 0): 84}


def test_an_unknown_domain(load, user_error):
    user_error(load, "Unknown domain of ShapesDomains 'skech'", "Did you mean 'sketch'?", source=("skech",))


def test_pictures_are_all_different_scenes(load):
    items = load().test
    with Image.open(items[0].impath) as image:
        assert image.size == (32, 32) and image.mode == "RGB"
    files = [Path(i.impath) for i in items]
    assert len({f.read_bytes() for f in files}) == len(files)
    by_domain = {d: np.asarray(Image.open(files[n * 42]), dtype=float) for n, d in enumerate(shapes_domains.DOMAINS)}
    inverted = by_domain["inverted"].mean(axis=-1)
    assert np.corrcoef(by_domain["clean"].mean(axis=-1).ravel(), inverted.ravel())[0, 1] > -0.9, "not the same scene"
