"""Config files of methods and datasets, by name or by default."""

import os
import re
from pathlib import Path

from clip_prompts.common.dataset_sets import FOLDER, embedded
from clip_prompts.common.errors import UserError, unknown
from clip_prompts.common.method_facts import MethodFacts, read_facts
from clip_prompts.common.yaml_files import YamlError

from .job import yaml_of


def config_of(protocol: str, trainer: str, dataset: str, shots: int, name: str | None) -> tuple[Path, list[str]]:
    """Returns the method's YAML and the settings that it needs next to it, KEY VALUE.

    ``name``: a YAML file, taken as it is; or a name in the method's folder, where some are families with a member per
    number of epochs (rn50: rn50, rn50_ep100 or rn50_ep50); or None for the default of the protocol.

    Raises:
        UserError: no folder, or no such file in it; names the existing ones.
    """
    if name and name.endswith((".yaml", ".yml")):
        return existing(name), []
    facts = read_facts(trainer)
    there = {f.stem: f for f in sorted(facts.folder.glob("*.yaml"))} if facts.folder else {}
    if not there:
        raise UserError(
            f"Trainer '{trainer}' has no configs: make configs/trainers/{trainer}/NAME.yaml, or give a YAML file as CFG"
        )
    name = name or _default(facts, protocol, dataset, list(there))
    if name is None:
        raise UserError(f"Trainer '{trainer}': several configs, name one as CFG: {', '.join(there)}")
    if name not in there:
        raise unknown(f"config of trainer '{trainer}'", name, there)
    epochs = facts.epochs_for(protocol, dataset, shots)
    is_full = facts.full_epochs is not None and setting(there[name], "OPTIM.MAX_EPOCH") == facts.full_epochs
    if not is_full or epochs in (None, facts.full_epochs) or re.search(r"_ep\d", name):
        return there[name], []
    stem, tail = (name.removesuffix("_ctxv1"), "_ctxv1") if name.endswith("_ctxv1") else (name, "")
    file = there.get(f"{stem}_ep{epochs}{tail}")
    return (file, []) if file else (there[name], ["OPTIM.MAX_EPOCH", str(epochs)])


def _default(facts: MethodFacts, protocol: str, dataset: str, there: list[str]) -> str | None:
    if "tiny" in there and dataset in embedded():
        return "tiny"
    name = facts.config(protocol)
    others = [n for n in there if n != "tiny"] or there
    return name if name in there else others[0] if len(others) == 1 else None


def dataset_file(name: str) -> Path:
    """Returns the dataset's YAML, from its name in ``configs/datasets/`` or its path.

    Raises:
        UserError: no such file; names the existing ones.
    """
    if name.endswith((".yaml", ".yml")):
        return existing(name)
    file = FOLDER / f"{name}.yaml"
    if not os.path.isfile(file):  # pathlib's raises an error for a name that is too long
        raise unknown("dataset config", name, (f.stem for f in file.parent.glob("*.yaml")), ", all, or a YAML file")
    return file


def existing(path: str) -> Path:
    """Returns the absolute path of a config file. Raises UserError if there is none."""
    if not os.path.isfile(os.path.expanduser(path)):
        raise UserError(f"No config file '{path}'")
    return Path(path).expanduser().resolve()


def setting(file: Path, key: str) -> object:
    """Returns the value of a dotted key in a YAML file; None if it has none or is broken, which the run will report."""
    try:
        node = yaml_of(file)
        for part in key.split("."):
            node = node[part]
    except (YamlError, OSError, LookupError, TypeError):
        return None
    return node
