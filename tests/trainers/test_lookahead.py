"""Training on features of images that were encoded some steps ahead."""

import copy
import re

import pytest
import torch
from clip.model import CLIP
from dassl.config import get_cfg_default
from dassl.data import DatasetWrapper
from torch.utils.data import BatchSampler, DataLoader, RandomSampler, default_collate
from torchvision import transforms as T

from clip_prompts.clip.trainer import PromptTrainer
from clip_prompts.encoders.image_encoder import ImageEncoder
from clip_prompts.features import lookahead
from clip_prompts.features.lookahead import LookaheadLoader, _can_load_together, images_at_once
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


@pytest.mark.parametrize("how", ({}, {"kind": "own"}, {"collate_fn": collate}), ids=("usual", "own", "own collate"))
@pytest.mark.parametrize("batches", (1, 3, 1000))
def test_same_batches_in_the_same_order_encoded_together(batches, how, small):
    sizes = []

    def encode(image):
        assert not torch.is_grad_enabled()
        sizes.append(len(image))
        return mean(image)

    torch.manual_seed(1)
    plain = list(loader(small, kind=how.get("kind", "wrapper")))
    after = torch.get_rng_state()
    torch.manual_seed(1)
    ahead = LookaheadLoader(loader(small, **how), encode, batches)
    assert len(ahead) == len(plain)
    found = list(ahead)
    assert torch.equal(torch.get_rng_state(), after)  # an epoch draws what it always drew
    assert [batch["index"].tolist() for batch in found] == [batch["index"].tolist() for batch in plain]
    for ours, theirs in zip(found, plain, strict=True):
        assert torch.allclose(ours["img"], mean(theirs["img"]))
        assert list(ours) == list(theirs) and ours["impath"] == theirs["impath"]
        assert torch.equal(ours["label"], theirs["label"])
    images = len(ahead.dataset)
    assert sizes[:-1] == [2 * batches] * (len(sizes) - 1) and sum(sizes) == images
    assert len(sizes) == -(-len(plain) // batches)


def test_images_are_loaded_together_only_where_that_draws_the_same(small):
    class Own(BatchSampler):
        pass

    images = loader(small).dataset
    assert _can_load_together(loader(small))
    for other in (
        loader(small, num_workers=1),
        loader(small, collate_fn=collate),
        loader(small, kind="own"),
        DataLoader(images, batch_sampler=Own(RandomSampler(images), 2, False)),
    ):
        assert not _can_load_together(other)


def test_images_that_are_loaded_together_are_asked_for_at_once(small, monkeypatch):
    asked, real = [], DatasetWrapper.__getitems__
    monkeypatch.setattr(DatasetWrapper, "__getitems__", lambda self, at: asked.append(len(at)) or real(self, at))
    inner = loader(small)
    list(LookaheadLoader(inner, mean, 2))
    images = len(inner.dataset)
    assert asked == [4] * (images // 4) + [images % 4] * (images % 4 > 0)


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
    def visual(layers, patch, pixels):
        return ImageEncoder(CLIP(64, pixels, layers, 64, patch, 77, 100, 64, 1, 2).visual)

    cpu, cuda = torch.device("cpu"), torch.device("cuda")
    tiny, large = visual(1, 8, 32), visual(1, 16, 224)  # 17 and 197 rows an image
    assert images_at_once(tiny, cpu) == 256 // 17 and images_at_once(large, cpu) == 1
    assert images_at_once(large, cuda) == 2**14 // 197
    assert images_at_once(visual((1, 1, 1, 1), None, 64), cpu) == 256 // 5  # 2 x 2 cells and their mean
    assert images_at_once(tiny, torch.device("meta")) == 1


def epochs(text):
    return [[float(x) for x in re.findall(r"loss ([\d.]+)", line)] for line in text.splitlines() if "epoch [" in line]


@pytest.mark.parametrize("workers", (0, 1))
def test_a_run_learns_the_same(workers, run, monkeypatch):
    settings = {"OPTIM__MAX_EPOCH": 2, "DATALOADER__NUM_WORKERS": workers, "OPTIM__LR": 0.1}
    asked = []
    original = PromptTrainer._encode_ahead
    monkeypatch.setattr(PromptTrainer, "_encode_ahead", lambda self, x: asked.append(len(x)) or original(self, x))
    assert run("CoCoOp", out="ahead", **settings) == 0
    assert asked and max(asked) > 1
    with_it, count = epochs(run.stdout), len(asked)
    monkeypatch.setattr(lookahead, "ROWS_AT_ONCE", {})
    assert run("CoCoOp", out="plain", **settings) == 0
    assert len(asked) == count
    assert len(with_it) == 40 and with_it == [pytest.approx(line, abs=2e-4) for line in epochs(run.stdout)]


@pytest.mark.parametrize("override", ("loss", "parse_batch_train", "forward_backward"))
def test_a_method_that_handles_images_itself_is_given_images(override, run, monkeypatch):
    shapes = set()

    def own(self, *args):
        image = args[0]["img"] if isinstance(args[0], dict) else args[0]
        shapes.add(tuple(image.shape[1:]))
        return getattr(PromptTrainer, override)(self, *args)

    monkeypatch.setattr(CoCoOp, override, own)
    assert run("CoCoOp") == 0
    assert shapes == {(3, 32, 32)}


def test_images_of_features_are_not_looked_for_again(run, monkeypatch):
    """FEATURES.TRAIN_VIEWS has encoded them already."""
    monkeypatch.setattr(PromptTrainer, "_encode_ahead", lambda self, image: pytest.fail("encoded again"))
    assert run("CoCoOp", FEATURES__TRAIN_VIEWS=2) == 0
