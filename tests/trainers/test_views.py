"""Training on features of random views (FEATURES.TRAIN_VIEWS)."""

import random
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from dassl.data.datasets import Datum
from torch.utils.data import DataLoader, RandomSampler
from torchvision import transforms as T

from clip_prompts.features.cache import FeatureFile
from clip_prompts.features.views import view_loader
from tests.trainers.test_features import Images, key, mean

VIEWS = 3
CROPS = T.Compose([T.RandomResizedCrop(2), T.RandomHorizontalFlip()])


class Noisy(Images):
    """Images whose transform draws from all three global generators."""

    def __getitem__(self, index):
        noise = torch.rand(1).item() + np.random.rand() + random.random()
        return super().__getitem__(index) | {"img": torch.full((3, 2, 2), 10.0 * index + noise)}


def build(small, folder, encode=mean, workers=0):
    images = Noisy(small, CROPS)
    loader = DataLoader(images, batch_size=4, sampler=RandomSampler(images), drop_last=True, num_workers=workers)
    file = FeatureFile(folder, key(images, views=VIEWS), VIEWS * len(images))
    return loader, view_loader(loader, encode, file, VIEWS, batch_size=16)


def test_views_differ_and_are_the_same_in_every_run(small, tmp_path):
    _, first = build(small, tmp_path / "a")
    _, second = build(small, tmp_path / "b", workers=2)
    features = first.dataset.features
    assert features.shape == (VIEWS, len(first.dataset), 3)
    assert torch.equal(features, second.dataset.features)
    assert len(features[:, :, 0].unique()) == features[:, :, 0].numel()
    assert torch.equal(features[:, :, 0].div(10).floor(), torch.arange(features.shape[1]).expand(VIEWS, -1).float())


def test_views_are_the_same_on_every_machine_and_others_for_other_images(small, tmp_path):
    """They are drawn from the images' names: wherever these lie, and whatever else the file's key says."""
    (_, here), (_, other) = build(small, tmp_path / "a"), build(small, tmp_path / "c")
    moved, renamed = Noisy(small, CROPS), Noisy(small, CROPS)
    for images, suffix in ((moved, ""), (renamed, ".new")):
        files = [tmp_path / f"{Path(item.impath).name}{suffix}" for item in images.data_source]
        for file in files:
            file.touch()
        images.data_source = [Datum(str(file), label) for label, file in enumerate(files)]
    made = []
    for images in (moved, renamed):
        file = FeatureFile(tmp_path / "b", f"key {len(made)}", VIEWS * len(images))
        made.append(view_loader(DataLoader(images, batch_size=4), mean, file, VIEWS, batch_size=16).dataset.features)
    assert torch.equal(here.dataset.features, other.dataset.features)
    assert torch.equal(here.dataset.features, made[0])
    assert not torch.equal(made[0], made[1])


def test_they_are_encoded_once(small, tmp_path):
    _, first = build(small, tmp_path)
    _, second = build(small, tmp_path, encode=None)  # nothing left to encode
    assert torch.equal(first.dataset.features, second.dataset.features)


def test_the_runs_generators_are_left_alone(small, tmp_path):
    def states():
        return torch.get_rng_state().tolist(), random.getstate(), np.random.get_state()[1].tolist()

    torch.manual_seed(1)
    before = states()
    build(small, tmp_path)
    assert states() == before


def test_batches_are_as_the_loaders_and_the_view_changes(small, tmp_path):
    loader, features = build(small, tmp_path)
    assert len(features) == len(loader)
    seen = set()
    for _ in range(8):
        for batch in features:
            assert batch["label"].tolist() == batch["index"].tolist() and len(batch["impath"]) == 4
            assert torch.equal(batch["img"][:, 0].div(10).floor().long(), batch["index"])
            seen |= set(batch["img"][:, 0].tolist())
    assert len(seen) > 2 * len(loader.dataset)


def test_a_run_trains_on_views_and_a_second_run_reads_them(run, tmp_path):
    settings = {"FEATURES__TRAIN_VIEWS": 4, "FEATURES__DIR": tmp_path, "OPTIM__MAX_EPOCH": 2, "OPTIM__LR": 0.1}
    settings["DATALOADER__TRAIN_X__BATCH_SIZE"] = 5
    losses = []
    for out in ("first", "second"):
        assert run("CoOp", out=out, **settings) == 0
        assert ("Image features of 80 images kept" in run.stdout) == (out == "first")
        losses.append(re.findall(r"loss (\S+) ", run.stdout))
    assert losses[0] == losses[1] and len(losses[0]) == 8


def test_a_negative_number_is_refused(run):
    assert run("CoOp", FEATURES__TRAIN_VIEWS=-1) == 2
    assert "FEATURES.TRAIN_VIEWS -1" in run.err


def test_several_views_at_once_are_refused(run):
    assert run("CoOp", FEATURES__TRAIN_VIEWS=2, DATALOADER__K_TRANSFORMS=2) == 2
    assert "K_TRANSFORMS 1" in run.err


@pytest.mark.parametrize("trainer", ("CoOp", "CoCoOp"))
def test_training_without_views_never_asks_for_features(trainer, run, tmp_path):
    assert run(trainer, FEATURES__DIR=tmp_path, FEATURES__CACHE=False) == 0
    assert not list(tmp_path.glob("*.safetensors"))
