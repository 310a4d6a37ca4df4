"""Shapes and its shifted variants: classes, halves, pictures, registration."""

from pathlib import Path

import numpy as np
import pytest
from dassl.data.datasets import DATASET_REGISTRY
from PIL import Image

from clip_prompts.data.rendering.colours import TRAINING_SHADES
from clip_prompts.data.rendering.paper_cutouts import PAINTS, VARIANTS, draw_cutout
from datasets import shapes

CONFIGS = Path(__file__).resolve().parents[2] / "configs" / "datasets"
SHIFTED = ["ShapesSketch", "ShapesNoise", "ShapesInverted", "ShapesBlur"]


@pytest.fixture(scope="session")
def plain(tmp_path_factory):
    """Folder and rows of Shapes, made once."""
    folder = tmp_path_factory.mktemp("shapes")
    return folder, object.__new__(shapes.Shapes).generate(folder)


@pytest.fixture
def few(monkeypatch):
    """Fewer pictures a class; each one is the same as in the full dataset."""
    monkeypatch.setattr(shapes, "IMAGES", {"train": 3, "val": 2, "test": 2})


def test_both_halves_have_all_words_and_no_common_class():
    assert len(shapes.CLASSES) == len(set(shapes.CLASSES)) == 42
    base, new = shapes.CLASSES[:21], shapes.CLASSES[21:]
    for half in (base, new):
        assert {name.split()[0] for name in half} == set(shapes.COLOURS)
        assert {name.split()[1] for name in half} == set(shapes.SHAPES)


@pytest.mark.integration
def test_counts_and_files(plain):
    folder, rows = plain
    for part, count in (("train", 20), ("val", 6), ("test", 24)):
        assert len(rows[part]) == 42 * count
        labels = [label for _, label, _ in rows[part]]
        assert labels == sorted(labels) and all(labels.count(label) == count for label in set(labels))
        assert all(shapes.CLASSES[label] == name for _, label, name in rows[part])
    files = [file for part in rows.values() for file, _, _ in part]
    assert len(set(files)) == len(files) == len(list(folder.rglob("*.png")))
    with Image.open(folder / files[0]) as image:
        assert image.size == (32, 32) and image.mode == "RGB"


def test_no_picture_stands_in_two_parts(plain):
    folder, rows = plain
    contents = [(folder / file).read_bytes() for part in rows.values() for file, _, _ in part]
    assert len(set(contents)) == len(contents)


@pytest.mark.parametrize("name", SHIFTED)
def test_shifted_variants_show_the_test_part_of_shapes(plain, few, name, tmp_path):
    plain_folder, plain_rows = plain
    rows = object.__new__(DATASET_REGISTRY.get(name)).generate(tmp_path)
    assert list(rows) == ["test"] and len(rows["test"]) == 42 * 2
    assert set(rows["test"]) < set(plain_rows["test"])
    for file, _, _ in rows["test"][::7]:
        shifted, original = (np.asarray(Image.open(f / file), dtype=float) for f in (tmp_path, plain_folder))
        assert 3 < np.abs(shifted - original).mean() < 160


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_picture_depends_on_its_own_numbers_only(variant):
    np.random.seed(0)
    before = np.random.get_state()[1].copy()
    first = draw_cutout("red", "star", variant, (2, 5, 1))
    draw_cutout("blue", "cross", variant, (2, 6, 1))
    assert (first == draw_cutout("red", "star", variant, (2, 5, 1))).all()
    assert (first != draw_cutout("red", "star", variant, (2, 5, 2))).any()
    assert (np.random.get_state()[1] == before).all()


@pytest.mark.parametrize("colour", PAINTS)
def test_paints_are_shades_that_training_never_shows(colour):
    """The box of a paint and the box of its training shades do not overlap in saturation or in value."""

    def apart(a, b):
        return a[1] < b[0] or b[1] < a[0]

    painted, trained = PAINTS[colour], TRAINING_SHADES[colour]
    assert apart(painted[1], trained[1]) or apart(painted[2], trained[2])


@pytest.mark.parametrize("name", ["Shapes", *SHIFTED])
def test_built_from_its_config_file(build, few, name):
    file = "shapes" + "".join(f"_{word.lower()}" for word in [name.removeprefix("Shapes")] if word) + ".yaml"
    assert (CONFIGS / file).read_text().split() == ["DATASET:", "NAME:", f'"{name}"']
    data = build(name=name, shots=2, classes="new", seed=1, root="")
    assert data.num_classes == 21 and data.classnames == list(shapes.CLASSES[21:])
    assert len(data.test) == 21 * 2
    if name == "Shapes":
        assert len(data.train_x) == 21 * 2 and len(data.val) == 21 * 2
    else:
        assert not data.val


@pytest.fixture(scope="module")
def backbone():
    from clip.model import build_model

    from clip_prompts.backbones.tiny import tiny_state_dict

    return build_model(tiny_state_dict()).float()


@pytest.mark.integration
@pytest.mark.parametrize("variant", VARIANTS)
def test_zero_shot_is_above_chance_with_room_to_the_top(backbone, variant):
    """The point of the family: the embedded backbone knows the words but has not seen the style."""
    from tiny.evaluation import shapes_accuracy

    lowest = 35 if variant == "plain" else 8  # chance is 2.4
    assert lowest < shapes_accuracy(backbone, variant, shapes.Shapes.template) < 95
