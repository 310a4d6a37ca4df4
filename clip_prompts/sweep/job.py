"""A job: one call of ``train.py``, its output folder, and what it waits for."""

import functools
import hashlib
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clip_prompts.common.errors import UserError
from clip_prompts.common.yaml_files import YamlError, read_yaml

ROOT = Path(__file__).resolve().parents[2]
_FILES = ("--config-file", "--dataset-config-file")


@dataclass
class Job:
    """One call of ``train.py``.

    protocol: label of its results. trainer, config (stem), dataset (stem), classes ("all", "base", "new"), seed and
    shots (None where they play no part): what it is, for tables.
    folder: its output folder below OUTPUT. after: the folder of the run that learned its prompts, or "".
    flags: of the command line, but for the two folders. settings: its trailing KEY VALUE pairs.
    key: hash of all that determines its results; two jobs of one folder are the same job when it is equal.
    """

    protocol: str
    trainer: str
    config: str
    dataset: str
    classes: str
    shots: int | None
    seed: int | None
    folder: str
    flags: list[str]
    settings: list[str] = field(default_factory=list)
    after: str = ""
    key: str = ""

    def __post_init__(self) -> None:
        """Raises TypeError, and UserError for a folder outside of OUTPUT, where everything of a sweep is written."""
        one = (self.protocol, self.trainer, self.config, self.dataset, self.classes, self.folder, self.after, self.key)
        if not all(isinstance(text, str) for text in (*one, *self.flags, *self.settings)):
            raise TypeError("a job holds something else than text")
        if not all(number is None or type(number) is int for number in (self.shots, self.seed)):
            raise TypeError("the shots or the seed of a job is not a whole number")
        for folder in (self.folder, self.after):
            if os.path.isabs(folder) or ".." in folder.split("/") or not folder.isprintable():
                raise UserError(
                    f"The folder '{folder}' is outside the output folder of the sweep. Correct the names in it"
                )
        for name in one:
            if not name.isprintable():
                raise UserError(
                    f"The job's name '{name}' contains characters that cannot be printed. Choose another name"
                )

    @property
    def evaluates(self) -> bool:
        """True if the job only evaluates."""
        return "--eval-only" in self.flags

    def flag(self, name: str) -> str:
        """Returns the value of a flag of the command line."""
        return self.flags[self.flags.index(name) + 1]

    @property
    def kind(self) -> tuple:
        """Returns what the time of a job depends on, the most important part first; seeds are not among it."""
        return self.evaluates, self.trainer, self.config, self.dataset, self.shots, self.classes, tuple(self.settings)

    @property
    def name(self) -> str:
        """For people: "CoOp digits base, 16 shots, seed 1"."""
        shots = "" if self.shots is None else f", {self.shots} shot{'s' * (self.shots != 1)}"
        classes = "" if self.classes == "all" else f" {self.classes}"
        return f"{self.trainer} {self.dataset}{classes}{shots}" + ("" if self.seed is None else f", seed {self.seed}")

    def path(self, output: str | os.PathLike) -> Path:
        """Its output folder."""
        return Path(output) / self.folder

    def argv(self, output: str | os.PathLike) -> list[str]:
        """The command line of ``train.py``."""
        load = ["--model-dir", str(Path(output) / self.after)] if self.after else []
        return [*self.flags, "--output-dir", str(self.path(output)), *load, *self.settings]


def with_key(job: Job, source: Job | None = None) -> Job:
    """Compute the job's key; ``source`` is the job that it waits for, or would wait for.

    In the key: flags and settings, what the YAML files say, and the key of the source. Not in it: where the data, the
    results and the repository lie, and how often checkpoints are written.
    """
    flags, contents, rest = [], [], iter(job.flags)
    for flag in rest:
        if flag == "--root":
            next(rest)
        elif flag in _FILES:
            file = next(rest)
            try:
                contents.append(yaml_of(file))
            except (YamlError, OSError):
                contents.append(file)  # a broken file is for the run to report
        elif flag == "--plugin":
            flags += [flag, os.path.basename(next(rest))]
        else:
            flags.append(flag)
    pairs = zip(job.settings[::2], job.settings[1::2], strict=True)
    settings = [pair for pair in pairs if pair[0] != "TRAIN.CHECKPOINT_FREQ"]
    parts = [flags, contents, settings, source.key if source else "", job.protocol]
    job.key = hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:32]
    return job


def yaml_of(file: str | Path) -> Any:
    """Returns the content of a YAML file, read once because many jobs share it. Raises YamlError, OSError."""
    return _yaml_of(os.fspath(file), os.stat(file).st_mtime_ns)


@functools.lru_cache(maxsize=256)
def _yaml_of(file: str, changed: int) -> Any:
    return read_yaml(file)
