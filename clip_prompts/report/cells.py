"""Groups of runs: methods and cells. Runs that differ in more than the seed are not averaged.

A cell is a method on a dataset's classes with a number of shots; its runs differ in the seed only. Runs of a method
with different settings are different rows, labelled by the difference. Some settings may follow from the dataset or
the number of shots (ImageNet is learned for fewer epochs): ``SETTINGS_BY_CELL``, and those of the method's recipe. Such
a setting separates methods only if one cell has several of its values.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from clip_prompts.common.method_facts import read_facts, row_order
from clip_prompts.report.reading import ReportError, Run

SETTINGS_BY_CELL = ("OPTIM.MAX_EPOCH", "DATALOADER.TRAIN_X.BATCH_SIZE", "DATASET.")
LONG = 3  # a label with more differing settings than this is the config's name, with a note


@dataclass(eq=False)
class Method:
    """A row of tables: runs of one method with equal settings, and ``cells``: cell -> seed -> run.

    Runs that cannot be averaged leave their cell out; ``conflicts`` maps the files of two of them to the reason.
    """

    name: str
    label: str
    runs: list[Run]
    cells: dict[tuple, dict[int | None, Run]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    conflicts: dict[tuple, str] = field(default_factory=dict)

    @property
    def trainer(self) -> str:
        return self.runs[0].trainer

    @property
    def is_zero_shot(self) -> bool:
        return self.runs[0].is_zero_shot

    @property
    def is_transductive(self) -> bool:
        """True if it learns from unlabelled images of the test classes, so that it is not ranked with the others."""
        return read_facts(self.trainer).transductive


def methods(runs: Iterable[Run], cell_of: Callable[[Run], tuple]) -> list[Method]:
    """Returns the methods of a table, zero-shot first.

    A cell is skipped if its runs were tested on different images, have other weights, or occur twice.

    Args:
        cell_of: gives the cell of a run; equal for all runs that may be averaged.
    """
    by_name = defaultdict(list)
    for run in runs:
        by_name[run.method].append(run)
    found = [method for group in by_name.values() for method in _variants(group, cell_of)]
    for method in found:
        in_cells = defaultdict(list)
        for run in method.runs:
            in_cells[cell_of(run)].append(run)
        for cell, group in in_cells.items():
            try:
                method.cells[cell] = _by_seed(method, cell, group)
            except _Conflict as conflict:
                method.conflicts[conflict.files] = str(conflict)
                method.notes.append(f"{_name(method, cell)}: left out, because its runs conflict")
    return sorted(found, key=lambda method: (row_order(method.trainer), _natural(method.label)))


def _variants(runs: list[Run], cell_of) -> list[Method]:
    loaded = {run: run.record.get("loaded") or {} for run in runs}
    pseudo = {run: {"load epoch": loaded[run].get("load_epoch"), "config": run.config} for run in runs}
    values = {run: run.settings | pseudo[run] for run in runs}
    varying, facts = _varying(values.values()), read_facts(runs[0].trainer)
    follow = tuple({*SETTINGS_BY_CELL, *(key for rule in facts.settings for key in rule["set"])})
    by_cell = (*follow, "load epoch", "config")
    keys = [key for key in varying if not key.startswith(by_cell)]
    for key in sorted((k for k in varying if k.startswith(by_cell)), key=lambda k: (k == "config", k)):
        seen = defaultdict(set)
        for run in runs:
            if values[run].get(key) is not None:
                seen[cell_of(run), _identity(values[run], keys)].add(values[run][key])
        if any(len(found) > 1 for found in seen.values()):
            keys.append(key)
    groups = defaultdict(list)
    for run in runs:
        groups[_identity(values[run], keys)].append(run)
    name, mark = runs[0].method, ["transductive"] if facts.transductive else []
    names = _names(keys)
    labels = {i: ", ".join(f"{names[k]} {_text(v)}" for k, v in zip(keys, i, strict=True)) for i in groups}
    configs = {i: c for i, group in groups.items() if (c := group[0].config) and {run.config for run in group} == {c}}
    short = len(keys) > LONG and len(set(configs.values())) == len(groups)
    found = []
    for identity, group in groups.items():
        shown = configs[identity] if short else labels[identity]
        what = ", ".join([*mark, *([shown] if keys else [])])
        method = Method(name, f"{name} ({what})" if what else name, group)
        if mark:
            method.notes.append(f"{method.label}: learns from unlabelled images of the test classes; not ranked")
        method.notes += [f"{method.label}: {labels[identity]}"] if short else []
        method.notes += _notes(method, [k for k in varying if k.startswith(follow) and k not in keys], values)
        found.append(method)
    return found


def _varying(all_values) -> list[str]:
    """Returns keys with more than one value, in the order of the settings; a missing key does not count."""
    seen: dict[str, set] = {}
    for values in all_values:
        for key, value in values.items():
            if value is not None:
                seen.setdefault(key, set()).add(value)
    return [key for key, found in seen.items() if len(found) > 1]


def _identity(values: dict, keys: list[str]) -> tuple:
    return tuple(values.get(key) for key in keys)


def _names(keys: list[str]) -> dict[str, str]:
    """Returns short names of settings: the last part, or the last two if that is not unique."""
    last = Counter(key.split(".")[-1] for key in keys)
    return {key: ".".join(key.split(".")[-1 if last[key.split(".")[-1]] == 1 else -2 :]) for key in keys}


def _text(value: object) -> str:
    return {"": "none", None: "-"}.get(value, str(value)) if isinstance(value, str | None) else str(value)


def _notes(method: Method, follow: list[str], values: dict) -> list[str]:
    """Returns settings that follow from dataset or shots, and precision, if they differ within the row."""
    notes = []
    for key in follow:
        where = defaultdict(set)
        for run in method.runs:
            if values[run].get(key) is not None:
                where[values[run][key]].add(run.dataset)
        if len(where) > 1 and not method.is_zero_shot:
            names = {v: ", ".join(sorted(n)) if len(n) < 4 else f"{len(n)} datasets" for v, n in where.items()}
            parts = [f"{_text(value)} ({names[value]})" for value in sorted(where, key=_natural)]
            notes.append(f"{method.label}, {key}: {', '.join(parts)}")
    used = {precision for run in method.runs if (precision := run.record.get("precision"))}
    if len(used) > 1:
        notes.append(f"{method.label}: precision differs between its runs: {', '.join(sorted(used))}")
    return notes


class _Conflict(ReportError):
    """Two runs that cannot be in one cell."""

    def __init__(self, one: Run, two: Run, text: str) -> None:
        super().__init__(f"{one.path} and {two.path}: {text}")
        self.files = (one.path, two.path)


def _by_seed(method: Method, cell: tuple, runs: list[Run]) -> dict[int | None, Run]:
    """Returns the runs of a cell. The same result twice (a repeated evaluation, a copied folder) is one.

    Raises _Conflict: the runs cannot be averaged.
    """
    found: dict[int | None, Run] = {}
    for run in runs:
        other = found.setdefault(run.seed, run)
        if other is run or (other.accuracy == run.accuracy and other.hash("test") == run.hash("test")):
            continue
        _check(method, cell, [other, run])
        raise _Conflict(
            run, other, f"{_name(method, cell)} has two results for seed {run.seed} ({other.accuracy:.2f} and "
            f"{run.accuracy:.2f}) and no setting explains the difference. Delete one, or give only folders with one "
            "of them"
        )  # fmt: skip
    _check(method, cell, list(found.values()))
    return found


def _check(method: Method, cell: tuple, runs: list[Run]) -> None:
    def recipe(run):
        return None if run.is_zero_shot else (run.source if run.source else run.record).get("recipe")

    asked = {
        "were tested on different images (test list)": lambda run: run.hash("test"),
        "have different weights of the backbone": lambda run: run.hash("backbone"),
        "follow different recipes": recipe,
    }
    for what, value_of in asked.items():
        known: dict[str, Run] = {}
        for run in runs:
            if (value := value_of(run)) is not None:
                known.setdefault(value, run)
        if len(known) > 1:
            (one, a), (two, b) = list(known.items())[:2]
            own = a.record["dataset"] == "ImageFolder"
            label = " (two datasets of your own are told apart by DATASET.LABEL)" if own else ""
            raise _Conflict(
                a, b, f"{_name(method, cell)}, seeds {a.seed} and {b.seed}, {what}: {one[:12]} and {two[:12]}. They "
                f"cannot be averaged. Run one of them again, or give only folders that belong together{label}"
            )  # fmt: skip


def _name(method: Method, cell: tuple) -> str:
    return f"{method.label} on {', '.join(str(part) for part in cell if part not in (None, ''))}"


def _natural(value: object) -> tuple:
    """Sorts numbers inside texts by their value."""
    return tuple(
        (0, float(p), "") if p[:1].isdigit() else (1, 0.0, p) for p in re.split(r"(\d+(?:\.\d+)?)", str(value))
    )
