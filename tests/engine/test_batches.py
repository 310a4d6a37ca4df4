"""A batch's images go through the pipeline as one image does, to the bit, and draw the same."""

import random

import pytest
import torch
import torchvision.transforms as T
from dassl.data import DatasetWrapper
from dassl.data import data_manager as dm
from dassl.data.transforms import build_transform
from dassl.data.transforms.batches import transform_all
from PIL import Image

from tests.engine.stock import read_part

PIPELINES = {
    "as few-shot runs have it": ["random_resized_crop", "random_flip", "normalize"],
    "no normalization": ["random_flip"],
    "a step between": ["cutout", "normalize"],
    "steps behind": ["normalize", "gaussian_noise", "instance_norm"],
    "drawn from Python": ["random_translation", "randaugment", "normalize"],
}


@pytest.fixture
def items(pictures):
    return read_part(pictures, "train")


def seed():
    torch.manual_seed(5)
    random.seed(5)


def assert_same(wrapper, indices):
    seed()
    one_by_one = [wrapper[index] for index in indices]
    states = torch.get_rng_state(), random.getstate()
    seed()
    together = wrapper.__getitems__(indices)
    assert torch.equal(torch.get_rng_state(), states[0]) and random.getstate() == states[1]
    assert len(together) == len(one_by_one)
    for ours, theirs in zip(together, one_by_one, strict=True):
        assert list(ours) == list(theirs)
        for name, value in theirs.items():
            if isinstance(value, torch.Tensor):
                assert ours[name].dtype == value.dtype and torch.equal(ours[name], value), name
            elif isinstance(value, list):
                assert all(torch.equal(a, b) for a, b in zip(ours[name], value, strict=True)), name
            else:
                assert ours[name] == value, name


@pytest.mark.parametrize("choices", PIPELINES.values(), ids=PIPELINES)
@pytest.mark.parametrize("is_train", (True, False))
def test_items_of_a_batch(is_train, choices, items, make_cfg):
    cfg = make_cfg("INPUT.TRANSFORMS", tuple(choices), "INPUT.SIZE", (8, 8))
    wrapper = DatasetWrapper(cfg, items, build_transform(cfg, is_train), is_train=is_train)
    assert_same(wrapper, [0])
    assert_same(wrapper, [3, 1, 1, 0, 2])


def test_the_end_of_the_pipeline_is_called_once_for_a_batch(items, make_cfg, monkeypatch):
    shapes = []
    real = T.Normalize.forward
    monkeypatch.setattr(T.Normalize, "forward", lambda self, image: shapes.append(image.shape) or real(self, image))
    cfg = make_cfg("INPUT.TRANSFORMS", ("random_flip", "normalize"), "INPUT.SIZE", (8, 8))
    DatasetWrapper(cfg, items, build_transform(cfg), is_train=True).__getitems__([0, 1, 2])
    assert shapes == [(3, 3, 8, 8)]


@pytest.mark.parametrize("settings", (["DATALOADER.K_TRANSFORMS", 2], ["DATALOADER.RETURN_IMG0", True]), ids=str)
def test_items_with_more_than_one_view(settings, items, make_cfg):
    cfg = make_cfg("INPUT.TRANSFORMS", ("random_flip", "normalize"), "INPUT.SIZE", (8, 8), *settings)
    assert_same(DatasetWrapper(cfg, items, build_transform(cfg), is_train=True), [0, 1, 2])
    assert_same(DatasetWrapper(cfg, items, [build_transform(cfg), T.ToTensor()], is_train=True), [0, 1])


def test_a_wrapper_without_a_transform_gives_the_images(items, make_cfg):
    found = DatasetWrapper(make_cfg(), items).__getitems__([0, 1])
    assert all(isinstance(item["img"], Image.Image) for item in found)


@pytest.mark.parametrize("name", ("__getitem__", "_transform_image"))
def test_a_subclass_that_makes_items_itself_is_asked(name, items, make_cfg):
    asked = []

    def own(self, *args):
        asked.append(name)
        return getattr(DatasetWrapper, name)(self, *args)

    cfg = make_cfg("INPUT.SIZE", (8, 8))
    wrapper = type("Own", (DatasetWrapper,), {name: own})(cfg, items, build_transform(cfg), is_train=True)
    assert len(wrapper.__getitems__([0, 1, 2])) == 3 and asked == [name] * 3


def test_a_loader_asks_for_the_batch(items, make_cfg, monkeypatch):
    cfg = make_cfg("INPUT.SIZE", (8, 8))
    asked = []
    real = DatasetWrapper.__getitems__
    monkeypatch.setattr(DatasetWrapper, "__getitems__", lambda self, at: asked.append(len(at)) or real(self, at))
    loader = dm.build_data_loader(cfg, "SequentialSampler", items, batch_size=4, tfm=build_transform(cfg))
    batch = next(iter(loader))
    assert asked == [4] and batch["img"].shape == (4, 3, 8, 8)
    assert torch.equal(batch["index"], torch.arange(4))


def picture(width, mode="RGB"):
    return Image.effect_noise((width, 6), 80).convert(mode)


@pytest.mark.parametrize(
    "images",
    ([picture(6), picture(8)], [picture(6, "L"), picture(6, "L")], [picture(6), picture(6, "L")], []),
    ids=("sizes", "grey", "modes", "none"),
)
def test_images_that_make_no_batch(images):
    transform = T.Compose([T.ToTensor(), T.Normalize([0.5], [0.2])])
    for ours, image in zip(transform_all(transform, iter(images)), images, strict=True):
        assert torch.equal(ours, transform(image))


def test_any_callable_is_called():
    images = [picture(6), picture(6)]
    assert transform_all(lambda image: image.size, images) == [(6, 6), (6, 6)]
    composed = type("Mine", (T.Compose,), {"__call__": lambda self, image: "mine"})([T.ToTensor()])
    assert transform_all(composed, images) == ["mine", "mine"]
