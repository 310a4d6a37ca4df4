import numpy as np
import pytest
import torch
from dassl.data import DataManager, DatasetWrapper
from dassl.data.data_manager import build_data_loader
from dassl.data.datasets import DatasetBase, Datum
from dassl.utils import ConfigError, ImageReadError
from PIL import Image
from torchvision.transforms import ToTensor

from tests.engine.stock import read_part, seed


def test_item_holds_the_contract_keys_in_order(make_cfg, pictures):
    data = read_part(pictures, "train")
    item = DatasetWrapper(make_cfg(), data, transform=ToTensor())[7]
    assert list(item) == ["label", "domain", "impath", "index", "img"]
    assert (item["label"], item["domain"], item["impath"], item["index"]) == (1, 1, data[7].impath, 7)
    expected = np.asarray(Image.open(data[7].impath)).transpose(2, 0, 1) / 255
    np.testing.assert_allclose(item["img"], expected, atol=1e-6)


def test_several_transforms_make_several_views_and_img0_comes_last(make_cfg, pictures):
    cfg = make_cfg("DATALOADER.RETURN_IMG0", True, "DATALOADER.K_TRANSFORMS", 2)
    data = read_part(pictures, "train")
    item = DatasetWrapper(cfg, data, transform=[ToTensor(), lambda img: "second"], is_train=True)[0]
    assert list(item)[-3:] == ["img", "img2", "img0"]
    assert len(item["img"]) == 2 and item["img2"] == ["second", "second"]
    assert item["img0"].shape == (3, 8, 8) and item["img0"].min() < 0, "normalised like the other images"
    tested = DatasetWrapper(cfg, data, transform=ToTensor(), is_train=False)[0]
    assert isinstance(tested["img"], torch.Tensor), "one view in testing"


def test_without_transform(make_cfg, pictures):
    data = read_part(pictures, "train")
    assert isinstance(DatasetWrapper(make_cfg(), data)[0]["img"], Image.Image)
    with pytest.raises(ValueError, match="Cannot augment the image 2 times because transform is None"):
        DatasetWrapper(make_cfg("DATALOADER.K_TRANSFORMS", 2), data, is_train=True)


def failure(loader):
    """The message only: an error that is kept keeps the loader, whose late end costs seconds."""
    try:
        list(loader)
    except ImageReadError as error:
        return str(error)


@pytest.mark.parametrize("workers", [0, 1])
def test_truncated_image_is_one_line_with_its_path(make_cfg, pictures, tmp_path, workers):
    broken = tmp_path / "broken.png"
    broken.write_bytes((pictures / "train/red/0.png").read_bytes()[:100])
    loader = build_data_loader(
        make_cfg("DATALOADER.NUM_WORKERS", workers), data_source=[Datum(str(broken))], tfm=ToTensor(), is_train=False
    )
    line = failure(loader)
    assert str(broken) in line and "\n" not in line


@pytest.mark.parametrize(
    "images, batch_size, is_train, sizes",
    [(5, 4, True, [4]), (4, 4, True, [4]), (3, 4, True, [3]), (5, 4, False, [4, 1])],
)
def test_incomplete_last_batch_is_dropped_in_training_unless_alone(
    make_cfg, pictures, images, batch_size, is_train, sizes
):
    loader = build_data_loader(
        make_cfg(),
        "RandomSampler",
        read_part(pictures, "train")[:images],
        batch_size=batch_size,
        tfm=ToTensor(),
        is_train=is_train,
    )
    batches = list(loader)
    assert [len(batch["img"]) for batch in batches] == sizes
    assert batches[0]["label"].dtype == batches[0]["domain"].dtype == batches[0]["index"].dtype == torch.int64
    assert isinstance(batches[0]["impath"][0], str)


def test_shuffling_takes_torchs_default_draws(make_cfg, pictures):
    """The order is the one of a bare torch loader, so a seed means the same batches as upstream."""
    data = read_part(pictures, "train")
    loader = build_data_loader(make_cfg(), "RandomSampler", data, batch_size=4, tfm=ToTensor())
    seed(3)
    orders = [torch.cat([batch["index"] for batch in loader]).tolist() for _ in range(2)]
    bare = torch.utils.data.DataLoader(range(len(data)), batch_size=4, shuffle=True, drop_last=True)
    seed(3)
    assert orders == [torch.cat(list(bare)).tolist() for _ in range(2)]
    assert orders[0] != orders[1]


def test_augmentation_leaves_the_shuffling_alone(make_cfg, pictures):
    """Policies draw from Python's generator; flip and crop draw from torch's, as upstream does."""

    def shuffles(*names):
        cfg = make_cfg("INPUT.TRANSFORMS", names)
        loader = DataManager(cfg).train_loader_x
        seed(3)
        return [torch.cat([batch["index"] for batch in loader]).tolist() for _ in range(3)]

    plain = shuffles("normalize")
    assert shuffles("imagenet_policy", "randaugment", "randaugment_fixmatch", "cutout") == plain
    assert shuffles("random_flip") != plain


def test_empty_lists_and_loaders(make_cfg, pictures):
    with pytest.raises(ConfigError, match="the list of images is empty"):
        build_data_loader(make_cfg(), data_source=[], tfm=ToTensor())
    lonely = [Datum(item.impath, domain=int(n == 0)) for n, item in enumerate(read_part(pictures, "train"))]
    with pytest.raises(ConfigError, match="SeqDomainSampler makes no batch of 4 from 18 images"):
        build_data_loader(make_cfg(), "SeqDomainSampler", lonely, batch_size=4, tfm=ToTensor())


def test_manager_builds_all_loaders_and_prints_the_summary(make_cfg, capsys):
    manager = DataManager(make_cfg("DATASET.SOURCE_DOMAINS", ["a", "b"]))
    assert len(manager.train_loader_x) == 4 and len(manager.val_loader) == 4 and len(manager.test_loader) == 4
    assert manager.train_loader_u is None
    assert (manager.num_classes, manager.num_source_domains) == (3, 2)
    assert manager.lab2cname == {0: "red", 1: "green", 2: "blue"}
    printed = capsys.readouterr().out
    rows = [line.split(None, 1) for line in printed.split("-\n")[1].splitlines() if not line.startswith("-")]
    assert rows == [
        ["Dataset", "StockPictures"],
        ["Source", "('a', 'b')"],
        ["#", "classes  3"],
        ["#", "train_x  18"],
        ["#", "val      18"],
        ["#", "test     18"],
    ]


def test_manager_takes_custom_transforms_and_wrapper(make_cfg, capsys):
    class Wrapper(DatasetWrapper):
        pass

    first, second = ToTensor(), ToTensor()
    manager = DataManager(make_cfg(), custom_tfm_train=[first, second], custom_tfm_test=first, dataset_wrapper=Wrapper)
    assert manager.train_loader_x.dataset.transform == [first, second]
    assert manager.test_loader.dataset.transform is first and isinstance(manager.test_loader.dataset, Wrapper)
    printed = capsys.readouterr().out
    assert "* Using custom transform for training\n* Using custom transform for testing\n" in printed
    assert "Building transform" not in printed


def test_unlabelled_loader_follows_its_own_settings_only_when_told(make_cfg):
    opts = ("DATASET.NAME", "StockUnlabelled", "DATALOADER.TRAIN_U.BATCH_SIZE", 6)
    assert DataManager(make_cfg(*opts)).train_loader_u.batch_size == 4
    assert DataManager(make_cfg(*opts, "DATALOADER.TRAIN_U.SAME_AS_X", False)).train_loader_u.batch_size == 6


def test_dataset_without_validation_images(make_cfg):
    manager = DataManager(make_cfg("DATASET.NAME", "StockUnlabelled"))
    assert manager.val_loader is None and isinstance(manager.dataset, DatasetBase)
