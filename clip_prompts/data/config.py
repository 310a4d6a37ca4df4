"""The config keys that the datasets read."""

from yacs.config import CfgNode


def add_config(cfg: CfgNode) -> None:
    """Add the config keys that the datasets read, with their defaults. Call it before merging files.

    ``DATASET.SUBSAMPLE_CLASSES``: ``all`` classes, the ``base`` (first) or the ``new`` (second) half.
    ``DATASET.LABEL``: the dataset's name in reports; "" is the reader's name, or of ImageFolder the folder's.
    ``DATASET.TEMPLATE``: the zero-shot prompt, as ``a photo of a {}.``; "" is the dataset's own.
    ``DATASET.SHOTS_FILE``: a few-shot selection to train on, see ``tools/data.py shots``; "" draws one by the seed.
    ``DATASET.LIST_FILE``: of ImageFolder, the file that lists the pictures; "" is the one that is there.
    ``DATASET.UNREADABLE``: ``error`` refuses pictures that cannot be read, ``skip`` leaves them out of all lists.
    ``DATASET.UNLABELED``: what trains without labels, images of the ``target`` domains or the ``rest`` of the training
    images that shots leave out; "" is the dataset's own choice, mostly nothing.
    """
    texts = dict.fromkeys(("LABEL", "TEMPLATE", "LIST_FILE", "SHOTS_FILE", "UNLABELED"), "")
    for key, default in {"SUBSAMPLE_CLASSES": "all", **texts, "UNREADABLE": "error"}.items():
        cfg.DATASET.setdefault(key, default)
