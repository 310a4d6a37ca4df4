"""Config files of methods and datasets, by name or by default."""

import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from clip_prompts.common.dataset_sets import FOLDER, embedded
from clip_prompts.common.errors import UserError, unknown
from clip_prompts.common.method_facts import MethodFacts, read_facts
from clip_prompts.common.yaml_files import YamlError

from .job import yaml_of

EPOCHS = "OPTIM.MAX_EPOCH"


def config_of(
    protocol: str,
    trainer: str,
    dataset: str,
    shots: int,
    name: str | None,
    given: Mapping[str, str] = MappingProxyType({}),
) -> tuple[Path, list[str]]:
    """Returns the method's YAML and the settings that its recipe changes in it, KEY VALUE.

    A setting is changed only in files that have the value of the default file: others state a recipe of their own. The
    files of some methods are families with a member per number of epochs (rn50: rn50, rn50_ep100 or rn50_ep50).

    Args:
        dataset: the one that is learned on.
        name: a YAML file, taken as it is; or a name in the method's folder; or None for the default of the protocol.
        given: the user's settings, which win over the recipe's. One that names the method that this one is put on
            chooses the file for it.

    Raises UserError: no folder, or no such file in it; names the existing ones.
    """
    if name and name.endswith((".yaml", ".yml")):
        return existing(name), []
    facts = read_facts(trainer)
    there = {f.stem: f for f in sorted(facts.folder.glob("*.yaml"))} if facts.folder else {}
    if not there:
        raise UserError(
            f"Trainer '{trainer}' has no configs. Write configs/trainers/{trainer}/NAME.yaml, or give a YAML file as "
            "CFG"
        )
    usual = _usual(facts, protocol, there, given)
    name = name or ("tiny" if "tiny" in there and dataset in embedded() else usual)
    if name is None:
        raise UserError(f"Trainer '{trainer}': has several configs. Give one of them as CFG: {', '.join(there)}")
    if name not in there:
        raise unknown(f"config of trainer '{trainer}'", name, there)
    file, recipe = there[name], {}
    if usual:
        recipe = {
            key: value for key, value in facts.settings_for(protocol, dataset, shots).items()
            if key not in given and str(old := setting(file, key)) != value and old == setting(there[usual], key)
        }  # fmt: skip
    stem, tail = (name.removesuffix("_ctxv1"), "_ctxv1") if name.endswith("_ctxv1") else (name, "")
    if member := there.get(f"{stem}_ep{recipe.get(EPOCHS)}{tail}"):
        file = member
        del recipe[EPOCHS]
    return file, [part for pair in recipe.items() for part in pair]


def _usual(facts: MethodFacts, protocol: str, there: dict[str, Path], given: Mapping[str, str]) -> str | None:
    """Returns the name of the default file for all but embedded data; None if there are several and none is named."""
    names = [n for n in there if n != "tiny"] or [*there]
    if facts.base and (base := given.get(facts.base)):
        names = [n for n in names if setting(there[n], facts.base) == base] or names
    name = facts.config(protocol)
    return name if name in names else names[0] if len(names) == 1 else None


def shots_of(protocol: str, trainer: str, dataset: str) -> list[int]:
    """Returns the numbers of shots of the method's recipe; on embedded data, and without a recipe, the protocol's."""
    recipe = [] if dataset in embedded() else read_facts(trainer).shots_for(protocol)
    return recipe or ([1, 2, 4, 8, 16] if protocol == "few_shot" else [16])


def dataset_file(name: str) -> Path:
    """Returns the dataset's YAML, from its name in ``configs/datasets/`` or its path.

    Raises UserError: no such file; names the existing ones.
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
