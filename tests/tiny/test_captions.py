"""Captions are true, use known words only, and fit exactly the pictures that they describe."""

import numpy as np
import pytest
import torch
from clip import tokenize

from clip_prompts.data.rendering.glyphs import TEXT_FONTS
from tiny.captions import all_words, fits, make_caption
from tiny.concepts import ATTRIBUTES, COLUMN, CONCEPTS, VALUES
from tiny.scenes import Scene, sample_scene
from tiny.vocabulary import Vocabulary


@pytest.fixture(scope="module")
def words():
    return Vocabulary(all_words())


@pytest.fixture(scope="module")
def samples():
    rng = np.random.default_rng(5)
    codes = [sample_scene(rng, TEXT_FONTS).codes() for _ in range(400)]
    return codes, [make_caption(code, rng) for code in codes]


def test_captions_say_what_they_state_and_nothing_else(samples):
    for code, (caption, stated) in zip(*samples, strict=True):
        spoken = caption.replace(".", " ").replace(",", " ").split()
        assert CONCEPTS[code[0]].name in caption
        for name in ATTRIBUTES[1:]:
            value = VALUES[name][code[COLUMN[name]]]
            if stated[COLUMN[name]]:
                assert value and value in spoken
        unstated = {
            word
            for name in ("size", "fill", "form", "tilt", "medium", "condition", "case")
            for word in VALUES[name]
            if word and not (stated[COLUMN[name]] and VALUES[name][code[COLUMN[name]]] == word)
        }
        assert not unstated & set(spoken)


def test_captions_range_from_bare_names_to_full_sentences(samples):
    counts = [stated.sum() for _, (_, stated) in zip(*samples, strict=True)]
    assert min(counts) == 1 and max(counts) >= 5
    assert any("a photo of" in caption for caption, _ in samples[1])


def test_every_attribute_is_stated_now_and_then(samples):
    assert np.any([stated for _, stated in samples[1]], axis=0).all()


def test_compact_numbers_are_openais_tokens(samples, words):
    captions = [caption for caption, _ in samples[1]]
    compact = words.encode(captions)
    expected = tokenize(captions)
    for row, (caption, numbers) in enumerate(zip(captions, expected, strict=True)):
        length = int(numbers.argmax()) + 1
        assert words.openai_ids(caption) == numbers[:length].tolist()
        assert [words.ids[i] for i in compact[row, :length].tolist()] == numbers[:length].tolist()
        assert not compact[row, length:].any()
    # The text encoder finds the end by the highest number.
    assert torch.equal(compact.argmax(1), expected.argmax(1))


def test_class_names_of_the_embedded_datasets_are_known_words(words):
    from datasets.digits import NAMES, Digits
    from datasets.shapes import CLASSES, Shapes

    known = set(words.ids)
    for names, template in ((NAMES, Digits.template), (CLASSES, Shapes.template)):
        for name in names:
            tokens = tokenize(template.format(name))[0]
            assert set(tokens[: tokens.argmax() + 1].tolist()) <= known


def test_fits_compares_stated_attributes_only():
    circle = next(i for i, c in enumerate(CONCEPTS) if c.name == "circle")
    square = next(i for i, c in enumerate(CONCEPTS) if c.name == "square")
    scenes = [Scene(circle, colour="red"), Scene(circle, colour="blue"), Scene(square, colour="red")]
    codes = np.stack([scene.codes() for scene in scenes])
    stated = np.zeros_like(codes, dtype=bool)
    stated[:, COLUMN["concept"]] = True
    stated[1, COLUMN["colour"]] = True  # "circle", "blue circle", "square"
    assert fits(codes, codes, stated).tolist() == [[True, False, False], [True, True, False], [False, False, True]]


def test_every_caption_fits_its_own_picture(samples):
    codes = np.stack(samples[0])
    stated = np.stack([stated for _, stated in samples[1]])
    assert fits(codes, codes, stated).diagonal().all()
