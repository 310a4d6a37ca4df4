"""Few-shot selections as files for other people: JSON, with image paths relative to the dataset's image folder.

``{"dataset": name, "num_shots": K, "seed": S, "train": [[path, label, class name], ...], "val": [...]}``
"""

import json
import reprlib
from collections import Counter
from collections.abc import Sequence

from clip_prompts.common.errors import UserError
from clip_prompts.common.files import read_json
from clip_prompts.common.text import shown

from .items import is_row, leads_outside
from .storage import relative_paths, write_text_atomically


def write_shots(
    path: str, dataset_name: str, num_shots: int, seed: int, train: Sequence, val: Sequence, image_dir: str
) -> None:
    """Write the selected lists of Datum (all classes, before base/new) to ``path``.

    ``dataset_name`` is the registry name; ``image_dir`` the folder that image paths are written relative to.
    Raises OSError where the place cannot be written.
    """
    content = {"dataset": dataset_name, "num_shots": num_shots, "seed": seed}
    for part, items in (("train", train), ("val", val)):
        places = relative_paths([item.impath for item in items], image_dir)
        content[part] = [[place, item.label, item.classname] for place, item in zip(places, items, strict=True)]
    write_text_atomically(path, json.dumps(content, indent=1))


def read_shots(
    path: str, dataset_name: str, num_shots: int, train: Sequence, val: Sequence, image_dir: str
) -> tuple[list, list]:
    """The (train, val) selections that the file names, in its order, as items of the full lists ``train``, ``val``.

    Raises UserError: the file cannot be read or is broken, belongs to another dataset, has another K than
    ``num_shots``, names an image twice, one outside the image folder or one that is not in the split, has more than
    K images of a class, or leaves a class of ``train`` without an image.
    """
    content = _load(path)
    if content.get("dataset") != dataset_name:
        raise UserError(
            f"Shots file {path} is of the dataset {reprlib.repr(content.get('dataset'))}, not of {dataset_name}. "
            "Give DATASET.SHOTS_FILE a file of this dataset."
        )
    found = content["num_shots"]
    if found != num_shots:
        raise UserError(
            f"Shots file {path} has {shown(found)} shots, DATASET.NUM_SHOTS is {num_shots}. Make them equal."
        )
    chosen = [_select(path, content, part, items, image_dir) for part, items in (("train", train), ("val", val))]
    label, most = max(Counter(item.label for item in chosen[0]).items(), key=lambda pair: pair[1], default=(None, 0))
    if most > num_shots:
        raise UserError(f"Shots file {path} has {most} training images of label {label}, not {num_shots}. {_REMEDY}")
    without = {item.label: item.classname for item in train}
    for item in chosen[0]:
        without.pop(item.label, None)
    if without:
        label, classname = min(without.items())
        raise UserError(f"Shots file {path} has no training image of class '{classname}' (label {label}). {_REMEDY}")
    return chosen[0], chosen[1]


_REMEDY = "Export it again with: python tools/data.py shots"


def _load(path: str) -> dict:
    try:
        content = read_json(path)
    except OSError as error:
        raise UserError(
            f"Shots file {path} cannot be read: {error.strerror or error}. Check DATASET.SHOTS_FILE."
        ) from error
    except ValueError as error:
        raise UserError(f"Shots file {path} is not JSON ({error}). {_REMEDY}") from error
    if not isinstance(content, dict):
        raise UserError(f"Shots file {path} is not a JSON object. {_REMEDY}")
    for key in ("dataset", "num_shots", "train", "val"):
        if key not in content:
            raise UserError(f"Shots file {path} lacks the key '{key}'. {_REMEDY}")
    return content


def _select(path: str, content: dict, part: str, items: Sequence, image_dir: str) -> list:
    entries = content[part]
    if not isinstance(entries, list):
        raise UserError(f"Shots file {path}: '{part}' is not a list. {_REMEDY}")
    index = dict(zip(relative_paths([item.impath for item in items], image_dir), items, strict=True))
    selected: dict = {}
    for entry in entries:
        if not is_row(entry):
            raise UserError(
                f"Shots file {path}: '{part}' holds {shown(entry)}, not [path, label, class name]. {_REMEDY}"
            )
        image, label, classname = entry
        if leads_outside(image):
            raise UserError(f"Shots file {path}: '{image}' is not a relative path inside the image folder. {_REMEDY}")
        item = index.get(image)
        if item is None or item.label != label or item.classname != classname:
            raise UserError(
                f"Shots file {path}: {image} ({classname}, label {label}) is not in the {part} list of this split. "
                "Use the split file that the shots were drawn from."
            )
        if image in selected:
            raise UserError(f"Shots file {path} names {image} twice in '{part}'. {_REMEDY}")
        selected[image] = item
    return list(selected.values())
