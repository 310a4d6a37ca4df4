"""The training program: loss, batches, reproducibility, file."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from clip_prompts.backbones.tiny import tiny_state_dict
from tiny import training
from tiny.captions import all_words
from tiny.pool import TRAIN_FONTS, Pool, _render_chunk
from tiny.vocabulary import Vocabulary

pytestmark = pytest.mark.integration

SHORT = training.Recipe(steps=3, batch=16, pictures=40, width=64, vision_layers=1, text_layers=1, warmup=2)


@pytest.fixture(scope="module")
def words():
    return Vocabulary(all_words())


@pytest.fixture(scope="module")
def pool():
    return Pool(*_render_chunk((0, SHORT.pictures), (1, 0), TRAIN_FONTS))


def test_loss_with_one_right_answer_is_clips_loss():
    logits = torch.randn(6, 6, generator=torch.Generator().manual_seed(0))
    right = torch.arange(6)
    expected = (F.cross_entropy(logits, right) + F.cross_entropy(logits.t(), right)) / 2
    assert training.contrastive_loss(logits, torch.eye(6, dtype=torch.bool)).item() == pytest.approx(expected.item())


def test_loss_shares_the_target_between_all_right_answers():
    positive = torch.tensor([[True, True, False], [False, True, False], [False, True, True]])
    logits = torch.zeros(3, 3)
    assert training.contrastive_loss(logits, positive).item() == pytest.approx(np.log(3))
    # Large logits exactly on the right answers leave the entropy of the shared targets.
    loss = training.contrastive_loss(torch.where(positive, 50.0, -50.0), positive).item()
    by_image, by_text = 2 * np.log(2) / 3, np.log(3) / 3
    assert loss == pytest.approx((by_image + by_text) / 2, rel=1e-4)


def test_texts_encoded_in_groups_equal_texts_encoded_together(words):
    model = training.build_model(SHORT, len(words.ids)).eval()
    tokens = words.encode(["seven", "a photo of a red circle on a blue background.", "a star", "the letter b"])
    expected = F.normalize(model.encode_text(tokens), dim=-1)
    torch.testing.assert_close(training.encode_texts(model, tokens), expected, rtol=1e-4, atol=1e-5)


def test_augmentation_only_shifts():
    pictures = np.zeros((50, 3, 32, 32), dtype=np.uint8)
    pictures[:, :, 16, 16] = 255
    moved = training.augment(pictures, np.random.default_rng(0))
    assert moved.shape == pictures.shape and (moved.sum(axis=(2, 3)) == 255).all()
    places = {tuple(np.argwhere(picture[0])[0] - 16) for picture in moved}
    assert len(places) > 10 and np.abs(list(places)).max() == 2


def test_learning_rate_rises_then_falls():
    recipe = training.Recipe(steps=100, warmup=10, lr=1.0)
    rates = [training._learning_rate(step, recipe) for step in range(100)]
    assert rates[0] == pytest.approx(0.1) and rates[9] == 1.0
    assert all(a >= b for a, b in zip(rates[9:], rates[10:], strict=False))
    assert rates[-1] == pytest.approx(0.01, abs=0.001)


def test_every_picture_is_seen_once_per_pass(pool):
    rows = training._batches(pool, SHORT, np.random.default_rng(0))
    first_pass = np.concatenate([next(rows) for _ in range(len(pool) // SHORT.batch)])
    assert len(set(first_pass.tolist())) == len(first_pass)


def test_same_seed_same_file_and_the_file_loads(pool, words, tmp_path):
    paths = [tmp_path / name for name in ("a", "b", "c")]
    recipes = [SHORT, SHORT, training.Recipe(**{**vars(SHORT), "seed": 2})]
    digests = [
        training.pack(training.train(pool, words, recipe), words, recipe, path)
        for recipe, path in zip(recipes, paths, strict=True)
    ]
    assert digests[0] == digests[1] != digests[2]
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert sorted(tmp_path.iterdir()) == paths  # no temporary file is left

    from clip.model import build_model

    assert build_model(tiny_state_dict(paths[0])).visual.proj.shape == (64, 64)


def test_training_learns(pool, words):
    losses = []

    def first_loss(model):
        with torch.no_grad():
            images = F.normalize(model.encode_image(training.normalise(torch.from_numpy(pool.pictures))), dim=-1)
            from tiny.concepts import CONCEPTS

            names = [CONCEPTS[code[0]].name for code in pool.codes]
            texts = training.encode_texts(model, words.encode(names))
            same = torch.from_numpy(pool.codes[:, :1] == pool.codes[:, 0])
            return training.contrastive_loss(10 * images @ texts.t(), same).item()

    recipe = training.Recipe(**{**vars(SHORT), "steps": 40, "warmup": 5})
    training.train(pool, words, recipe, lambda step, model: losses.append(first_loss(model)) if step in (1, 40) else 0)
    assert losses[1] < losses[0] - 0.3


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch, words):
    path = tmp_path / "kept"
    path.write_bytes(b"old")
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError(28, "disk full")))
    with pytest.raises(OSError, match="disk full"):
        training.pack(training.build_model(SHORT, len(words.ids)), words, SHORT, path)
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]
