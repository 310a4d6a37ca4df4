"""The embedded weights: OpenAI's structure, the size limit, the fill of unused tokens, real skill."""

import hashlib
import re

import numpy as np
import pytest
import torch
from clip import tokenize
from clip.model import build_model

from clip_prompts.backbones.tiny import VOCABULARY, WEIGHTS, tiny_state_dict
from clip_prompts.common.errors import UserError
from tiny import evaluation
from tiny.captions import all_words
from tiny.concepts import CONCEPTS
from tiny.pool import HELD_OUT_FONTS, Pool, _render_chunk
from tiny.vocabulary import Vocabulary

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def model():
    return build_model(tiny_state_dict()).float()


def test_builds_with_openais_code(model):
    assert model.visual.input_resolution == 32
    assert model.context_length == 77
    assert model.token_embedding.weight.shape[0] == VOCABULARY
    assert 1 < model.logit_scale.exp() <= 100.1  # half precision rounds 100


def test_file_is_at_most_six_megabytes():
    assert WEIGHTS.stat().st_size <= 6_000_000


def test_is_the_same_every_time_and_leaves_the_global_stream_alone():
    before = torch.random.get_rng_state()
    first, second = tiny_state_dict(), tiny_state_dict()
    assert torch.equal(before, torch.random.get_rng_state())
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) and first[name].dtype == torch.float32 for name in first)
    first["token_embedding.weight"].zero_()
    assert second["token_embedding.weight"].any()


def test_only_tokens_outside_the_captions_are_filled():
    from safetensors.torch import load_file

    words = Vocabulary(all_words())
    stored = load_file(WEIGHTS)
    assert stored["token_embedding.ids"].tolist() == words.ids
    embedding = tiny_state_dict()["token_embedding.weight"]
    assert torch.equal(embedding[words.ids], stored["token_embedding.rows"].float())
    filled = torch.ones(VOCABULARY, dtype=torch.bool)
    filled[words.ids] = False
    assert embedding[filled].std().item() == pytest.approx(0.02, rel=0.01)
    assert not torch.equal(embedding[filled][0], embedding[filled][1])


@pytest.mark.parametrize("content", [None, b"", b"not a checkpoint at all"])
def test_missing_or_broken_file_is_one_line(tmp_path, content):
    path = tmp_path / "tiny.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match="train_tiny.py") as caught:
        tiny_state_dict(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_padding_to_77_changes_nothing(model):
    tokens = tokenize(["a photo of a red circle.", "seven"])
    with torch.no_grad():
        torch.testing.assert_close(model.encode_text(tokens), model.encode_text(tokens[:, :10]), rtol=1e-4, atol=1e-5)


def test_knows_held_out_fonts_and_scenes(model):
    held_out = Pool(*_render_chunk((90_000, 600), (7, 1), HELD_OUT_FONTS))
    result = evaluation.rendered_accuracy(model, held_out)
    chance = 100 / len(CONCEPTS)
    assert result[f"any concept ({len(CONCEPTS)})"] > 20 * chance
    assert result["digit (10)"] > 45


def test_zero_shot_on_real_digits_is_above_chance_with_room_to_learn(model):
    from datasets.digits import Digits

    assert 30 < evaluation.digits_accuracy(model, Digits.template) < 90  # chance is 10


def test_prompt_words_matter(model):
    """The same class under two prompts must give clearly different text features."""
    plain = evaluation.class_features(model, ["red circle"])
    other = evaluation.class_features(model, ["red circle"], "a blurry sketch of a tilted {}.")
    assert (plain @ other.t()).item() < 0.98


def test_model_card_is_about_this_file():
    card = (WEIGHTS.parent / "MODEL_CARD.md").read_text()
    assert hashlib.sha256(WEIGHTS.read_bytes()).hexdigest() in card
    assert f"{WEIGHTS.stat().st_size:,} bytes" in card


def test_model_cards_recipe_is_the_files_own():
    import json

    from safetensors import safe_open

    with safe_open(WEIGHTS, "np") as file:
        recipe = json.loads(file.metadata()["recipe"])
    card = (WEIGHTS.parent / "MODEL_CARD.md").read_text()
    flags = dict(re.findall(r"--(steps|seed|pictures) (\d+)", card))
    assert {name: int(value) for name, value in flags.items()} == {name: recipe[name] for name in flags}
    assert set(flags) == {"steps", "seed", "pictures"}
    assert np.isfinite(recipe["lr"])
