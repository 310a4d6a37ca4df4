"""The config keys that the datasets read."""

from yacs.config import CfgNode


def add_config(cfg: CfgNode) -> None:
    """Add the config keys that the datasets read, with their defaults. Call it before merging files.

    ``records/settings.json`` says what they mean.
    """
    texts = dict.fromkeys(("LABEL", "TEMPLATE", "LIST_FILE", "SHOTS_FILE", "UNLABELED"), "")
    for key, default in {"SUBSAMPLE_CLASSES": "all", **texts, "UNREADABLE": "error"}.items():
        cfg.DATASET.setdefault(key, default)
