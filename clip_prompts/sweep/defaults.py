"""Which config file a run takes where none is named, for how many epochs, and which datasets are ``all``."""

import fnmatch
import os
import re
from pathlib import Path

from clip_prompts.common.yaml_files import YamlError

from .errors import SweepError, unknown
from .job import ROOT, yaml_of

CONFIGS = ROOT / "configs"
TRAINERS = ("ZeroshotCLIP", "CoOp", "CoCoOp")
SHOTS = {"few_shot": (1, 2, 4, 8, 16)}  # every other protocol: 16
EMBEDDED = ("digits", "shapes*")  # these come with the repository, as does their backbone, tiny
BENCHMARK = (
    "imagenet", "caltech101", "oxford_pets", "stanford_cars", "oxford_flowers", "food101", "fgvc_aircraft", "sun397",
    "dtd", "eurosat", "ucf101",
)  # fmt: skip
VARIANTS = {  # the same classes in other pictures
    "imagenet": ("imagenetv2", "imagenet_sketch", "imagenet_a", "imagenet_r"),
    "shapes": ("shapes_sketch", "shapes_blur", "shapes_noise", "shapes_inverted"),
}
# The papers' recipes: few-shot curves on RN50 (CoOp, section 4.1), all else on ViT-B/16 (CoCoOp, section 4).
_FEW_SHOT = {"CoOp": "rn50", "ZeroshotCLIP": "rn50", "LinearProbe": "rn50"}
_OTHER = {"CoOp": "vit_b16_ctxv1", "CoCoOp": "vit_b16_c4_ep10_batch1_ctxv1", "ZeroshotCLIP": "vit_b16"}
_FEW_SHOT_ONLY = ("LinearProbe",)  # it learns classes, not prompts, so that there is nothing to transfer


def learns_nothing(trainer: str) -> bool:
    """Whether a trainer is a zero-shot one, which needs neither training runs nor seeds."""
    return trainer.startswith("ZeroshotCLIP")


def check_trainer(protocol: str, trainer: str) -> None:
    """Raises SweepError for a trainer that cannot take part in a protocol."""
    if trainer in _FEW_SHOT_ONLY and protocol != "few_shot":
        raise SweepError(
            f"{trainer} learns classes, not prompts, and runs only in the protocol few_shot, not {protocol}"
        )


def is_embedded(dataset: str) -> bool:
    return any(fnmatch.fnmatch(dataset, pattern) for pattern in EMBEDDED)


def all_datasets(protocol: str, embedded: bool) -> tuple[str, ...]:
    """What ``all`` means: the embedded datasets, or the papers' where a folder of data is given."""
    if protocol == "domain_generalization":
        return VARIANTS["shapes" if embedded else "imagenet"]
    if protocol == "cross_dataset":
        return ("digits",) if embedded else BENCHMARK[1:]
    return ("digits", "shapes") if embedded else BENCHMARK


def source_of(targets: list[str]) -> str:
    """Where prompts that are tested on ``targets`` are learned, if nobody says it."""
    return "shapes" if any(is_embedded(Path(target).stem) for target in targets) else "imagenet"


def epochs_of_recipe(protocol: str, dataset: str, shots: int) -> int:
    """CoOp's epochs (section 4.1): ImageNet 50; few-shot 50, 100 or 200 by the shots; base-to-new 200."""
    if dataset == "imagenet":
        return 50
    if protocol != "few_shot" or shots > 4:
        return 200
    return 50 if shots == 1 else 100


def config_of(protocol: str, trainer: str, dataset: str, shots: int, name: str | None) -> tuple[Path, list[str]]:
    """The method's YAML and the settings that it needs beside it, KEY VALUE.

    ``name``: a YAML file, taken as it is; or a name in ``configs/trainers/TRAINER/``, where CoOp's are families whose
    member is chosen by epochs (rn50: rn50, rn50_ep100 or rn50_ep50); or None for the default. A trainer without a
    folder of its own takes that of the longest name it begins with.

    Raises:
        SweepError: no folder, or no such file in it; names what there is.
    """
    if name and name.endswith((".yaml", ".yml")):
        return existing(name), []
    folders = [f for f in (CONFIGS / "trainers").iterdir() if f.is_dir() and trainer.startswith(f.name)]
    if not folders:
        raise SweepError(
            f"Trainer '{trainer}' has no configs: make configs/trainers/{trainer}/NAME.yaml, or give a YAML file as CFG"
        )
    folder = max(folders, key=lambda f: len(f.name))
    there = {f.stem: f for f in sorted(folder.glob("*.yaml"))}
    name = name or _default(protocol, folder.name, dataset, list(there))
    if name is None:
        raise SweepError(f"Trainer '{trainer}': several configs, name one as CFG: {', '.join(there)}")
    if name not in there:
        raise unknown(f"config of trainer '{trainer}'", name, there)
    return _member(there, name, epochs_of_recipe(protocol, dataset, shots) if folder.name == "CoOp" else None)


def _default(protocol: str, folder: str, dataset: str, there: list[str]) -> str | None:
    if "tiny" in there and is_embedded(dataset):
        return "tiny"
    name = (_FEW_SHOT if protocol == "few_shot" else {}).get(folder) or _OTHER.get(folder)
    others = [n for n in there if n != "tiny"] or there
    return name if name in there else others[0] if len(others) == 1 else None


def _member(there: dict[str, Path], name: str, epochs: int | None) -> tuple[Path, list[str]]:
    """Of a family whose first member trains for 200 epochs, the one that trains for ``epochs``."""
    if epochs is None or re.search(r"_ep\d", name) or setting(there[name], "OPTIM.MAX_EPOCH") != 200 or epochs == 200:
        return there[name], []
    stem, tail = (name.removesuffix("_ctxv1"), "_ctxv1") if name.endswith("_ctxv1") else (name, "")
    file = there.get(f"{stem}_ep{epochs}{tail}")
    return (file, []) if file else (there[name], ["OPTIM.MAX_EPOCH", str(epochs)])


def dataset_file(name: str) -> Path:
    """The dataset's YAML, from its name in ``configs/datasets/`` or its path.

    Raises:
        SweepError: no such file; names what there is.
    """
    if name.endswith((".yaml", ".yml")):
        return existing(name)
    file = CONFIGS / "datasets" / f"{name}.yaml"
    if not os.path.isfile(file):  # pathlib's raises an error for a name that is too long
        raise unknown("dataset config", name, (f.stem for f in file.parent.glob("*.yaml")), ", all, or a YAML file")
    return file


def existing(path: str) -> Path:
    if not os.path.isfile(os.path.expanduser(path)):
        raise SweepError(f"No config file '{path}'")
    return Path(path).expanduser().resolve()


def setting(file: Path, key: str) -> object:
    """What a YAML file says of a dotted key; None where it says nothing or is broken, which the run will report."""
    try:
        node = yaml_of(file)
        for part in key.split("."):
            node = node[part]
    except (YamlError, OSError, LookupError, TypeError):
        return None
    return node
