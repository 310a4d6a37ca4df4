import pytest
import torch
from dassl.data import DataManager
from dassl.data.data_manager import build_data_loader
from dassl.data.datasets import Datum
from dassl.utils import ConfigError, ImageReadError
from torchvision.transforms import ToTensor

from tests.engine.stock import read_part, seed


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
    with pytest.raises(ConfigError, match="SeqDomainSampler cannot make a batch of 4 from 18 images"):
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
