"""Reads every ``results.json`` below folders and refuses, in one line, what is not a whole record."""

import json
import reprlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from clip_prompts.common.files import read_json
from clip_prompts.common.method_facts import read_facts
from clip_prompts.common.text import OneLineError, printable, shown
from clip_prompts.records.results_file import FILE, is_intact
from clip_prompts.records.settings import TABLE

REQUIRED = ("split", "metrics", "trainer", "dataset", "classes", "shots", "seed", "backbone", "selection")
# Settings that do not change what a number means, or that have a place of their own in a table.
IGNORED = {setting.key for setting in TABLE if setting.irrelevant} | {
    "SEED", "MODEL.BACKBONE.NAME", "DATASET.NAME", "DATASET.LABEL", "DATASET.SUBSAMPLE_CLASSES", "DATASET.NUM_SHOTS",
    "DATASET.TARGET_DOMAINS", "DATASET.SHOTS_FILE", "DATASET.LIST_FILE", "DATALOADER.NUM_WORKERS",
    "DATALOADER.PERSISTENT_WORKERS", "TRAINER.NAME", "TEST.FINAL_MODEL",
}  # fmt: skip


# Fields beside ``REQUIRED`` and what is in some of them, by kind; each may be null or missing.
_KINDS = {
    "trainer": str, "dataset": str, "classes": str, "backbone": str, "selection": str, "shots": int, "seed": int,
    "label": str, "protocol": str, "config": str, "recipe": str, "precision": str, "learned": int, "epoch": int,
    "hashes": dict, "settings": dict, "source": dict, "loaded": dict, "time": str, "versions": dict,
}  # fmt: skip
_INNER = {
    "source": {"dataset": str, "label": str, "classes": str, "recipe": str, "config": str, "shots": int, "seed": int},
    "loaded": {"model_dir": str, "load_epoch": int},
}
_CALLED = {
    str: "a text of at most 1,000 characters", int: "a whole number of less than 16 digits", dict: "an object",
}  # fmt: skip
LONGEST = 1000  # characters of a text
CLASSES = ("all", "base", "new")


class ReportError(OneLineError, ValueError):
    """A user error in one line. Not ``common.errors.UserError``, whose import takes more than a second."""


@dataclass(frozen=True, eq=False)
class Run:
    """One evaluation on a test split.

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
        return read_facts(self.trainer).is_zero_shot

    @property
    def joint(self) -> bool:
        """Learned on the base classes, tested on base and new classes together."""
        return self.classes == "all" and self.source.get("classes") == "base"

    def hash(self, part: str) -> str | None:
        """SHA-256 of "test", "train_x", "backbone", ...; None where the record has none."""
        return (self.record.get("hashes") or {}).get(part)


def collect(folders: Iterable[str | Path]) -> list[Run]:
    """The test records of every ``results.json`` below the folders, in the order of their paths.

    Raises:
        ReportError: no such folder, no record in them, or a file that is not a list of whole records.
    """
    folders = [Path(folder) for folder in folders]
    for folder in folders:
        if not folder.is_dir():
            raise ReportError(f"There is no folder '{folder}'. Name the output folder of your runs")
    files = {_real(file): file for folder in folders for file in sorted(folder.rglob(FILE))}
    runs = [run for file in files.values() for run in read(file)]
    if not runs:
        what = "no test record in" if files else f"no {FILE} below"
        raise ReportError(
            f"There is {what} {', '.join(map(str, folders))}. Runs of train.py write it; --import-logs reads old logs"
        )
    return runs


def read(file: Path) -> list[Run]:
    """The test records of one file. Raises ReportError where it is not a list of whole records."""
    try:
        return _read(file)
    except RecursionError as error:
        raise ReportError(f"{file}: nested too deeply. Delete it and run its job again") from error


def _read(file: Path) -> list[Run]:
    try:
        records = read_json(file)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or f"not valid JSON, {error}"
        raise ReportError(f"{file} cannot be read: {reason}. Delete it and run its job again") from error
    if not isinstance(records, list) or not all(isinstance(r, dict) for r in records):
        raise ReportError(f"{file}: not a list of records. Delete it and run its job again")
    kept: dict = {}
    for number, record in enumerate(records, 1):
        check_record(record, f"{file}, record {number}")
        if record["split"] != "test":
            continue
        if "format" in record:
            key = number
        else:  # version 1 kept every repetition; the newest is the one
            key = json.dumps([record.get("epoch"), record.get("loaded"), (record.get("hashes") or {}).get("config")])
        kept[key] = _run(_printable(record), file)
    return list(kept.values())


def _real(file: Path) -> Path:
    try:
        return file.resolve()
    except (OSError, RuntimeError):  # a loop of links
        return file


def _printable(value: object) -> object:
    """A value from JSON in which every text, keys too, is one line that acts on no terminal."""
    if isinstance(value, str):
        return value if value.isprintable() else printable(value)
    if isinstance(value, dict):
        return {_printable(key): _printable(part) for key, part in value.items()}
    return [_printable(part) for part in value] if isinstance(value, list) else value


def check_record(record: dict, where: str) -> None:
    """Raises ReportError, which begins with ``where``, for a record that lacks something or holds something else."""
    may_be_null = {"shots", "seed", "selection"} if record.get("imported") else {"shots"}
    for name in REQUIRED:
        if name not in record or (record[name] is None and name not in may_be_null):
            raise ReportError(f"{where}: lacks the field '{name}'. Run its job again with this version of train.py")
    if not is_intact(record):
        raise ReportError(f"{where}: its content does not fit its checksum. Run its job again")
    accuracy = record["metrics"].get("accuracy") if isinstance(record["metrics"], dict) else None
    if isinstance(accuracy, bool) or not isinstance(accuracy, int | float) or not 0 <= accuracy <= 100:
        raise ReportError(
            f"{where}: metrics.accuracy is {reprlib.repr(accuracy)}, not a number of 0 to 100. Run its job again"
        )
    _check_kinds(record, _KINDS, where)
    for name, kinds in _INNER.items():
        _check_kinds(record.get(name) or {}, kinds, where, f"{name}.")
    hashes = record.get("hashes") or {}
    _check_kinds(hashes, dict.fromkeys(hashes, str), where, "hashes.")
    if record["classes"] not in CLASSES:
        found = reprlib.repr(record["classes"])
        raise ReportError(f"{where}: the field 'classes' is {found}, none of {', '.join(CLASSES)}")


def _check_kinds(node: dict, kinds: dict[str, type], where: str, prefix: str = "") -> None:
    """Raises ReportError for the first value that is neither null nor of its kind."""
    for name, kind in kinds.items():
        value = node.get(name)
        if value is None or (isinstance(value, kind) and not isinstance(value, bool) and _is_moderate(value)):
            continue
        raise ReportError(
            f"{where}: the field '{prefix}{name}' is {shown(value)}, not {_CALLED[kind]}. Run its job again"
        )


def _is_moderate(value: object) -> bool:
    if isinstance(value, int):
        return abs(value) < 10**15
    return not isinstance(value, str) or len(value) <= LONGEST


def _run(record: dict, file: Path) -> Run:
    source = record.get("source") or {}
    source = {**source, "dataset": _label(source)} if source else source
    return Run(
        path=file,
        record=record,
        protocol=record.get("protocol") or _protocol_of_old(record, file),
        trainer=record["trainer"],
        dataset=_label(record),
        classes=record["classes"],
        shots=source["shots"] if source.get("shots") is not None else record["shots"],
        seed=record["seed"],
        backbone=record["backbone"],
        selection=record["selection"],
        config=record.get("config"),
        source=source,
        accuracy=float(record["metrics"]["accuracy"]),
        settings={key: value for key, value in flat(record.get("settings") or {}).items() if key not in IGNORED},
    )


def _label(node: dict) -> str | None:
    """The name of the dataset in tables, of a record or of its source; earlier versions have only the reader's name."""
    return node.get("label") or node.get("dataset")


def _protocol_of_old(record: dict, file: Path) -> str:
    """Records of version 1 do not name it."""
    if record["classes"] in ("base", "new"):
        return "base2new"
    if read_facts(record["trainer"]).is_zero_shot:
        return "zeroshot"
    return "cross_dataset" if record.get("loaded") and "evaluation" in file.parts else "few_shot"


def flat(settings: dict, path: str = "") -> dict:
    """Nested settings as dotted key -> value (lists as tuples, so that it can be hashed)."""
    found = {}
    for key, value in settings.items():
        if isinstance(value, dict):
            found |= flat(value, f"{path}{key}.")
        else:
            found[f"{path}{key}"] = _frozen(value)
    return found


def _frozen(value: object) -> object:
    if isinstance(value, dict):
        return tuple((key, _frozen(v)) for key, v in value.items())
    return tuple(_frozen(v) for v in value) if isinstance(value, list) else value
