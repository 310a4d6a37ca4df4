"""Datasets of which a part is labelled, and the rest trains without labels."""

import os

from dassl.utils import ConfigError

from ..base_dataset import DatasetBase, Datum
from . import torchvision_sets
from .labelled import split_labelled
from .pictures import plain, read_class_folders


class PartlyLabelled(DatasetBase):
    """``<dataset_dir>/{train,test}/<class>/``, exported from the public archive where it is not there.

    The first ``VAL_PERCENT`` of each class of train are for validation. Of the others ``NUM_LABELED`` in total, or
    ``NUM_SHOTS`` a class, keep their labels (all, where neither is set); the rest is ``train_u``, with
    ``ALL_AS_UNLABELED`` together with the labelled ones.

    A subclass has the name of its set in :data:`.torchvision_sets.SETS`.

    Raises:
        MissingFileError, ConfigError: of the data, or of the number of labels.
    """

    def __init__(self, cfg):
        settings = cfg.DATASET
        self.root = os.path.abspath(os.path.expanduser(settings.ROOT))
        self.dataset_dir = os.path.join(self.root, self.dataset_dir)
        train, test = (self._items(self.read(part, settings)) for part in ("train", "test"))
        train, val = self._hold_out(train, settings.VAL_PERCENT)
        labelled, rest = split_labelled(self, train, settings)
        unlabelled = rest + self.read_unlabelled()
        if settings.ALL_AS_UNLABELED:
            unlabelled += labelled
        super().__init__(train_x=labelled, train_u=unlabelled or None, val=val or None, test=test)

    def read(self, part, settings):
        """Return the pictures (:class:`~.pictures.Picture`) of "train" or "test"."""
        return read_class_folders(torchvision_sets.class_folders(type(self).__name__, self.root, part), _class_name)

    def read_unlabelled(self):
        """Return images (list of Datum) that never had a label."""
        return []

    @staticmethod
    def _items(pictures):
        labels = {key: label for label, key in enumerate(sorted({p.key for p in pictures}))}
        return [Datum(p.path, labels[p.key], 0, p.name) for p in pictures]

    def _hold_out(self, train, share):
        """Return (train, val): the first images of each class, ``share`` of them, are for validation."""
        if not 0 <= share < 1:
            raise ConfigError(f"DATASET.VAL_PERCENT must be at least 0 and below 1, but got {share}.")
        kept, val = [], []
        for items in self.split_dataset_by_label(train).values():
            held = int(len(items) * share)
            val += items[:held]
            kept += items[held:]
        return kept, val


def _class_name(folder):
    """Folders may be called "1_automobile", but also "0"."""
    number, _, name = plain(folder).partition("_")
    return name if name and number.isdecimal() else plain(folder)
