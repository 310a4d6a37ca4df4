"""Facts about methods that tools need, read from ``configs/trainers/NAME/method.yml``. Imports nothing heavy.

All keys of the file are optional::

    order: 40                     # row in tables: smaller is higher; methods without a number come last, by name
    learns: prompts               # prompts (default), classes, or nothing (a zero-shot method: no seeds, no shots)
    parts: context vectors        # the learned parts in words, for the tables of methods
    transductive: true            # learns from images of the test classes without labels: tables do not rank it
    base: TRAINER.DEPT.BASE       # setting with the method that this one is put on: rows are called BASE+NAME
    by_default: true              # take part when a sweep names no trainer
    protocols: [few_shot]         # default: all
    configs:                      # config file (without .yaml) per protocol; `other` is for all protocols not named
      few_shot: rn50
      other: vit_b16
    shots: {base2new: 4}          # training images of a class, a number or a list; default: the protocol's
    settings:                     # what the recipe changes in the config file; every condition may be missing
      - {datasets: [imagenet], set: {OPTIM.MAX_EPOCH: 50}}
      - {protocols: [few_shot], least_shots: 2, most_shots: 4, set: {OPTIM.MAX_EPOCH: 100}}
    ablation:                     # settings that the ablations change
      length: TRAINER.COOP.N_CTX
      words: TRAINER.COOP.CTX_INIT
      capacity: 60                # context length with as many parameters as the method it is compared with

Of the rules in ``settings``, the first one that fits gives the value of a key. ``datasets`` names what is learned on.
"""

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .errors import UserError, unknown
from .protocols import TITLES
from .text import shown
from .yaml_files import YamlError, read_yaml

FILE = "method.yml"
FOLDER = Path(__file__).resolve().parents[2] / "configs" / "trainers"
LEARNS = ("prompts", "classes", "nothing")
_KINDS = {
    "order": (int, float), "learns": str, "parts": str, "transductive": bool, "base": str, "by_default": bool,
    "protocols": list, "configs": dict, "shots": dict, "settings": list, "ablation": dict,
}  # fmt: skip
_RULE = {"protocols": list, "datasets": list, "least_shots": int, "most_shots": int, "set": dict}
_ABLATION = {"length": str, "words": str, "capacity": int}


@dataclass(frozen=True)
class MethodFacts:
    """Facts about a method, see the module. The defaults are those of a method without a file.

    ``folder``: the folder of its config files; None if it has none.
    """

    name: str
    folder: Path | None = None
    order: float = math.inf
    learns: str = "prompts"
    parts: str = ""
    transductive: bool = False
    base: str | None = None
    by_default: bool = False
    protocols: tuple[str, ...] = ()
    configs: Mapping[str, str] = field(default_factory=dict)
    shots: Mapping[str, int | list[int]] = field(default_factory=dict)
    settings: tuple[Mapping, ...] = ()
    ablation: Mapping = field(default_factory=dict)

    @property
    def is_zero_shot(self) -> bool:
        """True if the method learns nothing, so that shots, seeds and epochs mean nothing for it."""
        return self.learns == "nothing"

    def takes_part(self, protocol: str) -> bool:
        """True if the method has results in a protocol."""
        return not self.protocols or protocol in self.protocols

    def config(self, protocol: str) -> str | None:
        """Returns the name of the default config file of a protocol; None if the method's file names none."""
        return self.configs.get(protocol) or self.configs.get("other")

    def shots_for(self, protocol: str) -> list[int]:
        """Returns the numbers of shots of the recipe in a protocol; [] if the method's file names none."""
        shots = self.shots.get(protocol, self.shots.get("other", []))
        return shots if isinstance(shots, list) else [shots]

    def settings_for(self, protocol: str, dataset: str, shots: int) -> dict[str, str]:
        """Returns key -> value of what the recipe changes in the config file for a dataset that is learned on."""
        found: dict[str, str] = {}
        for rule in self.settings:
            fits = protocol in rule.get("protocols", [protocol]) and dataset in rule.get("datasets", [dataset])
            if fits and rule.get("least_shots", shots) <= shots <= rule.get("most_shots", shots):
                found = {key: str(value) for key, value in rule["set"].items()} | found
        return found

    def context_settings(self, length: int, words: str) -> list[str]:
        """Returns KEY VALUE pairs that give prompts a context of some length, or of words ("" for none)."""
        node = f"TRAINER.{self.name.upper()}"
        keys = self.ablation.get("length", f"{node}.N_CTX"), self.ablation.get("words", f"{node}.CTX_INIT")
        return [keys[0], str(length), keys[1], words]


def read_facts(name: str) -> MethodFacts:
    """Returns the facts about a method.

    A name without a folder takes the folder of the longest name that it begins with, such as ``CoOp2`` that of
    ``CoOp``. Without any, the defaults hold.
    Raises UserError: its file is not as the module says.
    """
    return _read(name, FOLDER)


def row_order(name: str) -> tuple:
    """Returns a key that sorts rows of tables: zero-shot methods first, transductive ones last, by order and name."""
    facts = read_facts(name)
    return not facts.is_zero_shot, facts.transductive, facts.order, name


def default_methods(protocol: str) -> list[str]:
    """Returns the methods of a sweep that names none; for the protocol ``zeroshot``, those that learn nothing."""
    names = sorted((file.parent.name for file in FOLDER.glob(f"*/{FILE}")), key=row_order)
    return [
        name for name in names
        if (facts := read_facts(name)).by_default and (facts.is_zero_shot or protocol != "zeroshot")
    ]  # fmt: skip


@functools.lru_cache(maxsize=256)
def _read(name: str, top: Path) -> MethodFacts:
    folders = [f for f in top.iterdir() if f.is_dir() and name.startswith(f.name)] if top.is_dir() else []
    if not folders:
        return MethodFacts(name)
    folder = max(folders, key=lambda f: len(f.name))
    file = folder / FILE
    if not file.is_file():
        return MethodFacts(name, folder)
    try:
        content = read_yaml(file)
    except (OSError, YamlError) as error:
        raise UserError(f"{file} cannot be read: {error}. Correct it, or remove it") from error
    return MethodFacts(name, folder, **_checked(content or {}, file))


def _checked(content: Any, file: Path) -> dict:
    """Returns the fields of MethodFacts in a file's content. Raises UserError if it is not as the module says."""
    _check(content, _KINDS, file)
    configs, shots, rules = (content.get(key, {}) for key in ("configs", "shots", "settings"))
    for rule in rules:
        _check(rule, _RULE, file, "settings: ")
        if "set" not in rule:
            raise UserError(f"{file}: the rule {shown(rule)} lacks 'set'. Add it")
    _check(content.get("ablation", {}), _ABLATION, file, "ablation: ")
    of_rules = [protocol for rule in rules for protocol in rule.get("protocols", [])]
    for protocol in (*content.get("protocols", []), *configs, *shots, *of_rules):
        if protocol not in (*TITLES, "other"):
            raise UserError(f"{file}: {unknown('protocol', protocol, TITLES)}")
    if not all(isinstance(config, str) for config in configs.values()):
        raise UserError(f"{file}: configs: {shown(configs)} must be a list of file names. Correct it")
    numbers = [n for value in shots.values() for n in (value if isinstance(value, list) else [value])]
    if not all(type(number) is int and number > 0 for number in numbers):
        raise UserError(f"{file}: shots: {shown(shots)} must be a list of whole numbers. Correct it")
    if (learns := content.get("learns", LEARNS[0])) not in LEARNS:
        raise UserError(f"{file}: learns: {shown(learns)} is unknown. Use one of: {', '.join(LEARNS)}")
    return {key: tuple(value) if isinstance(value, list) else value for key, value in content.items()}


def _check(content: object, kinds: Mapping, file: Path, where: str = "") -> None:
    """Raise UserError unless content is a mapping with known keys and values of their kinds."""
    if not isinstance(content, dict):
        raise UserError(f"{file}: {where}{shown(content)} must have lines of the form KEY: VALUE. Correct it")
    for key, value in content.items():
        if key not in kinds:
            raise UserError(f"{file}: unknown key '{where}{key}'. Known: {', '.join(kinds)}")
        if not isinstance(value, kinds[key]) or (isinstance(value, bool) and kinds[key] is not bool):
            raise UserError(f"{file}: {where}{key}: {shown(value)} has the wrong type. Correct it")
