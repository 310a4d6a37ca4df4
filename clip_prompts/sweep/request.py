"""Requests: one protocol over trainers, datasets, shots, seeds and settings."""

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from clip_prompts.common.dataset_sets import embedded, papers
from clip_prompts.common.errors import UserError
from clip_prompts.common.method_facts import FILE, default_methods, read_facts
from clip_prompts.common.protocols import TRANSFERS

from . import defaults


@dataclass
class Request:
    """One entry of a sweep; empty fields take the protocol's defaults when it is planned.

    datasets: names, YAML files, or ["all"]; of transfers, the targets. config: name or YAML file. root: folder of the
    datasets, "" for embedded ones. settings: KEY VALUE pairs of every run, which also name its folder, unless
    ``variant`` does. source: where the transferred prompts are learned. studies: of ``ablation``. part: "train" or
    "test" plans only the runs that learn, or only those that evaluate.
    """

    protocol: str
    trainers: list[str] = field(default_factory=list)
    datasets: list[str] = field(default_factory=list)
    config: str | None = None
    seeds: list[int] = field(default_factory=list)
    shots: list[int] = field(default_factory=list)
    root: str = ""
    plugins: list[str] = field(default_factory=list)
    settings: list[str] = field(default_factory=list)
    source: str = ""
    studies: list[str] = field(default_factory=list)
    part: str = ""
    variant: str | None = None

    def __post_init__(self) -> None:
        if len(self.settings) % 2:
            raise UserError(f"Settings come in pairs, KEY VALUE: '{self.settings[-1]}' has no value")
        for key in self.settings[::2]:
            if not re.fullmatch(r"[A-Za-z_]\w*(\.\w+)*", key):
                raise UserError(f"'{key}' is not a config key. Give one such as OPTIM.MAX_EPOCH")
        for kind, values, least in (("seed", self.seeds, 0), ("number of shots", self.shots, 1)):
            for value in values:
                if value < least:
                    raise UserError(f"{value} is no {kind}: use {least} or more")
        self.root = os.path.abspath(os.path.expanduser(self.root)) if self.root else ""
        self.plugins = [os.path.abspath(p) if p.endswith(".py") else p for p in self.plugins]
        self.trainers = self.trainers or default_methods(self.protocol)
        self.seeds = self.seeds or [1, 2, 3]
        if not self.datasets or self.datasets == ["all"]:
            found = papers() if self.root or (self.source and self.source not in embedded()) else embedded()
            self.datasets = [name for name in found.of_protocol(self.protocol) if name != self.source]
        if "DATASET.LABEL" in self.settings[::2] and (self.protocol in TRANSFERS or len(self.datasets) > 1):
            raise UserError(
                "DATASET.LABEL would give several datasets one name. Set it in the dataset's YAML file, or run each "
                "dataset in a sweep of its own"
            )
        for facts in map(read_facts, self.trainers):
            if not facts.takes_part(self.protocol):
                raise UserError(
                    f"{facts.name} learns {facts.learns} and takes part only in {', '.join(facts.protocols)}, not in "
                    f"{self.protocol} ({facts.folder}/{FILE}). Remove the method"
                )

    @property
    def given(self) -> dict[str, str]:
        """Key -> value of the settings."""
        return dict(zip(self.settings[::2], self.settings[1::2], strict=True))

    def shots_of(self, trainer: str, dataset: str) -> list[int]:
        """Returns the numbers of shots of a trainer's runs that learn on a dataset."""
        return self.shots or defaults.shots_of(self.protocol, trainer, Path(dataset).stem)

    def config_of(self, trainer: str, dataset: str, shots: int) -> tuple[Path, list[str]]:
        """Returns the config file of a trainer's runs that learn on a dataset, and the settings next to it."""
        protocol = "base2new" if self.protocol == "ablation" else self.protocol
        return defaults.config_of(protocol, trainer, Path(dataset).stem, shots, self.config, self.given)

    def common_flags(self, trainer: str, dataset: str, config: Path, seed: int | None) -> list[str]:
        """Returns the flags that all runs of a trainer on a dataset have in common."""
        file = defaults.dataset_file(dataset)
        own = defaults.setting(file, "DATASET.ROOT")  # made absolute, because runs start in the repository
        root = self.root or (os.path.abspath(os.path.expanduser(own)) if own and isinstance(own, str) else "")
        return [
            *("--trainer", trainer, "--dataset-config-file", str(file), "--config-file", str(config)),
            *(["--seed", str(seed)] if seed is not None else []),
            *(["--root", root] if root else []),
            *(part for plugin in self.plugins for part in ("--plugin", plugin)),
        ]

    def variant_of(self, settings: list[str]) -> str:
        """Returns the folder between config and seed, named by settings unless the request names it."""
        return variant_of(settings) if self.variant is None else self.variant

    def name_of(self, dataset: str) -> str:
        """A dataset in the names of folders: "oxford_pets"; with its label, "image_folder-birds", if it has one.

        Own pictures that ``root`` names have their folder's name as label, so that two roots are two sets of runs.
        """
        file, stem = defaults.dataset_file(dataset), Path(dataset).stem
        label = self.given.get("DATASET.LABEL") or defaults.setting(file, "DATASET.LABEL")
        if not label and self.root and defaults.setting(file, "DATASET.NAME") == "ImageFolder":
            label = os.path.basename(os.path.realpath(self.root))
        label = re.sub(r"[^\w.+-]+", "_", str(label or "")).strip("_")
        return stem if label in ("", stem) else f"{stem}-{label}"


def variant_of(settings: list[str]) -> str:
    """Settings as the name of a folder: "N_CTX-8_CTX_INIT-none"; "" for none.

    >>> variant_of(["TRAINER.COOP.N_CTX", "8", "TRAINER.COOP.CTX_INIT", ""])
    'N_CTX-8_CTX_INIT-none'
    """
    parts = []
    for key, value in zip(settings[::2], settings[1::2], strict=True):
        if key == "DATASET.LABEL":  # it is in the dataset's name
            continue
        levels = key.split(".")
        name = levels[-1] if levels[-1] != "NAME" or len(levels) < 2 else "_".join(levels[-2:])
        if os.path.isabs(value):
            value = os.path.basename(value)
        parts.append(f"{name}-{re.sub(r'[^A-Za-z0-9.+-]+', '_', value).strip('_') or 'none'}")
    return "_".join(parts)
