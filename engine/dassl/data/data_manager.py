"""From a config to the loaders of a run."""

import multiprocessing

import torch
from torch.utils.data import DataLoader

from dassl.utils import ConfigError

from .checks import check_dataset, skip_unreadable
from .datasets import build_dataset
from .samplers import build_sampler
from .transforms import build_transform
from .wrapper import DatasetWrapper


def build_data_loader(
    cfg, sampler_type="SequentialSampler", data_source=None, batch_size=64, n_domain=0, n_ins=2, tfm=None,
    is_train=True, dataset_wrapper=None,
):  # fmt: skip
    """Return a torch DataLoader over ``data_source``.

    A training loader drops an incomplete last batch, unless it is the only one.

    Args:
        data_source (list): items of type Datum.
        tfm (callable or list): one transform, or one for each view of an image.
        dataset_wrapper (type): takes the place of :class:`DatasetWrapper`.

    Raises ConfigError: there is no image, or the sampler makes no batch of them.
    """
    if not data_source:
        raise ConfigError(
            f"Cannot build a {'training' if is_train else 'test'} loader: the list of images is empty. "
            "Check the dataset's split and the selection of classes."
        )
    sampler = build_sampler(sampler_type, cfg, data_source, batch_size, n_domain, n_ins)
    workers = cfg.DATALOADER.NUM_WORKERS
    # No generator, and workers that end with their epoch: anything else would change the draws from torch's global
    # generator (each start of workers draws their seed), and with them the batches that a seed stands for.
    loader = (TrainLoader if is_train else DataLoader)(
        (dataset_wrapper or DatasetWrapper)(cfg, data_source, transform=tfm, is_train=is_train),
        batch_size=batch_size,
        sampler=sampler,
        num_workers=workers,
        persistent_workers=is_train and workers > 0 and cfg.DATALOADER.get("PERSISTENT_WORKERS", False),
        drop_last=is_train and len(data_source) >= batch_size,
        pin_memory=torch.cuda.is_available() and cfg.USE_CUDA,
    )
    if len(loader) == 0:
        raise ConfigError(
            f"{sampler_type} cannot make a batch of {batch_size} from {len(data_source)} images. "
            "Lower BATCH_SIZE or N_INS, or choose RandomSampler."
        )
    return loader


class TrainLoader(DataLoader):
    """Decodes what fits in memory before the first workers start, so that all workers of all epochs share it.

    Attributes:
        before_pass (callable or None): called before each pass through the images draws its order.
    """

    before_pass = None

    def __iter__(self):
        if self.before_pass is not None:
            self.before_pass()
        decode = getattr(self.dataset, "decode", None)
        # The first of the methods is the platform's default. Workers that are not forked share no memory.
        method = multiprocessing.get_start_method(allow_none=True) or multiprocessing.get_all_start_methods()[0]
        if decode is not None and self.num_workers > 0 and method == "fork":
            decode()
        return super().__iter__()


class DataManager:
    """The dataset of a run, its transforms and its loaders.

    Args:
        cfg: the config tree.
        custom_tfm_train (callable or list): instead of the transform of ``cfg.INPUT``.
        custom_tfm_test (callable or list): the same for validation and test.
        dataset_wrapper (type): takes the place of :class:`DatasetWrapper`.

    Attributes:
        dataset: the dataset.
        train_loader_x, test_loader: loaders of labelled training images and of test images.
        train_loader_u, val_loader: the same for unlabelled and validation images, or None.

    Raises ConfigError, ImageReadError: the lists do not fit together, or hold images that cannot be read.
    """

    def __init__(self, cfg, custom_tfm_train=None, custom_tfm_test=None, dataset_wrapper=None):
        dataset = build_dataset(cfg)
        check_dataset(dataset)
        skip_unreadable(dataset, cfg.DATASET.get("UNREADABLE", "error"))
        if cfg.TEST.SPLIT == "val" and not dataset.val:
            raise ConfigError(f"TEST.SPLIT is val, but {cfg.DATASET.NAME} has no validation images. Set it to test.")

        if custom_tfm_train is None:
            tfm_train = build_transform(cfg, is_train=True)
        else:
            print("* Using custom transform for training")
            tfm_train = custom_tfm_train
        if custom_tfm_test is None:
            tfm_test = build_transform(cfg, is_train=False)
        else:
            print("* Using custom transform for testing")
            tfm_test = custom_tfm_test

        def loader(settings, data_source, is_train):
            more = {"n_domain": settings.N_DOMAIN, "n_ins": settings.N_INS} if is_train else {}
            more |= {"tfm": tfm_train if is_train else tfm_test, "is_train": is_train}
            own = settings.SAMPLER, data_source, settings.BATCH_SIZE
            return build_data_loader(cfg, *own, dataset_wrapper=dataset_wrapper, **more)

        loaders = cfg.DATALOADER
        settings_u = loaders.TRAIN_X if loaders.TRAIN_U.SAME_AS_X else loaders.TRAIN_U
        self.train_loader_x = loader(loaders.TRAIN_X, dataset.train_x, is_train=True)
        self.train_loader_u = loader(settings_u, dataset.train_u, is_train=True) if dataset.train_u else None
        self.val_loader = loader(loaders.TEST, dataset.val, is_train=False) if dataset.val else None
        self.test_loader = loader(loaders.TEST, dataset.test, is_train=False)

        self.dataset = dataset
        self._num_classes = dataset.num_classes
        self._num_source_domains = len(cfg.DATASET.SOURCE_DOMAINS)
        self._lab2cname = dataset.lab2cname
        if cfg.VERBOSE:
            self.show_dataset_summary(cfg)

    @property
    def num_classes(self):
        return self._num_classes

    @property
    def num_source_domains(self):
        """int: number of ``cfg.DATASET.SOURCE_DOMAINS``."""
        return self._num_source_domains

    @property
    def lab2cname(self):
        """dict: label -> class name."""
        return self._lab2cname

    def show_dataset_summary(self, cfg):
        """Print the sizes of the dataset's parts as a table of two columns."""
        from tabulate import tabulate

        dataset = self.dataset
        rows = [
            ("Dataset", cfg.DATASET.NAME),
            ("Source", cfg.DATASET.SOURCE_DOMAINS),
            ("Target", cfg.DATASET.TARGET_DOMAINS),
            ("# classes", f"{self.num_classes:,}"),
            ("# train_x", f"{len(dataset.train_x):,}"),
            ("# train_u", dataset.train_u and f"{len(dataset.train_u):,}"),
            ("# val", dataset.val and f"{len(dataset.val):,}"),
            ("# test", f"{len(dataset.test):,}"),
        ]
        # Rows of what the run does not have are left out.
        print(tabulate([list(row) for row in rows if row[1] or row[0] == "Dataset"]))
