"""The facts of catalogue.json: published counts, classes, archives, sources and pitfalls of every public dataset.

An entry of ``files`` is one download: ``file``, its ``checksum`` ("md5:..." or "sha256:..."), its ``urls`` or its id
on Google ``drive``. A file without ``moves`` is put into the dataset's folder as it is. Of an archive, ``moves``
pairs what is taken (found at any depth in it) with its name in the dataset's folder ("." for its content), from the
archive ``nested`` in it where there is one; ``gives`` names what a move to "." must bring. ``or`` is a place where
the reader looks too. ``alternatives`` are other sources; those marked ``unverified`` rest on hearsay.
"""

import json
from pathlib import Path

from dassl.data.datasets import DATASET_REGISTRY

from clip_prompts.common.errors import unknown
from clip_prompts.data import GeneratedDataset

CATALOGUE: dict = json.loads(Path(__file__).with_name("catalogue.json").read_text(encoding="utf-8"))
MIRROR = {  # of all but ImageNet
    "text": "https://huggingface.co/zhengli97/prompt_learning_dataset has a zip of each dataset in the layout expected "
    "here, released split file included",
    "unverified": False,
}


def reader(name: str) -> type:
    """Returns the reader registered as ``name``. Raises UserError that names the closest one."""
    known = list(DATASET_REGISTRY.registered_names())
    if name not in known:
        raise unknown("dataset", name, known)
    return DATASET_REGISTRY.get(name)


def benchmark_names() -> list[str]:
    """Returns the public datasets, then the embedded ones. Not ImageFolder: its root is its own."""
    others = [name for name in DATASET_REGISTRY.registered_names() if name not in CATALOGUE]
    return [*CATALOGUE, *(name for name in others if issubclass(reader(name), GeneratedDataset))]


def alternatives(name: str) -> list[str]:
    """Returns other sources of a public dataset, a sentence each, with "unverified" for hearsay."""
    own = CATALOGUE[name].get("alternatives", [])
    found = own if name == "ImageNet" else [*own, MIRROR]
    return [entry["text"] + (" (unverified)" if entry.get("unverified") else "") for entry in found]


def targets(file: dict, folder: Path) -> list[Path]:
    """Returns the paths that an entry of ``files`` must bring into the dataset's ``folder``."""
    names = file.get("gives") or [into for _, into in file.get("moves", [])] or [file["file"]]
    return [folder / name for name in names]


def is_there(file: dict, folder: Path) -> bool:
    """Returns True if all that an entry of ``files`` brings exists where the reader looks for it."""
    return all(path.exists() for path in targets(file, folder)) or ("or" in file and (folder / file["or"]).is_file())
