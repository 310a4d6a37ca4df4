"""``Prompt`` in Python: pictures of every kind, other classes, refusals, kept features."""

import json
import re
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from PIL import Image

from clip_prompts import load_prompt
from clip_prompts.artifact import CONFIG, MODEL
from clip_prompts.common.errors import UserError
from tests.fuzz.formats.prompts import sign

from .made import NAMES, made


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return made(tmp_path_factory.mktemp("made") / "prompt")


@pytest.fixture(scope="module")
def prompt(folder):
    return load_prompt(folder)


@pytest.fixture
def picture():
    return Image.fromarray(np.random.default_rng(0).integers(0, 255, (48, 40, 3), np.uint8))


def test_a_picture_may_be_a_path_an_image_an_array_or_a_tensor(prompt, picture, tmp_path):
    picture.save(tmp_path / "a.png")
    array = np.array(picture)
    expected = prompt.predict(picture)
    kinds = [
        tmp_path / "a.png",
        str(tmp_path / "a.png"),
        array,
        torch.from_numpy(array).permute(2, 0, 1),
        prompt.transform(picture),
    ]
    for kind in kinds:
        assert prompt.predict(kind).probabilities == pytest.approx(expected.probabilities, abs=1e-6)
    assert [p.name for p in prompt.predict(kinds)] == [expected.name] * 5
    assert sum(expected.probabilities) == pytest.approx(1) and len(prompt.predict(picture, top=2).names) == 2
    assert len(prompt.predict(torch.stack([prompt.transform(picture)] * 2))) == 2


@pytest.mark.parametrize(
    "wrong, words",
    [
        (torch.zeros(3, 7, 7), "is taken as transformed already"),
        (np.zeros((5, 5, 3)), "An array of float64 (5, 5, 3) is not a picture"),
        ("nowhere.jpg", "nowhere.jpg"),
        ([], "There are no pictures"),
    ],
    ids=["size", "type", "path", "none"],
)
def test_what_is_no_picture(prompt, wrong, words):
    with pytest.raises(UserError, match=re.escape(words)):
        prompt.predict(wrong)


def test_other_class_names(prompt, picture):
    rows = prompt.classifier(["a_cat", "dog"])
    assert rows.shape == (2, 128) and torch.allclose(rows.norm(dim=1), torch.ones(2))
    torch.testing.assert_close(rows, prompt.classifier(["a cat", "dog"]))
    assert set(prompt.predict(picture, names=["cat", "dog"]).names) == {"cat", "dog"}
    torch.testing.assert_close(prompt.classifier(NAMES), prompt.classifier())
    with pytest.raises(UserError, match=re.escape("Class names must be a list. Give ['cat']")):
        prompt.predict(picture, names="cat")  # no classes c, a and t
    with pytest.raises(UserError, match="'cat' and 'Cat' have the same tokens"):
        prompt.classifier(["cat", "Cat"])
    with pytest.raises(UserError, match="class names must be a list of texts"):
        prompt.classifier([])


@pytest.mark.parametrize(
    "method, settings, words",
    [
        ("CoCoOp", {}, "CoCoOp has no matrix of class features: its text features depend on the image"),
        ("DePT", {}, "DePT has no matrix of class features: on the classes of its training a head also classifies"),
        (
            "LinearProbe",
            {},
            "LinearProbe has no matrix of class features: its rows classify features that are not norm",
        ),
    ],
)
def test_methods_say_why_they_have_no_classifier(tmp_path, method, settings, words):
    with pytest.raises(UserError, match=words):
        load_prompt(made(tmp_path, method, **settings)).classifier()


@pytest.mark.parametrize("method, settings", [("CoOp", {"CSC": True}), ("LinearProbe", {})])
def test_what_was_learned_for_some_classes_takes_no_others(tmp_path, method, settings):
    prompt = load_prompt(made(tmp_path, method, **settings))
    with pytest.raises(UserError, match="works only for the 3 classes that it was trained on"):
        prompt.predict(Image.new("RGB", (8, 8)), names=["cat", "dog"])


def test_a_head_is_used_on_its_own_classes_only(tmp_path):
    prompt = load_prompt(made(tmp_path, "DePT"))
    assert prompt.classifier(["cat", "dog"]).shape == (2, 128)
    with pytest.raises(UserError, match="a head also classifies"):
        prompt.classifier(NAMES[:2])


def test_loading_and_predicting_draw_no_random_numbers(folder, picture):
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    load_prompt(folder).predict(picture)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("method", ["CoOp", "MaPLe"])
def test_features_of_the_same_files_are_computed_once(tmp_path, method, monkeypatch, picture):
    """Also if the image encoder is prompted; two prompts do not share them then."""
    for i in range(40):
        picture.rotate(i).save(tmp_path / f"{i}.png")
    (tmp_path / "41.png").write_bytes(b"no picture")
    paths = [*sorted(tmp_path.glob("*.png"))]
    prompt = load_prompt(made(tmp_path / "prompt", method))
    first, lost = prompt.try_features(paths)
    assert [paths[i].name for i in lost] == ["41.png"] and first.isnan().any(dim=1).sum() == 1

    decoded = []
    monkeypatch.setattr(
        type(prompt._pictures), "tensor", lambda self, path: decoded.append(path) or self.read(str(path))
    )
    again, lost = load_prompt(tmp_path / "prompt").try_features(paths)
    assert decoded == [paths[i] for i in lost], "only the one that cannot be read is looked at again"
    torch.testing.assert_close(first, again, equal_nan=True)


def test_nearest_words_of_untrained_words_are_the_words(tmp_path):
    prompt = load_prompt(made(tmp_path, "KgCoOp"))
    assert [words[0][0] for words in prompt.nearest_words(2)["context"]] == ["a", "photo", "of", "a"]
    with pytest.raises(UserError, match="VPT learns no vectors in place of words"):
        load_prompt(made(tmp_path / "vpt", "VPT")).nearest_words()


def test_a_setting_that_no_tensor_explains_takes_no_memory(tmp_path):
    folder = made(tmp_path, "MaPLe")
    config = json.loads((folder / CONFIG).read_text())
    config["prompt"]["settings"]["PROMPT_DEPTH"] = 900
    sign(folder, config, (folder / MODEL).read_bytes())
    with pytest.raises(UserError, match="TRAINER.MAPLE.PROMPT_DEPTH is 900, and none of its tensors is so large"):
        load_prompt(folder)


def test_other_class_names_can_be_saved_unless_there_is_a_head(folder, tmp_path):
    saved = load_prompt(load_prompt(folder, ["cat", "dog"]).save(tmp_path / "saved"))
    assert saved.classes == ["cat", "dog"] and saved.config["results"] == []
    torch.testing.assert_close(saved.classifier(), load_prompt(folder).classifier(["cat", "dog"]))
    with pytest.raises(UserError, match="DePT has a head for its own classes"):
        load_prompt(made(tmp_path / "dept", "DePT"), ["cat", "dog"]).save(tmp_path / "other")


def test_threads_leave_standard_output_and_get_their_own_classes(folder):
    prompt, console = load_prompt(folder), sys.stdout
    pictures = np.zeros((8, 32, 32, 3), np.uint8)

    def names_of(i: int) -> set[str]:
        return set(prompt.predict(pictures, names=[f"a{i % 3}", "b"])[0].names)

    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(names_of, range(30)))
    assert found == [{f"a{i % 3}", "b"} for i in range(30)]
    assert sys.stdout is console


@pytest.mark.parametrize("kind", ["turned", "16 bits", "floats"])
def test_an_open_image_is_read_as_its_file(tmp_path, kind, picture):
    """Turned as a viewer shows it where the training did so, and of any depth."""
    folder = made(tmp_path / "prompt")
    config = json.loads((folder / CONFIG).read_text())
    config["preprocess"]["as_viewed"] = True
    sign(folder, config, (folder / MODEL).read_bytes())
    grey = np.array(picture.convert("L"))
    if kind == "turned":
        exif = Image.Exif()
        exif[0x0112] = 6
        picture.save(tmp_path / "a.png", exif=exif)
    elif kind == "16 bits":
        Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / "a.png")
    else:
        Image.fromarray(grey.astype(np.float32) / 255).save(tmp_path / "a.tif")
    (file,) = tmp_path.glob("a.*")
    prompt = load_prompt(folder)
    with Image.open(file) as image:
        assert prompt.predict(image).probabilities == prompt.predict(file).probabilities
