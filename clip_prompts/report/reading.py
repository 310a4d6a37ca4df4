"""Records of test runs, read from every ``results.json`` below some folders."""

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clip_prompts.common.errors import UserError
from clip_prompts.common.files import read_json
from clip_prompts.common.method_facts import read_facts
from clip_prompts.common.text import printable
from clip_prompts.common.trees import branch, flat
from clip_prompts.records.results_file import FILE
from clip_prompts.records.schema import problem
from clip_prompts.records.settings import IRRELEVANT_SETTINGS, RUN_SETTINGS

# Settings that do not change what a number means, or that have a place of their own in a table.
IGNORED = IRRELEVANT_SETTINGS | RUN_SETTINGS | {
    "MODEL.BACKBONE.NAME", "DATASET.NUM_SHOTS", "TRAINER.NAME", "TEST.FINAL_MODEL",
}  # fmt: skip


class ReportError(UserError, ValueError):
    """A user error about records."""


@dataclass(frozen=True, eq=False)
class Run:
    """One evaluation, on the test images unless all were asked for.

    ``dataset`` is its label: DATASET.LABEL, or the folder's name of own pictures, or the reader's name; the same in
    ``source``. ``shots`` and ``source`` are those of the run that learned the prompts; ``settings`` maps dotted keys to
    values, without ``IGNORED``; ``accuracy`` is in percent; ``record`` is the JSON object.
    """

    path: Path
    record: dict
    protocol: str
    trainer: str
    dataset: str
    classes: str
    shots: int | None
    seed: int | None
    backbone: str
    selection: str | None
    config: str | None
    source: dict
    accuracy: float
    settings: dict = field(repr=False)

    @property
    def is_zero_shot(self) -> bool:
        """True if the method learns nothing, so that shots, epochs and selection mean nothing for it."""
        return self.record.get("learned") == 0 or read_facts(self.trainer).is_zero_shot

    @property
    def method(self) -> str:
        """The method's name in tables: the trainer, after the method that it is put on if there is one (CoOp+DePT)."""
        base = self.settings.get(read_facts(self.trainer).base or "")
        return f"{base}+{self.trainer}" if base else self.trainer

    @property
    def joint(self) -> bool:
        """True if the run learned on the base classes and is tested on base and new classes together."""
        return self.classes == "all" and self.source.get("classes") == "base"

    def hash(self, part: str) -> str | None:
        """Returns the SHA-256 of "test", "train_x", "backbone", ...; None if the record has none."""
        return (self.record.get("hashes") or {}).get(part)


def collect(folders: Iterable[str | Path], split: str | None = "test") -> list[Run]:
    """Returns the records of every ``results.json`` below the folders, in the order of their paths.

    Args:
        split: of the evaluations, ``test`` or ``val``; None: both.

    Raises ReportError: no such folder, no record in them, or a file that is not a list of whole records.
    """
    tops = [Path(folder) for folder in folders]
    for top in tops:
        if not top.is_dir():
            raise ReportError(f"There is no folder '{top}'. Give the output folder of your runs")
    files = {os.path.realpath(file): file for top in tops for file in sorted(top.rglob(FILE))}
    runs = [run for file in files.values() for run in _read(file, split)]
    if not runs:
        what = "no test record in" if files else f"no {FILE} below"
        raise ReportError(
            f"There is {what} {', '.join(map(str, tops))}. Runs of train.py write it; --import-logs reads old logs"
        )
    return runs


def _read(file: Path, split: str | None) -> list[Run]:
    """Returns the records of one file. Raises ReportError if it is not a list of whole records."""
    try:
        records = read_json(file)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or f"not valid JSON, {error}"
        raise ReportError(f"{file} cannot be read: {reason}. Delete it and run its job again") from error
    if not isinstance(records, list) or not all(isinstance(r, dict) for r in records):
        raise ReportError(f"{file}: not a list of records. Delete it and run its job again")
    kept: dict = {}
    for number, record in enumerate(records, 1):
        if line := problem(record):
            raise ReportError(f"{file}, record {number}: {line}")
        if split not in (None, record["split"]):
            continue
        key: object = number
        if "format" not in record:  # version 1 kept every repetition; the newest is the one
            own = record["split"], record.get("epoch"), record.get("loaded"), branch(record, "hashes").get("config")
            key = json.dumps(own)
        try:
            kept[key] = _run(_printable(record), file)
        except RecursionError as error:
            raise ReportError(f"{file}: nested too deeply. Delete it and run its job again") from error
    return list(kept.values())


def _printable(value: Any) -> Any:
    """Returns a value from JSON with every text, keys too, as one line without control characters."""
    if isinstance(value, str):
        return value if value.isprintable() else printable(value)
    if isinstance(value, dict):
        return {_printable(key): _printable(part) for key, part in value.items()}
    return [_printable(part) for part in value] if isinstance(value, list) else value


def _run(record: dict, file: Path) -> Run:
    source = record.get("source") or {}
    if source:  # old records have no label, only the reader's name
        source = {**source, "dataset": source.get("label") or source.get("dataset")}
    return Run(
        path=file,
        record=record,
        protocol=record.get("protocol") or _protocol_of_old(record, file),
        trainer=record["trainer"],
        dataset=record.get("label") or record["dataset"],
        classes=record["classes"],
        shots=source["shots"] if source.get("shots") is not None else record["shots"],
        seed=record["seed"],
        backbone=record["backbone"],
        selection=record["selection"],
        config=record.get("config"),
        source=source,
        accuracy=float(record["metrics"]["accuracy"]),
        settings={k: _frozen(v) for k, v in flat(record.get("settings") or {}).items() if k not in IGNORED},
    )


def _protocol_of_old(record: dict, file: Path) -> str:
    """Returns the protocol of a record of version 1, which does not name it."""
    if record["classes"] in ("base", "new"):
        return "base2new"
    if read_facts(record["trainer"]).is_zero_shot:
        return "zeroshot"
    return "cross_dataset" if record.get("loaded") and "evaluation" in file.parts else "few_shot"


def _frozen(value: object) -> object:
    if isinstance(value, dict):
        return tuple((key, _frozen(v)) for key, v in value.items())
    return tuple(_frozen(v) for v in value) if isinstance(value, list) else value
