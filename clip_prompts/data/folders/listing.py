"""The listing of a layout: pictures and their classes."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from clip_prompts.data.split_file import PARTS

__all__ = ["PARTS", "SPELLINGS", "Listing", "Picture"]

# What people call the parts, in lower case.
SPELLINGS = {
    "train": "train", "training": "train",
    "val": "val", "valid": "val", "validation": "val",
    "test": "test", "testing": "test",
}  # fmt: skip


class Picture(NamedTuple):
    """One picture of a listing.

    path: relative to the user's folder, with ``/`` between the parts. key: its class, a folder's name, a class name
    or a label from 0. part: one of PARTS, or "" where the user did not split. domain: its name, or "".
    """

    path: str
    key: str | int
    part: str = ""
    domain: str = ""


class Listing(NamedTuple):
    """source: the start of messages, as "List /data/annotations.csv". names: class name of every key."""

    source: str
    pictures: list[Picture]
    names: Mapping[Any, str]  # by text or by number
