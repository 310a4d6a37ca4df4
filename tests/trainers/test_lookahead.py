"""Training on features of images that were encoded some steps ahead."""

import copy
import itertools
import random
import re

import numpy as np
import pytest
import torch
from clip.model import CLIP
from dassl.config import get_cfg_default
from dassl.data import DatasetWrapper
from torch.utils.data import DataLoader, RandomSampler, default_collate
from torchvision import transforms as T

from clip_prompts.encoders.image_encoder import ImageEncoder
from clip_prompts.features import lookahead
from clip_prompts.features.image_features import ImageFeatures
from clip_prompts.features.lookahead import LookaheadLoader, batches_at_once
from tests.trainers.test_features import Images, mean
from trainers.cocoop import CoCoOp


class Drawn(Images):
    """Images that draw from torch's global generator."""

    def __getitem__(self, index):
        return super().__getitem__(index) | {"img": torch.rand(3, 2, 2)}


def drawn(image):
    return torch.rand(3, 2, 2)


def loader(small, batch_size=2, kind="wrapper", **how):
    images = Drawn(small, T.ToTensor())
    if kind == "wrapper":
        images = DatasetWrapper(get_cfg_default(), images.data_source, drawn, is_train=True)
    return DataLoader(images, batch_size=batch_size, sampler=RandomSampler(images), **how)


def collate(items):  # somebody's own
    return default_collate(items)


def facts(batch):
    return batch["index"].tolist(), batch["label"].tolist(), batch["impath"], batch["img"].tolist()


def passed(batches, step=lambda: None):
    """Facts of every batch of a pass, each followed by a training step."""
    found = []
    for batch in batches:
        found.append(facts(batch))
        step()
    return found


HOW = pytest.mark.parametrize(
    "how", ({}, {"kind": "own"}, {"collate_fn": collate}), ids=("usual", "own", "own collate")
)


@HOW
@pytest.mark.parametrize("batches", (1, 3, 1000))
def test_same_batches_in_the_same_order_encoded_together(batches, how, small):
    sizes = []

    def encode(image):
        sizes.append(len(image))
        return mean(image)

    torch.manual_seed(1)
    plain = passed(loader(small, kind=how.get("kind", "wrapper")))
    after = torch.get_rng_state()
    torch.manual_seed(1)
    ahead = LookaheadLoader(loader(small, **how), encode, batches)
    assert len(ahead) == len(plain)
    found = list(ahead)
    assert torch.equal(torch.get_rng_state(), after)  # an epoch draws what it always drew
    assert [facts(batch) for batch in found] == plain
    assert all(torch.allclose(batch["features"], mean(batch["img"])) for batch in found)
    if not how:
        assert sizes[:-1] == [2 * batches] * (len(sizes) - 1) and sum(sizes) == len(ahead.dataset)
        assert len(sizes) == -(-len(plain) // batches)


def draws_torch():
    torch.rand(())


def draws_python():
    random.random()


def draws_numpy():
    np.random.rand()


@HOW
@pytest.mark.parametrize("draw", (draws_torch, draws_python, draws_numpy))
def test_a_step_that_draws_random_numbers_meets_the_same_batches(draw, how, small):
    """From its third step on, a method draws: images that were loaded too early are loaded again."""

    def stepper():
        count = itertools.count()
        return lambda: draw() if next(count) >= 2 else None

    found = []
    for wrap in (lambda inner: inner, lambda inner: LookaheadLoader(inner, mean, 4)):
        torch.manual_seed(1)
        random.seed(1)
        np.random.seed(1)
        found.append(passed(wrap(loader(small, **how)), stepper()))
        found.append((torch.get_rng_state().tolist(), random.getstate(), np.random.get_state()[1].tolist()))
    assert found[:2] == found[2:]


def test_it_passes_for_the_loader(small):
    inner = loader(small)
    ahead = LookaheadLoader(inner, mean, 2)
    assert ahead.batch_size == 2 and ahead.sampler is inner.sampler and ahead.dataset is inner.dataset
    assert copy.copy(ahead).loader is inner
    with pytest.raises(AttributeError):
        ahead.no_such_thing  # noqa: B018
    assert not hasattr(ahead, "before_pass")
    inner.before_pass = None
    ahead.before_pass = print
    assert inner.before_pass is print


def test_small_encoders_get_many_images_large_ones_few():
    def encoder(layers, patch, pixels):
        return ImageEncoder(CLIP(64, pixels, layers, 64, patch, 77, 100, 64, 1, 2).visual)

    cpu, cuda = torch.device("cpu"), torch.device("cuda")
    tiny, large = encoder(1, 8, 32), encoder(1, 16, 224)  # 17 and 197 rows an image
    assert batches_at_once(tiny, cpu, 1) == 256 // 17
    assert [batches_at_once(large, cpu, size) for size in (1, 3, 4, 8, 9)] == [8, 2, 2, 1, 0]
    assert batches_at_once(encoder(1, 16, 336), cpu, 1) == 3  # the encoder takes no more at once
    assert batches_at_once(large, cuda, 1) == 2**14 // 197 and batches_at_once(large, cuda, 4) == 2**14 // 197 // 4
    assert batches_at_once(encoder((1, 1, 1, 1), None, 64), cpu, 1) == 256 // 5  # 2 x 2 cells and their mean
    assert batches_at_once(tiny, torch.device("meta"), 1) == 0


def epochs(text):
    return [[float(x) for x in re.findall(r"loss ([\d.]+)", line)] for line in text.splitlines() if "epoch [" in line]


@pytest.mark.parametrize("workers", (0, 1))
def test_a_run_learns_the_same(workers, run, monkeypatch):
    settings = {"OPTIM__MAX_EPOCH": 2, "DATALOADER__NUM_WORKERS": workers, "OPTIM__LR": 0.1}
    asked = []
    original = LookaheadLoader._encoded
    monkeypatch.setattr(LookaheadLoader, "_encoded", lambda self, x: asked.append(len(x)) or original(self, x))
    assert run("CoCoOp", out="ahead", **settings) == 0
    assert asked and max(asked) > 1
    with_it, count = epochs(run.stdout), len(asked)
    monkeypatch.setattr(lookahead, "ROWS_AT_ONCE", {})
    monkeypatch.setattr(lookahead, "IMAGES_AT_ONCE", {})
    assert run("CoCoOp", out="plain", **settings) == 0
    assert len(asked) == count
    assert len(with_it) == 40 and with_it == [pytest.approx(line, abs=2e-4) for line in epochs(run.stdout)]


@pytest.mark.parametrize("override", ("parse_batch_train", "forward_backward"))
def test_a_method_that_handles_images_itself_finds_them(override, run, monkeypatch):
    shapes, original = set(), getattr(CoCoOp, override)

    def own(self, batch):
        shapes.add(tuple(batch["img"].shape[1:]))
        return original(self, batch)

    monkeypatch.setattr(CoCoOp, override, own)
    assert run("CoCoOp") == 0
    assert shapes == {(3, 32, 32)}


def test_images_of_features_are_not_looked_for_again(run, monkeypatch):
    """FEATURES.TRAIN_VIEWS has encoded them already."""
    monkeypatch.setattr(ImageFeatures, "ahead", lambda *_: pytest.fail("encoded again"))
    assert run("CoCoOp", FEATURES__TRAIN_VIEWS=2) == 0
