"""Tables and lists of pictures and classes."""

import json
from pathlib import Path

from dassl.data.datasets.shared.pictures import read_list
from dassl.utils import UserError as EngineError

from clip_prompts.common.errors import UserError
from clip_prompts.data.annotations import read_fields, read_names
from clip_prompts.data.folders.divide import divide
from clip_prompts.data.folders.names import name_by_file
from clip_prompts.data.folders.stored_split import StoredSplit
from clip_prompts.data.folders.table import list_table
from clip_prompts.data.items import leads_outside, to_items
from datasets.imagenet import ImageNet
from tests.fuzz.mutate import spoil_json, spoil_json_lines, spoil_text

from .base import Format
from .selections import lists_of

WNIDS = ("n01440764 tench", "n01443537 goldfish", "n01484850 great white shark")


def _rows(folder: Path):
    for part, items in zip(("train", "val", "test"), lists_of(folder), strict=True):
        for item in items:
            yield item.impath.removeprefix(f"{folder}/"), item.label, item.classname, part


def csv_seeds(folder: Path) -> list[bytes]:
    full = ["path,label,classname,split,domain", *(f"{p},{n},{c},{part},photo" for p, n, c, part in _rows(folder))]
    bare = ["path,classname", *(f'"{p}","{c}"' for p, _, c, _ in _rows(folder))]
    return ["".join(f"{line}\n" for line in lines).encode() for lines in (full, bare)]


def json_lines_seeds(folder: Path) -> list[bytes]:
    rows = [{"path": p, "label": n, "classname": c, "split": part} for p, n, c, part in _rows(folder)]
    bare = [{"path": row["path"], "classname": row["classname"]} for row in rows]
    return ["\n".join(map(json.dumps, lines)).encode() for lines in (rows, bare)]


def read_table(path: Path) -> None:
    listing = list_table(str(path), str(path.parent))
    assert not any(leads_outside(picture.path) for picture in listing.pictures)
    for part in divide(listing, (), (), StoredSplit(str(path.parent), [], writes=False), needs_val=True):
        to_items([row[:3] for row in part], str(path.parent), listing.source)


def class_seeds(folder: Path) -> list[bytes]:
    return ["\n".join(WNIDS).encode() + b"\n"]


def read_classes(path: Path) -> None:
    """As of ImageNet, and as of the user's own folders."""
    reader = ImageNet.__new__(ImageNet)
    reader.dataset_dir = str(path.parent)
    reader.classes()
    name_by_file(str(path.parent), [line.partition(" ")[0] for line in WNIDS])


def names_seeds(folder: Path) -> list[bytes]:
    return [b'{"1": "pink primrose", "2": "canterbury bells"}']


def read_names_file(path: Path) -> None:
    read_names(str(path))


def annotation_seeds(folder: Path) -> list[bytes]:
    return [
        b"# a comment\n"
        + "".join(f"{p} {n + 1} 1 1\n" for p, n, _, _ in _rows(folder)).replace("red fox", "x").encode()
    ]


def read_annotations(path: Path) -> None:
    rows = [(image, label - 1, "x") for image, label, _, _ in read_fields(str(path), 4, [1])]
    to_items(rows, str(path.parent), str(path))


def image_list_seeds(folder: Path) -> list[bytes]:
    return ["".join(f"{p} {n}\n" for p, n, _, _ in _rows(folder)).encode()]


def read_image_list(path: Path) -> None:
    folder = str(path.parent)
    assert all(picture.path.startswith(folder) for picture in read_list(str(path), folder))


USER = (UserError,)
FORMATS = [
    Format("annotations, CSV", "annotations.csv", USER, csv_seeds, spoil_text, read_table),
    Format("annotations, JSON lines", "annotations.jsonl", USER, json_lines_seeds, spoil_json_lines, read_table),
    Format("class list", "classnames.txt", USER, class_seeds, spoil_text, read_classes),
    Format("class names, JSON", "cat_to_name.json", USER, names_seeds, spoil_json, read_names_file),
    Format("annotation list", "trainval.txt", USER, annotation_seeds, spoil_text, read_annotations),
    Format("image list", "image_list.txt", (EngineError,), image_list_seeds, spoil_text, read_image_list),
]
