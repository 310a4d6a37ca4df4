"""The comparison of our numbers with published ones, cell by cell, with the settings in which they differ.

Each cell is compared with the published table of its method, backbone and number of shots that agrees in the most
other settings (a paper before a rerun).
Tolerance: 1.0 point (0.5 for zero-shot methods), or two standard errors of the difference between two means over as
many seeds, 2 s sqrt(2 / n), if that is more. s is the sample deviation over our seeds. It is used for the published
numbers too, because few papers print theirs.
"""

import math
import statistics
from collections import defaultdict
from pathlib import PurePath

from clip_prompts.common.dataset_sets import papers, reader_name
from clip_prompts.common.protocols import TITLES, TRANSFERS
from clip_prompts.report.numbers import AVERAGE, Block, Number, Row, Table
from clip_prompts.report.published import Published, published
from clip_prompts.report.reading import Run

FLOOR, FLOOR_ZERO_SHOT = 1.0, 0.5
RULE = "tolerance: 1.0 (nothing learned: 0.5), or 2 s sqrt(2/n) where that is more (s: sample deviation over our seeds)"
COLUMNS = ["published", "ours", "difference", "tolerance", "within", "status"]


def verify(tables: list[Table], source: str | None = None) -> tuple[list[Table], int, int]:
    """Returns tables of comparisons, the number of cells compared, and the number outside the tolerance.

    Args:
        source: compare with this source of ``published.json`` only.
    """
    found, compared, outside = [], 0, 0
    for table in tables:
        groups: dict[tuple, list] = defaultdict(list)
        for label, zero_shot, dataset, column, number in _cells(table):
            entry = _closest(table.key["protocol"], dataset, column, number, source)
            if entry is not None:
                groups[label, entry].append((dataset, column, number, zero_shot))
        for (label, entry), cells in groups.items():
            one, wrong = _comparison(table, label, entry, cells)
            found.append(one)
            compared, outside = compared + len(cells), outside + wrong
    return found, compared, outside


def tolerance(values: list[float], zero_shot: bool = False) -> float:
    """Returns points by which a mean over these seeds may differ from the published one."""
    floor = FLOOR_ZERO_SHOT if zero_shot else FLOOR
    return max(floor, 2 * statistics.stdev(values) * math.sqrt(2 / len(values))) if len(values) > 1 else floor


def differences(run: Run, recipe: dict) -> dict[str, str]:
    """Returns setting -> "ours instead of theirs", for those that both know and that differ."""
    ours = settings_of(run)
    found = {}
    for name, wanted in recipe.items():
        if isinstance(wanted, dict):  # by the dataset that is learned on
            wanted = wanted.get(run.source.get("dataset") or run.dataset, wanted["*"])
        value = ours.get(name)
        if value is not None and _plain(name, value) != _plain(name, wanted):
            found[name] = f"{_shown(value)} instead of {_shown(wanted)}"
    return found


def settings_of(run: Run) -> dict[str, object]:
    """Returns the settings of a run that papers state: general ones, the trainer's own by last name, all by path."""
    if run.is_zero_shot:
        return {"backbone": run.backbone}
    node = f"TRAINER.{run.trainer.upper()}."
    own = {key.removeprefix(node): value for key, value in run.settings.items() if key.startswith(node)}
    words = own.get("CTX_INIT")
    words = " ".join(words.replace("_", " ").split()) if isinstance(words, str) else None
    ignored = words and run.record.get("imported")  # upstream's logs keep an N_CTX that the words have overridden
    general = {
        "backbone": run.backbone,
        "shots": run.shots,
        "epochs": run.settings.get("OPTIM.MAX_EPOCH"),
        "batch": run.settings.get("DATALOADER.TRAIN_X.BATCH_SIZE"),
        "lr": run.settings.get("OPTIM.LR"),
        "N_CTX": None if ignored else own.get("N_CTX"),
        "CTX_INIT": words,
        "precision": run.record.get("precision") or own.get("PREC"),
        "selection": run.selection,
    }
    return run.settings | own | general


def _plain(name: str, value: object) -> object:
    if name == "backbone":  # "ViT-B/16", "ViT-B-16.pt"
        stem = str(value) if "/" in str(value) and not str(value).endswith(".pt") else PurePath(str(value)).stem
        return "".join(c for c in stem.lower() if c.isalnum())
    return value


def _shown(value: object) -> str:
    return f"'{value}'" if isinstance(value, str) and (" " in value or not value) else str(value)


def _cells(table: Table):
    """Yield (label, zero_shot, dataset or "average", column as published, Number) of every cell of a table."""
    datasets = papers().of_protocol(table.key["protocol"])  # a published average is over these
    wanted = set(map(reader_name, datasets))
    for block in table.blocks:
        for row in block.rows:
            for name in table.columns:
                number = row.number(name)
                if not number:
                    continue
                if block.name:
                    dataset, column = AVERAGE if block.name.startswith(AVERAGE) else block.name, name
                    column = "accuracy" if column == "all" else column
                else:
                    dataset, column = AVERAGE if name.startswith(AVERAGE) else name, "accuracy"
                if dataset != AVERAGE or {run.dataset for run in _runs(number)} == wanted:
                    yield row.label, row.is_zero_shot, dataset, column, number


def _runs(number: Number) -> list[Run]:
    return [run for runs in number.runs.values() for run in runs]


def _closest(protocol: str, dataset: str, column: str, number: Number, source: str | None) -> Published | None:
    runs = _runs(number)
    if not runs:
        return None
    method = _name(runs[0].method)
    found = []
    for entry in published():
        here = entry.protocol == protocol and _name(entry.trainer) == method
        if not here or source not in (None, entry.source) or entry.value(dataset, column) is None:
            continue
        differ = differences(runs[0], entry.recipe)
        if {"backbone", "shots"} & set(differ):
            continue
        known = settings_of(runs[0])
        agree = sum(known.get(name) is not None for name in entry.recipe) - len(differ)
        found.append((agree - 2 * len(differ), not entry.rerun, entry))
    return max(found, key=lambda candidate: candidate[:2])[-1] if found else None


def _name(method: str) -> str:
    return "".join(c for c in method.lower() if c.isalnum() or c == "+")


def _comparison(table: Table, label: str, entry: Published, cells: list) -> tuple[Table, int]:
    blocks: dict[str, Block] = {}
    transfer = table.key["protocol"] in (*TRANSFERS, "zeroshot")
    outside = 0
    for dataset, column, number, zero_shot in cells:
        printed = entry.value(dataset, column)
        allowed = tolerance(list(number.by_seed.values()), zero_shot)
        # numbers are printed with two decimals: rounding is no difference
        within = abs(number.mean - printed) <= allowed + 0.005
        outside += not within
        shown = [printed, number.mean, f"{number.mean - printed:+.2f}", allowed, "yes" if within else "NO"]
        shown.append(entry.status_of.get(dataset, entry.status))
        block = blocks.setdefault("" if transfer else dataset, Block("" if transfer else dataset, []))
        block.rows.append(Row(dataset if transfer else column, dict(zip(COLUMNS, shown, strict=True))))
    runs = [run for *_, number, _ in cells for run in _runs(number)]
    facts = [f"published: {entry.title}" + (" (a rerun)" if entry.rerun else ""), *_config(entry.config)]
    facts += [_settings(runs, entry.recipe), RULE]
    facts.append(f"{len(cells) - outside} of {len(cells)} cells within tolerance")
    title = f"{TITLES.get(entry.protocol, entry.protocol)}, {label}, against the published numbers"
    corner = "dataset" if transfer else "shots" if entry.protocol == "few_shot" else "column"
    return Table(title, facts, COLUMNS, list(blocks.values()), [], table.key, corner), outside


def _config(config: str | dict[str, str]) -> list[str]:
    if isinstance(config, dict):
        others = "; ".join(f"{name} for {dataset}" for dataset, name in config.items() if dataset != "*")
        config = f"{config['*']} ({others})"
    return [f"its config file: {config}"] if config else []


def _settings(runs: list[Run], recipe: dict) -> str:
    """Returns a line about the settings that differ from the recipe, with their datasets."""
    found: dict[tuple, set] = defaultdict(set)
    for run in runs:
        for name, text in differences(run, recipe).items():
            found[name, text].add(run.dataset)
    unknown = sorted({name for run in runs for name in recipe if settings_of(run).get(name) is None})
    every = {run.dataset for run in runs}
    parts = [
        f"{name} {text}" + ("" if where == every else f" ({', '.join(sorted(where))})")
        for (name, text), where in found.items()
    ]
    text = f"settings that differ: {'; '.join(parts)}" if parts else "settings: as published"
    return text + (f" (not recorded: {', '.join(unknown)})" if unknown else "")
