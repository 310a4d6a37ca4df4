"""Datasets with domains: what is trained on, and what is tested, for the source and target domains of a run."""

import os

from dassl.utils import ConfigError, UnknownNameError

from ..base_dataset import DatasetBase, Datum
from .labelled import split_labelled
from .pictures import find_dataset, find_inside, plain, read_class_folders, read_list

UNLABELED = ("", "target", "rest")


class DomainDataset(DatasetBase):
    """Images of ``SOURCE_DOMAINS`` to train and validate on, of ``TARGET_DOMAINS`` to test on.

    A domain's label is its position in the list that the run names, source and target counted separately.
    ``NUM_SHOTS`` (or ``NUM_LABELED``) draws from the training images of all sources together.

    ``DATASET.UNLABELED`` says what ``train_u`` holds: ``target``, the training images of the target domains;
    ``rest``, the source images that ``NUM_SHOTS`` or ``NUM_LABELED`` skip; empty, what the dataset is for.

    A subclass sets ``dataset_dir``, ``domains`` and ``where_to_get``, and writes :meth:`read`.

    Raises:
        EmptyDomainsError, UnknownNameError: of the domains in the config.
        MissingFileError, ConfigError: of the data; see ``shared/pictures.py``.
    """

    where_to_get = ""
    unlabeled = ""  # what DATASET.UNLABELED "" stands for

    def __init__(self, cfg):
        settings = cfg.DATASET
        sources, targets = list(settings.SOURCE_DOMAINS), list(settings.TARGET_DOMAINS)
        choice = settings.get("UNLABELED", "")
        if choice not in UNLABELED:
            raise UnknownNameError(f"Unknown DATASET.UNLABELED '{choice}'. Known: target, rest, or nothing.")
        choice = choice or self.unlabeled
        self.check_input_domains(sources, targets)
        self.root = os.path.abspath(os.path.expanduser(settings.ROOT))
        self.dataset_dir = self.find(settings.ROOT)

        lists = {
            "train_x": self._pictures(sources, "train"),
            "val": self._pictures(sources, "val"),
            "test": self._pictures(targets, "test"),
            "train_u": self._pictures(targets, "train") if choice == "target" else [],
        }
        labels = self._number(lists)
        parts = {
            part: [Datum(p.path, labels[p.key], domain, p.name) for domain, p in pictures]
            for part, pictures in lists.items()
        }
        parts["train_x"], rest = split_labelled(self, parts["train_x"], settings)
        if choice == "rest":
            parts["train_u"] = rest + (parts["train_x"] if settings.ALL_AS_UNLABELED else [])
        super().__init__(**{part: items or None for part, items in parts.items()})

    def find(self, root):
        """Return the dataset's folder below the data root."""
        return find_dataset(type(self).__name__, root, self.dataset_dir, self.where_to_get)

    def read(self, domain, part):
        """Return the pictures (:class:`~.pictures.Picture`) of a domain for "train", "val" or "test"."""
        raise NotImplementedError

    def _pictures(self, domains, part):
        return [(index, picture) for index, domain in enumerate(domains) for picture in self.read(domain, part)]

    def _number(self, lists):
        """Return key -> label: labels as they are, folders by their place in sorted order."""
        keys = sorted({p.key for pictures in lists.values() for _, p in pictures})
        trained = {p.key for _, p in lists["train_x"]}
        unknown = [p for pictures in lists.values() for _, p in pictures if p.key not in trained]
        if unknown:
            raise ConfigError(
                f'{type(self).__name__}: no source domain has the class of "{unknown[0].path}". '
                "Unpack the archive again, or remove the class."
            )
        return {key: key if isinstance(key, int) else place for place, key in enumerate(keys)}


class DomainFolders(DomainDataset):
    """Layout ``<domain>/[<part>/]<class>/picture``.

    ``parts``: "train", "val", "test" -> the folders inside of a domain that it is read from; "" is the domain itself.
    """

    parts = {"train": ("",), "test": ("",)}
    class_name = staticmethod(plain)

    def read(self, domain, part):
        return [
            picture
            for inner in self.parts.get(part, ())
            for picture in read_class_folders(self.part_folder(domain, inner), self.class_name)
        ]

    def part_folder(self, domain, inner):
        """Return the folder of the class folders of a part of a domain."""
        folder = find_inside(self.dataset_dir, domain)
        return find_inside(folder, inner) if inner else folder


class DomainLists(DomainDataset):
    """Lists ``path label`` of each domain.

    ``lists``: "train", "val", "test" -> file names with ``{}`` for the domain. ``image_folder``: what their paths
    start from. ``first_label``: number of the first class in them.
    """

    lists = {}
    image_folder = ""
    first_label = 0

    def read(self, domain, part):
        return [
            picture
            for file in self.lists.get(part, ())
            for picture in read_list(
                os.path.join(self.dataset_dir, file.format(domain)),
                os.path.join(self.dataset_dir, self.image_folder).rstrip(os.sep),
                self.first_label,
            )
        ]
