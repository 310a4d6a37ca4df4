"""One labelled image, and the lists of them that make a dataset.

Pickled few-shot selections of other projects name this module and the private attributes of
``Datum``, so both keep their names.
"""

import os
import random
from collections import defaultdict

from dassl.utils import ConfigError, MissingFileError, UnknownNameError, UserError, download_url, mkdir_if_missing

from .archives import extract_archive


class EmptyDomainsError(UserError, AssertionError):
    """A list of domains that must name at least one is empty."""


class Datum:
    """One image and its labels.

    Args:
        impath (str): path of an existing file.
        label (int): class, from 0.
        domain (int): position of the image's domain in the list that was asked for.
        classname (str): the class in words.

    Attributes:
        as_viewed (bool): read the image as a viewer shows it, see ``dassl.utils.load_image``.

    Raises:
        MissingFileError: (a FileNotFoundError) there is no such file.
        ConfigError: ``impath`` is not a string.
    """

    as_viewed = False

    def __init__(self, impath="", label=0, domain=0, classname=""):
        if not isinstance(impath, str):
            raise ConfigError(f"The path of an image must be a string, but got {impath!r}. Pass str(path).")
        if not os.path.isfile(impath):
            kind = "The image path is a folder" if os.path.isdir(impath) else "No image file"
            raise MissingFileError(f'{kind}: "{impath}". Check DATASET.ROOT and the files that list the images.')
        self._impath = impath
        self._label = label
        self._domain = domain
        self._classname = classname

    @property
    def impath(self):
        return self._impath

    @property
    def label(self):
        return self._label

    @property
    def domain(self):
        return self._domain

    @property
    def classname(self):
        return self._classname

    def __repr__(self):
        return f"Datum({self._impath!r}, label={self._label}, domain={self._domain}, classname={self._classname!r})"


class DatasetBase:
    """Lists of :class:`Datum` for training, validation and test.

    A subclass takes ``cfg``, makes the lists and hands them to this constructor.

    Args:
        train_x (list): labelled training images; the classes are counted and named by them.
        train_u (list): unlabelled training images, optional.
        val (list): validation images, optional.
        test (list): test images.

    Attributes:
        dataset_dir (str): folder of the dataset below the data root.
        domains (list): names of all domains that the dataset has.

    Raises:
        ConfigError: (a ValueError) ``train_x`` is empty, its labels are not 0, 1, ..., C - 1, or a list holds
            something else than Datum objects.
    """

    dataset_dir = ""
    domains = []

    def __init__(self, train_x=None, train_u=None, val=None, test=None):
        for name, items in (("train_x", train_x), ("train_u", train_u), ("val", val), ("test", test)):
            _check_items(f"{name} of {type(self).__name__}", items)
        if not train_x:
            raise ConfigError(
                f"{type(self).__name__} has no labelled training image (train_x is empty). "
                "Check DATASET.ROOT, the split and the selection of classes."
            )
        self._train_x = train_x
        self._train_u = train_u
        self._val = val
        self._test = test
        self._num_classes = self.get_num_classes(train_x)
        self._lab2cname, self._classnames = self.get_lab2cname(train_x)
        self._check_labels()

    def leave_out(self, paths):
        """Take images out of all lists."""
        for name in ("_train_x", "_train_u", "_val", "_test"):
            items = getattr(self, name)
            if items:
                setattr(self, name, [item for item in items if item.impath not in paths])

    def _check_labels(self):
        # A classifier has one output for each label up to the largest, and names are found by
        # position: with a gap, every name after it would belong to the wrong output.
        missing = [label for label in range(self._num_classes) if label not in self._lab2cname]
        if missing:
            shown = ", ".join(str(label) for label in missing[:8]) + (", ..." if len(missing) > 8 else "")
            raise ConfigError(
                f"{type(self).__name__} has training images for {len(self._lab2cname)} of {self._num_classes} labels; "
                f"none for label {shown}. Give every class an image, or number the classes 0 to "
                f"{len(self._lab2cname) - 1} without gaps."
            )

    @property
    def train_x(self):
        return self._train_x

    @property
    def train_u(self):
        return self._train_u

    @property
    def val(self):
        return self._val

    @property
    def test(self):
        return self._test

    @property
    def lab2cname(self):
        """dict: label -> class name, by rising label."""
        return self._lab2cname

    @property
    def classnames(self):
        """list: class names, by rising label."""
        return self._classnames

    @property
    def num_classes(self):
        """int: largest label of ``train_x`` + 1."""
        return self._num_classes

    @staticmethod
    def get_num_classes(data_source):
        """Return the largest label + 1."""
        return max(item.label for item in data_source) + 1

    @staticmethod
    def get_lab2cname(data_source):
        """Return (label -> class name, class names by rising label).

        Of several names for one label the first counts, so the answer does not depend on hashing.
        """
        first_name = {}
        for item in data_source:
            first_name.setdefault(item.label, item.classname)
        lab2cname = dict(sorted(first_name.items()))
        return lab2cname, list(lab2cname.values())

    def check_input_domains(self, source_domains, target_domains):
        """Check that both lists name at least one domain and only known ones.

        Raises:
            EmptyDomainsError: (an AssertionError) a list is empty.
            UnknownNameError: (a ValueError) a name is not in ``domains``.
        """
        for kind, domains in (("source_domains", source_domains), ("target_domains", target_domains)):
            if not len(domains):
                raise EmptyDomainsError(f"{kind} (list) is empty")
        self.is_input_domain_valid(source_domains)
        self.is_input_domain_valid(target_domains)

    def is_input_domain_valid(self, input_domains):
        """Raise UnknownNameError for the first name that is not in ``domains``."""
        for domain in input_domains:
            if domain not in self.domains:
                raise UnknownNameError(f"Input domain must belong to {self.domains}, but got [{domain}]")

    def download_data(self, url, dst, from_gdrive=True):
        """Fetch an archive (zip, tar, tar.gz) to ``dst`` and extract it beside itself.

        Raises:
            DownloadError, ConfigError: it cannot be fetched, or is no archive of these kinds.
        """
        parent = os.path.dirname(dst)
        if parent:
            mkdir_if_missing(parent)
        if from_gdrive:
            try:
                import gdown
            except ImportError as error:
                raise UserError("Downloads from Google Drive need the package gdown. Run: pip install gdown") from error
            gdown.download(url, dst, quiet=False)
        else:
            download_url(url, dst)
        print("Extracting file ...")
        extract_archive(dst, parent or ".")
        print(f"File extracted to {parent or '.'}")

    def generate_fewshot_dataset(self, *data_sources, num_shots=-1, repeat=False):
        """Draw ``num_shots`` images of each class from every list.

        Draws come from Python's global ``random``: classes in the order of their first image, one
        ``random.sample`` for each class that has enough images.

        Args:
            data_sources: lists of :class:`Datum`.
            num_shots (int): images per class; below 1 the input is handed back.
            repeat (bool): draw with replacement where a class has too few; otherwise take all it has.

        Returns:
            list: for one source; for several a list of lists.
        """
        if num_shots < 1:
            return data_sources[0] if len(data_sources) == 1 else data_sources
        print(f"Creating a {num_shots}-shot dataset")
        selections = [self._draw(data_source, num_shots, repeat) for data_source in data_sources]
        return selections[0] if len(selections) == 1 else selections

    def _draw(self, data_source, num_shots, repeat):
        selected = []
        for items in self.split_dataset_by_label(data_source).values():
            if len(items) >= num_shots:
                selected.extend(random.sample(items, num_shots))
            elif repeat:
                selected.extend(random.choices(items, k=num_shots))
            else:
                selected.extend(items)
        return selected

    def split_dataset_by_label(self, data_source):
        """Return label -> its images, both in the order of the list."""
        return _group(data_source, lambda item: item.label)

    def split_dataset_by_domain(self, data_source):
        """Return domain -> its images, both in the order of the list."""
        return _group(data_source, lambda item: item.domain)


def _check_items(where, items):
    for item in items or ():
        if not (hasattr(item, "impath") and hasattr(item, "label")):
            kind = type(item).__name__
            raise ConfigError(f"{where} holds a {kind}, not a Datum. Pass one list of Datum objects for each part.")


def _group(items, key):
    groups = defaultdict(list)
    for item in items:
        groups[key(item)].append(item)
    return groups
