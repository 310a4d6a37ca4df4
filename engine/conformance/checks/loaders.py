"""Section 1.3 and 5.3: DataManager, DatasetWrapper and loaders."""

from .. import tiny
from ..checking import check, equal, printed, raises

WRAPPER = "dassl.data.DatasetWrapper."
MANAGER = "dassl.data.DataManager."


def manager(*opts, **arguments):
    from dassl.data import DataManager

    return DataManager(tiny.make_cfg(*opts), **arguments)


def train_items():
    return tiny.read_part(tiny.pictures(), "train", ("plain", "dark"))


def wrapper(*opts, transform=None, is_train=False):
    from dassl.data import DatasetWrapper

    return DatasetWrapper(tiny.make_cfg(*opts), train_items(), transform=transform, is_train=is_train)


def to_tensor(image):
    from torchvision.transforms.functional import to_tensor

    return to_tensor(image)


@check(
    "dassl.data.DataManager", MANAGER + "dataset", MANAGER + "train_loader_x", MANAGER + "train_loader_u",
    MANAGER + "val_loader", MANAGER + "test_loader", MANAGER + "num_classes", MANAGER + "num_source_domains",
    MANAGER + "lab2cname", "dassl.data.data_manager.DataManager", "dassl.data.data_manager.DatasetWrapper",
)  # fmt: skip
def manager_values():
    """The dataset, four loaders with their batch sizes and transforms, and facts of the dataset."""
    from dassl import data
    from dassl.data import data_manager

    assert data_manager.DataManager is data.DataManager and data_manager.DatasetWrapper is data.DatasetWrapper
    made = manager()
    equal(type(made.dataset).__name__, "ConformancePictures")
    equal(
        [len(made.train_loader_x), len(made.train_loader_u), len(made.val_loader), len(made.test_loader)], [4, 2, 2, 2]
    )
    equal((made.num_classes, made.num_source_domains), (3, 2))
    equal(made.lab2cname, made.dataset.lab2cname)
    train, test = made.train_loader_x.dataset, made.test_loader.dataset
    equal((train.is_train, test.is_train), (True, False))
    assert type(train.transform.transforms[1]).__name__ == "RandomHorizontalFlip"
    assert made.train_loader_u.dataset.transform is train.transform


@check(MANAGER + "val_loader", MANAGER + "train_loader_u")
def optional_loaders():
    """val_loader and train_loader_u are None where the dataset has no such images."""
    from dassl.data.datasets import DATASET_REGISTRY

    kind = tiny.registered().ConformancePictures

    class ConformanceBare(kind):
        def __init__(self, cfg):
            super().__init__(cfg)
            self._val, self._train_u = None, []

    if "ConformanceBare" not in DATASET_REGISTRY.registered_names():
        DATASET_REGISTRY.register(ConformanceBare)
    made = manager("DATASET.NAME", "ConformanceBare")
    assert made.val_loader is None and made.train_loader_u is None


@check("cfg.DATALOADER.TRAIN_U.SAME_AS_X", "cfg.DATALOADER.TRAIN_U.BATCH_SIZE", "cfg.DATALOADER.TRAIN_U.SAMPLER")
def unlabelled_loader():
    """SAME_AS_X copies the four values of TRAIN_X; otherwise TRAIN_U's own count."""
    equal(manager().train_loader_u.batch_size, 6)
    own = manager("DATALOADER.TRAIN_U.SAME_AS_X", False, "DATALOADER.TRAIN_U.BATCH_SIZE", 4,
                  "DATALOADER.TRAIN_U.SAMPLER", "SequentialSampler")  # fmt: skip
    equal((own.train_loader_u.batch_size, type(own.train_loader_u.sampler).__name__), (4, "SequentialSampler"))


@check(
    "dassl.data.DataManager", "line:* Using custom transform for training", "line:* Using custom transform for testing"
)
def custom_transforms():
    """Custom transforms, and a wrapper of one's own, take the place of the stock ones; a line tells so."""
    from dassl.data import DatasetWrapper

    class Wrapper(DatasetWrapper):
        pass

    with printed() as text:
        made = manager(custom_tfm_train=[to_tensor, to_tensor], custom_tfm_test=to_tensor, dataset_wrapper=Wrapper)
    assert {"* Using custom transform for training", "* Using custom transform for testing"} <= set(text.lines)
    assert isinstance(made.test_loader.dataset, Wrapper) and made.test_loader.dataset.transform is to_tensor
    assert {"img", "img2"} <= set(next(iter(made.train_loader_x)))


@check(
    MANAGER + "show_dataset_summary", "summary:Dataset", "summary:Source", "summary:Target", "summary:# classes",
    "summary:# train_x", "summary:# train_u", "summary:# val", "summary:# test", "cfg.VERBOSE",
)  # fmt: skip
def summary():
    """tabulate's table of two columns without headers, in this order, if VERBOSE."""
    from tabulate import tabulate

    with printed() as text:
        manager()
    table = tabulate([
        ["Dataset", "ConformancePictures"], ["Source", ("plain", "dark")], ["Target", ("pale",)], ["# classes", "3"],
        ["# train_x", "24"], ["# train_u", "12"], ["# val", "6"], ["# test", "6"],
    ])  # fmt: skip
    assert table in text.out, text.out
    with printed() as text:
        manager("VERBOSE", False)
    assert "# classes" not in text.out


@check("summary:# train_x")
def thousands():
    """Numbers have thousands separators."""
    made = manager()
    made.dataset._train_x = list(range(1234))
    with printed() as text:
        made.show_dataset_summary(tiny.make_cfg())
    assert any(line.split() == ["#", "train_x", "1,234"] for line in text.lines), text.out


# Batches


@check(
    WRAPPER + "cfg", WRAPPER + "data_source", WRAPPER + "transform", WRAPPER + "is_train", WRAPPER + "k_tfm",
    WRAPPER + "return_img0", WRAPPER + "to_tensor", WRAPPER + "_transform_image", "dassl.data.DatasetWrapper",
)  # fmt: skip
def wrapper_values():
    """The attributes of a wrapper; _transform_image gives one view, or a list of k_tfm."""
    made = wrapper("DATALOADER.K_TRANSFORMS", 2, "DATALOADER.RETURN_IMG0", True, transform=to_tensor, is_train=True)
    equal((made.k_tfm, made.is_train, made.return_img0, made.transform), (2, True, True, to_tensor))
    equal((len(made), len(made.data_source), made.cfg.DATALOADER.K_TRANSFORMS), (24, 24, 2))
    from PIL import Image

    image = Image.new("RGB", (20, 20))
    equal(tuple(made.to_tensor(image).shape), (3, 16, 16))
    equal([tuple(view.shape) for view in made._transform_image(to_tensor, image)], [(3, 20, 20)] * 2)
    single = wrapper(transform=to_tensor, is_train=True)
    equal((single.k_tfm, tuple(single._transform_image(to_tensor, image).shape)), (1, (3, 20, 20)))


@check("batch:label", "batch:domain", "batch:impath", "batch:index", "batch:img", "batch:img2", "batch:img3",
       "batch:img0", "cfg.DATALOADER.RETURN_IMG0")  # fmt: skip
def keys_of_an_item():
    """label, domain, impath, index, img, with a list of transforms img2, img3, ..., and img0 last if RETURN_IMG0."""
    made = wrapper("DATALOADER.RETURN_IMG0", True, transform=(to_tensor, to_tensor, to_tensor))
    item = made[13]
    equal(list(item), ["label", "domain", "impath", "index", "img", "img2", "img3", "img0"])
    source = made.data_source[13]
    equal([item[k] for k in ("label", "domain", "impath", "index")], [source.label, source.domain, source.impath, 13])


@check("batch:label", "batch:domain", "batch:impath", "batch:index", "batch:img")
def collated():
    """After collation label, domain and index are int64 tensors, impath a list of str, img a float tensor."""
    import torch

    batch = next(iter(manager().test_loader))
    for key in ("label", "domain", "index"):
        equal((batch[key].dtype, tuple(batch[key].shape)), (torch.int64, (5,)))
    assert isinstance(batch["impath"], list) and isinstance(batch["impath"][0], str)
    equal((batch["img"].dtype, tuple(batch["img"].shape)), (torch.float32, (5, 3, 16, 16)))


@check("cfg.DATALOADER.K_TRANSFORMS", WRAPPER + "k_tfm",
       "message:Cannot augment the image {K} times because transform is None")  # fmt: skip
def several_views():
    """K_TRANSFORMS > 1 counts in training only: each img is a list of K; without a transform it is a ValueError."""
    opts = ("DATALOADER.K_TRANSFORMS", 3)
    equal(len(wrapper(*opts, transform=to_tensor, is_train=True)[0]["img"]), 3)
    equal(wrapper(*opts, transform=to_tensor)[0]["img"].dim(), 3)
    with raises(ValueError, "Cannot augment the image 3 times because transform is None"):
        wrapper(*opts, is_train=True)


@check("cfg.INPUT.NO_TRANSFORM", "batch:img")
def without_transform():
    """transform None: img is the PIL image, which the default collate refuses with TypeError."""
    from dassl.data.data_manager import build_data_loader
    from PIL import Image

    assert isinstance(wrapper()[0]["img"], Image.Image)
    loader = build_data_loader(tiny.make_cfg(), data_source=train_items(), batch_size=2, is_train=False)
    with raises(TypeError):
        next(iter(loader))


@check("batch:img0")
def original_image():
    """img0: Resize(SIZE), ToTensor, and Normalize when "normalize" is in INPUT.TRANSFORMS; in test too."""
    import torch

    opts = ("DATALOADER.RETURN_IMG0", True, "INPUT.SIZE", (12, 8))
    plain = wrapper(*opts, "INPUT.TRANSFORMS", (), transform=to_tensor)[0]["img0"]
    normed = wrapper(*opts, transform=to_tensor)[0]["img0"]
    equal(tuple(plain.shape), (3, 12, 8))
    mean, std = (torch.tensor(v)[:, None, None] for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    assert torch.allclose(normed, (plain - mean) / std, atol=1e-5)


@check("dassl.data.data_manager.build_data_loader")
def last_batch():
    """drop_last only in training and when there are at least batch_size images: a smaller set gives one short batch."""
    from dassl.data.data_manager import build_data_loader

    def sizes(count, is_train):
        loader = build_data_loader(
            tiny.make_cfg(), data_source=train_items()[:count], batch_size=6, tfm=to_tensor, is_train=is_train
        )
        return [len(batch["label"]) for batch in loader]

    equal([sizes(n, True) for n in (4, 6, 8)], [[4], [6], [6]])
    equal(sizes(8, False), [6, 2])


@check("dassl.data.data_manager.build_data_loader")
def empty_loader():
    """A loader without a batch is an AssertionError."""
    from dassl.data.data_manager import build_data_loader

    with raises(AssertionError, chosen="errors-for-users"):
        build_data_loader(tiny.make_cfg(), data_source=[], batch_size=2, tfm=to_tensor)


@check("dassl.data.data_manager.build_data_loader", "cfg.DATALOADER.NUM_WORKERS")
def loader_arguments():
    """num_workers from the config, no pinned memory without CUDA, no generator, no persistent workers."""
    from dassl.data.data_manager import build_data_loader

    loader = build_data_loader(tiny.make_cfg("DATALOADER.NUM_WORKERS", 3), data_source=train_items(), tfm=to_tensor)
    equal((loader.num_workers, loader.pin_memory, loader.persistent_workers), (3, False, False))
    assert loader.generator is None and loader.worker_init_fn is None


@check("cfg.DATALOADER.TRAIN_X.SAMPLER", "cfg.DATALOADER.TRAIN_X.BATCH_SIZE", "sampler:RandomSampler")
def shuffling():
    """Training shuffles by torch's global generator: a seed determines the batches."""
    import torch

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
    equal(orders, [expected, expected])
