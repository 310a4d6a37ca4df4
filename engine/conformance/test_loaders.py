"""Section 1.3 and 5.3: DataManager, DatasetWrapper and loaders."""

import re

import pytest
import torch
from dassl import data
from dassl.data import DataManager, DatasetWrapper, data_manager
from dassl.data.data_manager import build_data_loader
from dassl.data.datasets import DATASET_REGISTRY
from PIL import Image
from tabulate import tabulate

from . import tiny
from .support import or_user_error


def manager(*opts, **arguments):
    return DataManager(tiny.make_cfg(*opts), **arguments)


def train_items():
    return tiny.read_part(tiny.pictures(), "train", ("plain", "dark"))


def wrapper(*opts, transform=None, is_train=False):
    return DatasetWrapper(tiny.make_cfg(*opts), train_items(), transform=transform, is_train=is_train)


def to_tensor(image):
    from torchvision.transforms.functional import to_tensor

    return to_tensor(image)


def test_manager_values():
    """The dataset, four loaders with their batch sizes and transforms, and facts of the dataset."""
    assert data_manager.DataManager is data.DataManager and data_manager.DatasetWrapper is data.DatasetWrapper
    made = manager()
    assert type(made.dataset).__name__ == "ConformancePictures"
    assert [len(made.train_loader_x), len(made.train_loader_u), len(made.val_loader), len(made.test_loader)] == [
        4,
        2,
        2,
        2,
    ]
    assert (made.num_classes, made.num_source_domains) == (3, 2)
    assert made.lab2cname == made.dataset.lab2cname
    train, test = made.train_loader_x.dataset, made.test_loader.dataset
    assert (train.is_train, test.is_train) == (True, False)
    assert type(train.transform.transforms[1]).__name__ == "RandomHorizontalFlip"
    assert made.train_loader_u.dataset.transform is train.transform


def test_optional_loaders():
    """val_loader and train_loader_u are None where the dataset has no such images."""
    kind = tiny.ConformancePictures

    class ConformanceBare(kind):
        def __init__(self, cfg):
            super().__init__(cfg)
            self._val, self._train_u = None, []

    if "ConformanceBare" not in DATASET_REGISTRY.registered_names():
        DATASET_REGISTRY.register(ConformanceBare)
    made = manager("DATASET.NAME", "ConformanceBare")
    assert made.val_loader is None and made.train_loader_u is None


def test_unlabelled_loader():
    """SAME_AS_X copies the four values of TRAIN_X; otherwise TRAIN_U's own count."""
    assert manager().train_loader_u.batch_size == 6
    own = manager("DATALOADER.TRAIN_U.SAME_AS_X", False, "DATALOADER.TRAIN_U.BATCH_SIZE", 4,
                  "DATALOADER.TRAIN_U.SAMPLER", "SequentialSampler")  # fmt: skip
    assert (own.train_loader_u.batch_size, type(own.train_loader_u.sampler).__name__) == (4, "SequentialSampler")


def test_custom_transforms(capsys):
    """Custom transforms and a custom wrapper replace the stock ones, and a line says so."""

    class Wrapper(DatasetWrapper):
        pass

    capsys.readouterr()
    made = manager(custom_tfm_train=[to_tensor, to_tensor], custom_tfm_test=to_tensor, dataset_wrapper=Wrapper)
    text = capsys.readouterr()
    assert {"* Using custom transform for training", "* Using custom transform for testing"} <= set(
        text.out.splitlines()
    )
    assert isinstance(made.test_loader.dataset, Wrapper) and made.test_loader.dataset.transform is to_tensor
    assert {"img", "img2"} <= set(next(iter(made.train_loader_x)))


def test_summary(capsys):
    """tabulate's table of two columns without headers, in this order, if VERBOSE."""
    manager()
    text = capsys.readouterr()
    table = tabulate([
        ["Dataset", "ConformancePictures"], ["Source", ("plain", "dark")], ["Target", ("pale",)], ["# classes", "3"],
        ["# train_x", "24"], ["# train_u", "12"], ["# val", "6"], ["# test", "6"],
    ])  # fmt: skip
    assert table in text.out, text.out
    capsys.readouterr()
    manager("VERBOSE", False)
    text = capsys.readouterr()
    assert "# classes" not in text.out


def test_thousands(capsys):
    """Numbers have thousands separators."""
    made = manager()
    made.dataset._train_x = list(range(1234))
    capsys.readouterr()
    made.show_dataset_summary(tiny.make_cfg())
    text = capsys.readouterr()
    assert any(line.split() == ["#", "train_x", "1,234"] for line in text.out.splitlines()), text.out


# Batches


def test_wrapper_values():
    """The attributes of a wrapper; _transform_image gives one view, or a list of k_tfm."""
    made = wrapper("DATALOADER.K_TRANSFORMS", 2, "DATALOADER.RETURN_IMG0", True, transform=to_tensor, is_train=True)
    assert (made.k_tfm, made.is_train, made.return_img0, made.transform) == (2, True, True, to_tensor)
    assert (len(made), len(made.data_source), made.cfg.DATALOADER.K_TRANSFORMS) == (24, 24, 2)

    image = Image.new("RGB", (20, 20))
    assert tuple(made.to_tensor(image).shape) == (3, 16, 16)
    assert [tuple(view.shape) for view in made._transform_image(to_tensor, image)] == [(3, 20, 20)] * 2
    single = wrapper(transform=to_tensor, is_train=True)
    assert (single.k_tfm, tuple(single._transform_image(to_tensor, image).shape)) == (1, (3, 20, 20))


def test_keys_of_an_item():
    """label, domain, impath, index, img, with a list of transforms img2, img3, ..., and img0 last if RETURN_IMG0."""
    made = wrapper("DATALOADER.RETURN_IMG0", True, transform=(to_tensor, to_tensor, to_tensor))
    item = made[13]
    assert list(item) == ["label", "domain", "impath", "index", "img", "img2", "img3", "img0"]
    source = made.data_source[13]
    assert [item[k] for k in ("label", "domain", "impath", "index")] == [source.label, source.domain, source.impath, 13]


def test_collated():
    """After collation label, domain and index are int64 tensors, impath a list of str, img a float tensor."""
    batch = next(iter(manager().test_loader))
    for key in ("label", "domain", "index"):
        assert (batch[key].dtype, tuple(batch[key].shape)) == (torch.int64, (5,))
    assert isinstance(batch["impath"], list) and isinstance(batch["impath"][0], str)
    assert (batch["img"].dtype, tuple(batch["img"].shape)) == (torch.float32, (5, 3, 16, 16))


def test_several_views():
    """K_TRANSFORMS > 1 counts in training only: each img is a list of K; without a transform it is a ValueError."""
    opts = ("DATALOADER.K_TRANSFORMS", 3)
    item = wrapper(*opts, transform=[to_tensor, to_tensor], is_train=True)[0]
    assert (len(item["img"]), len(item["img2"])) == (3, 3)
    assert wrapper(*opts, transform=to_tensor)[0]["img"].dim() == 3
    with pytest.raises(ValueError, match=re.escape("Cannot augment the image 3 times because transform is None")):
        wrapper(*opts, is_train=True)


def test_without_transform():
    """transform None: img is the PIL image, which the default collate refuses with TypeError."""
    assert isinstance(wrapper()[0]["img"], Image.Image)
    loader = build_data_loader(tiny.make_cfg(), data_source=train_items(), batch_size=2, is_train=False)
    with pytest.raises(TypeError):
        next(iter(loader))


def test_original_image():
    """img0: Resize(SIZE), ToTensor, and Normalize when "normalize" is in INPUT.TRANSFORMS; in test too."""
    opts = ("DATALOADER.RETURN_IMG0", True, "INPUT.SIZE", (12, 8))
    plain = wrapper(*opts, "INPUT.TRANSFORMS", (), transform=to_tensor)[0]["img0"]
    normed = wrapper(*opts, transform=to_tensor)[0]["img0"]
    assert tuple(plain.shape) == (3, 12, 8)
    mean, std = (torch.tensor(v)[:, None, None] for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    assert torch.allclose(normed, (plain - mean) / std, atol=1e-5)


def test_last_batch():
    """drop_last only in training and when there are at least batch_size images: a smaller set gives one short batch."""

    def sizes(count, is_train):
        loader = build_data_loader(
            tiny.make_cfg(), data_source=train_items()[:count], batch_size=6, tfm=to_tensor, is_train=is_train
        )
        return [len(batch["label"]) for batch in loader]

    assert [sizes(n, True) for n in (4, 6, 8)] == [[4], [6], [6]]
    assert sizes(8, False) == [6, 2]


def test_empty_loader():
    """A loader without a batch is an AssertionError."""
    with pytest.raises(or_user_error(AssertionError)):
        build_data_loader(tiny.make_cfg(), data_source=[], batch_size=2, tfm=to_tensor)


def test_loader_arguments():
    """num_workers from the config, no pinned memory without CUDA, no generator, no persistent workers."""
    loader = build_data_loader(tiny.make_cfg("DATALOADER.NUM_WORKERS", 3), data_source=train_items(), tfm=to_tensor)
    assert (loader.num_workers, loader.pin_memory, loader.persistent_workers) == (3, False, False)
    assert loader.generator is None and loader.worker_init_fn is None


def test_shuffling():
    """Training shuffles by torch's global generator: a seed determines the batches."""
    loader = manager().train_loader_x
    orders = []
    for _ in range(2):
        torch.manual_seed(7)
        orders.append([i for batch in loader for i in batch["index"].tolist()])
    torch.manual_seed(7)
    torch.empty((), dtype=torch.int64).random_()  # the loader's seed for workers
    inner = torch.Generator()
    inner.manual_seed(int(torch.empty((), dtype=torch.int64).random_()))
    expected = torch.randperm(24, generator=inner).tolist()
    assert orders == [expected, expected]
