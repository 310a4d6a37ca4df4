"""Training images are decoded once, and nothing but the time tells."""

import pickle

import pytest
import torch
from dassl.data import DatasetWrapper
from dassl.data import data_manager as dm
from dassl.data import decoded as module
from dassl.data.decoded import DecodedImages
from dassl.data.transforms import build_transform
from dassl.utils import ImageReadError, MissingFileError, load_image, read_image

from tests.engine.stock import read_part

pytestmark = pytest.mark.integration


@pytest.fixture
def items(pictures):
    return read_part(pictures, "train")


@pytest.fixture
def opened(monkeypatch):
    """Paths that were decoded in this process."""
    paths = []

    def counting(path, as_viewed=False):
        paths.append(path)
        return load_image(path, as_viewed)

    monkeypatch.setattr(module, "load_image", counting)
    return paths


def augmented(make_cfg, data, megabytes, workers, persistent=False, epochs=2):
    """Images of some epochs, with random crops and flips."""
    cfg = make_cfg(
        "INPUT.TRANSFORMS", ("random_resized_crop", "random_flip"), "INPUT.SIZE", (8, 8),
        "DATALOADER.DECODED_MB", megabytes, "DATALOADER.NUM_WORKERS", workers,
        "DATALOADER.PERSISTENT_WORKERS", persistent,
    )  # fmt: skip
    torch.manual_seed(0)
    loader = dm.build_data_loader(cfg, "RandomSampler", data, batch_size=3, tfm=build_transform(cfg))
    return torch.cat([batch["img"] for _ in range(epochs) for batch in loader])


def test_an_image_is_decoded_once_and_the_caller_may_change_it(items, opened):
    path = items[0].impath
    images = DecodedImages(2**20)
    first = images.read(path)
    expected = read_image(path).tobytes()
    first.putpixel((0, 0), (1, 2, 3))
    assert images.read(path).tobytes() == expected
    assert opened == [path]


def test_the_limit_counts_bytes_of_pixels(items, opened):
    one, two = items[0].impath, items[1].impath
    size = read_image(one).width * read_image(one).height * 3
    images = DecodedImages(size)
    for path in (one, two, one, two):
        images.read(path)
    assert opened == [one, two, two]
    DecodedImages(0).fill([(one, False)])
    assert len(opened) == 3


@pytest.mark.parametrize("workers", (0, 2))
def test_batches_are_the_same_with_and_without_memory(make_cfg, items, workers):
    plain = augmented(make_cfg, items, 0, workers)
    assert torch.equal(augmented(make_cfg, items, 512, workers), plain)
    assert plain.unique().numel() > 10


@pytest.mark.parametrize("workers", (0, 2))
def test_this_process_decodes_each_image_once(make_cfg, items, opened, workers):
    """With workers too: they are forked from this process, and find the images decoded."""
    augmented(make_cfg, items, 512, workers, epochs=3)
    assert sorted(opened) == sorted(item.impath for item in items)


def test_workers_that_persist_draw_other_augmentations_after_the_first_epoch(make_cfg, items):
    """They are off by default, because with them a seed would no longer give upstream's batches."""
    plain, persistent = (augmented(make_cfg, items, 512, 2, persistent) for persistent in (False, True))
    half = len(plain) // 2
    assert torch.equal(plain[:half], persistent[:half])
    assert not torch.equal(plain[half:], persistent[half:])


def test_images_that_cannot_be_read_are_left_to_the_loader(items, tmp_path):
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no image")
    images = DecodedImages(2**20)
    images.fill([(path, False) for path in (str(broken), items[0].impath, str(tmp_path / "missing.jpg"))])
    with pytest.raises(ImageReadError, match="broken.jpg"):
        images.read(str(broken))
    with pytest.raises(MissingFileError, match="missing.jpg"):
        images.read(str(tmp_path / "missing.jpg"))


def test_test_images_are_not_kept(make_cfg, items, opened):
    wrapper = DatasetWrapper(make_cfg("DATALOADER.DECODED_MB", 512), items)
    for _ in range(2):
        wrapper[0]
    assert len(opened) == 2


def test_a_spawned_worker_is_not_sent_the_images(items, opened):
    images = DecodedImages(2**20)
    path = items[0].impath
    images.read(path)
    pickle.loads(pickle.dumps(images)).read(path)
    assert opened == [path, path]
