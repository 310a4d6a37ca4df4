"""The tables of each protocol, laid out as in the papers.

Base-to-new, ablations and any other label: datasets x methods down, base, new, H across; few-shot: shots across;
zero-shot and both transfers: methods down, datasets across. Averages are over the datasets that all methods have.
"""

import hashlib
import math
from collections import defaultdict

from clip_prompts.common.dataset_sets import table_order
from clip_prompts.common.protocols import TITLES, TRANSFERS
from clip_prompts.report.cells import Method, methods
from clip_prompts.report.numbers import AVERAGE, Block, Number, Row, Table, average, harmonic, number
from clip_prompts.report.reading import ReportError, Run


def build(runs: list[Run], protocol: str | None = None) -> list[Table]:
    """Returns every table that the runs give, or those of one protocol.

    Cells with runs that cannot be averaged are skipped, see ``cells``; ``Table.conflicts`` says why.
    Raises ReportError: nothing else is left.
    """
    order = {name: i for i, name in enumerate(TITLES)}
    names = sorted({run.protocol for run in runs}, key=lambda p: (order.get(p, len(order)), p))
    tables = []
    for name in names if protocol is None else [protocol]:
        own = [run for run in runs if run.protocol == name]
        for facts, group in _groups(name, own):
            if name == "few_shot":
                table = _few_shot(runs, group, facts)
            elif name == "zeroshot" or name in TRANSFERS:
                table = _across_datasets(runs, group, facts)
            else:
                table = _grid(group, facts)
            table.mark_best()
            tables.append(table)
    whole = [table for table in tables if table.numbers()]
    if not whole:
        raise ReportError(next((c for table in tables for c in table.conflicts.values()), "The records give no table"))
    return whole


def _groups(protocol: str, runs: list[Run]):
    """Yields a table per backbone, selection rule, number of shots and source; zero-shot methods join each."""
    learning = defaultdict(list)
    zero_shot = defaultdict(list)
    for run in runs:
        if run.is_zero_shot:
            zero_shot[run.backbone].append(run)
            continue
        shots = None if protocol in ("few_shot", "zeroshot") else run.shots
        source = run.source.get("dataset") if protocol in TRANSFERS else None
        learning[run.backbone, run.selection, shots, source].append(run)
    for backbone, group in zero_shot.items():
        if not any(key[0] == backbone for key in learning):
            learning[backbone, None, None, None] = []
        for key in learning:
            if key[0] == backbone:
                learning[key] = learning[key] + group
    for key in sorted(learning, key=lambda k: tuple((part is not None, str(part).zfill(4)) for part in k)):
        names = ("backbone", "selection", "shots", "source")
        yield {"protocol": protocol, **dict(zip(names, key, strict=True))}, learning[key]


def _grid(runs: list[Run], key: dict) -> Table:
    compared = any(run.joint for run in runs)  # zero-shot tests on all classes are then for comparison

    def part(run: Run) -> str:
        return "joint" if run.joint or (compared and run.is_zero_shot and run.classes == "all") else run.classes

    found = methods(runs, lambda run: (_where(run), part(run)))
    parts = {cell[1] for method in found for cell in method.cells}
    columns = ["base", "new", "H"] if parts & {"base", "new"} else []
    columns += [part for part in ("all", "joint") if part in parts]
    columns += sorted(parts - {"base", "new", "all", "joint"})
    learned = key["protocol"] not in ("base2new",) and any(r.record.get("learned") is not None for r in runs)
    blocks: list[Block] = []
    notes: list[str] = []
    for dataset in _ordered({cell[0] for method in found for cell in method.cells}):
        rows = []
        for method in found:
            cells = {part: method.cells.get((dataset, part), {}) for part in parts}
            records = [run.record for by_seed in cells.values() for run in by_seed.values()]
            counts = [n for record in records if (n := record.get("learned")) is not None]
            values: dict = {"learned": max(counts, default=None)} if learned else {}
            if "base" in columns:
                base, new = _pairs(method, dataset, cells, notes)
                values |= {"base": base, "new": new, "H": harmonic(base, new)}
            values |= {part: number(cells[part]) for part in columns if part not in values}
            rows.append(Row(method.label, values, method))
        blocks.append(Block(dataset, rows))
    # a joint test is part of few runs only: a method without it is still averaged over base and new
    alone = [[c] for c in columns if c not in ("base", "new", "H")]
    blocks += _averages(blocks, [["base", "new"], *alone] if "base" in columns else alone, notes)
    return _table(key, (["learned"] if learned else []) + columns, blocks, runs, found, notes)


def _where(run: Run) -> str:
    source = run.source.get("dataset")
    return run.dataset if run.protocol == "base2new" or source in (None, run.dataset) else f"{source} to {run.dataset}"


def _dataset_and_classes(run: Run) -> str:
    return _where(run) + (f" ({run.classes})" if run.classes != "all" else "")


def _pairs(method: Method, dataset: str, cells: dict, notes: list[str]) -> tuple[Number | None, Number | None]:
    """Returns base and new over the seeds that have both; each over its own if no seed has both."""
    base, new = cells.get("base", {}), cells.get("new", {})
    both = base.keys() & new.keys()
    if both:
        for name, part, other in (("base", base, "new"), ("new", new, "base")):
            for seed in sorted(part.keys() - both, key=str):
                notes.append(f"{method.label} on {dataset}: seed {seed} has no {other} result, its {name} is left out")
        base, new = ({s: r for s, r in part.items() if s in both} for part in (base, new))
    return number(base), number(new)


def _averaged(blocks: list[Block], groups: list[list[str]]) -> tuple[list[Row], list[int | None]]:
    """Returns rows of averages, and for each group of columns the number of datasets that they are over.

    These are the datasets that all methods with these columns have; None if no method has the columns.
    """
    rows = [Row(row.label, {}, row.method) for row in blocks[0].rows]
    counts = []
    for group in groups:
        there = [i for i in range(len(rows)) if any(_has(b.rows[i], group) for b in blocks)]
        whole = [b for b in blocks if all(_has(b.rows[i], group) for i in there)]
        counts.append(len(whole) if there else None)
        for i in there if whole else ():
            rows[i].values |= {c: average([b.rows[i].number(c) for b in whole]) for c in group}
    return rows, counts


def _averages(blocks: list[Block], needed: list[list[str]], notes: list[str]) -> list[Block]:
    """Returns the block of averages."""
    if len(blocks) < 2:
        return []
    rows, found = _averaged(blocks, needed)
    for row in rows:
        if "base" in row.values:
            row.values["H"] = harmonic(row.number("base"), row.number("new"))
    counts = {", ".join(group): n or 0 for group, n in zip(needed, found, strict=True)}
    which = "datasets" if len(rows) == 1 else "datasets that all methods have"
    if len(set(counts.values())) == 1:
        n = next(iter(counts.values()))
        if n == len(blocks):
            return [Block(f"{AVERAGE} over {n} datasets", rows)]
        notes.append(f"The average is over the {n} of {len(blocks)} {which}")
        return [Block(f"{AVERAGE} over {n} of {len(blocks)} datasets", rows)] if n else []
    notes.append(f"Averages are over the {which}: " + ", ".join(f"{c} over {n}" for c, n in counts.items()))
    return [Block(AVERAGE, rows)]


def _has(row: Row, columns: list[str]) -> bool:
    return all(row.values.get(column) is not None for column in columns)


def _few_shot(all_runs: list[Run], runs: list[Run], key: dict) -> Table:
    names = {_dataset_and_classes(run) for run in runs}
    runs = runs + _zero_shot(all_runs, key["backbone"], {run.dataset for run in runs})
    found = methods(runs, lambda run: (_dataset_and_classes(run), _shots(run)))
    columns = {cell[1] for method in found for cell in method.cells}
    shots = sorted(columns, key=lambda s: int(s) if s.isdigit() else math.inf)
    blocks = []
    for dataset in _ordered(names):
        rows = [Row(m.label, {s: number(m.cells.get((dataset, s), {})) for s in shots}, m) for m in found]
        blocks.append(Block(dataset, rows))
    notes: list[str] = []
    blocks += _shot_averages(blocks, shots, notes)
    return _table(key, shots, blocks, runs, found, notes, corner="method \\ shots")


def _shots(run: Run) -> str:
    if run.is_zero_shot:
        return "0"
    return "all" if run.shots is not None and run.shots < 1 else str(run.shots)


def _shot_averages(blocks: list[Block], shots: list[str], notes: list[str]) -> list[Block]:
    """Returns the block of averages per number of shots."""
    if len(blocks) < 2:
        return []
    rows, found = _averaged(blocks, [[shot] for shot in shots])
    counts = {shot: len(blocks) if n is None else n for shot, n in zip(shots, found, strict=True)}
    if len(set(counts.values())) == 1 and counts[shots[0]] == len(blocks):
        return [Block(f"{AVERAGE} over {len(blocks)} datasets", rows)]
    parts = ", ".join(f"{n} at {shot} shot{'s' * (shot != '1')}" for shot, n in counts.items())
    notes.append(f"Averages are over the datasets that all methods have, of {len(blocks)}: {parts}")
    return [Block(AVERAGE, rows)]


def _across_datasets(all_runs: list[Run], runs: list[Run], key: dict) -> Table:
    source = key["source"]
    targets = {run.dataset for run in runs}
    asked = {(run.trainer, run.config, run.seed) for run in runs}
    learned_here = [
        run for run in all_runs
        if run.protocol == "few_shot" and run.dataset == source and run.backbone == key["backbone"]
        and run.shots == key["shots"] and run.selection == key["selection"]
        and (run.trainer, run.config, run.seed) in asked
    ]  # fmt: skip
    joined = runs + learned_here
    if not learned_here:
        targets.discard(source)
    if key["protocol"] in TRANSFERS:
        joined = joined + _zero_shot(all_runs, key["backbone"], targets | {source})
    found = methods(joined, lambda run: (run.dataset, run.classes))
    if source:  # a source run with settings of no evaluation is another experiment
        found = [m for m in found if m.is_zero_shot or any(run.protocol == key["protocol"] for run in m.runs)]
    rest = _ordered({cell[0] for m in found for cell in m.cells} - {source})
    names = ([source] if source else []) + rest
    several = len({cell[1] for m in found for cell in m.cells}) > 1
    columns, rows = [], [Row(m.label, {}, m) for m in found]
    for name in names:
        parts = sorted({cell[1] for m in found for cell in m.cells if cell[0] == name}) or ["all"]
        for part in parts:
            column = f"{name} ({part})" if several and part != "all" else name
            columns.append(column)
            for method, row in zip(found, rows, strict=True):
                row.values[column] = number(method.cells.get((name, part), {}))
    averaged = [c for c in columns if c != source]
    whole = [c for c in averaged if all(row.values[c] for row in rows)]
    notes = []
    if len(averaged) > 1:
        column = f"{AVERAGE} ({len(whole)})"
        columns.append(column)
        for row in rows:
            row.values[column] = average([row.number(c) for c in whole])
        if len(whole) < len(averaged):
            lack = ", ".join(c for c in averaged if c not in whole)
            notes.append(
                f"The average is over the {len(whole)} of {len(averaged)} columns that all have, without {lack}"
            )
    if source and not any(row.values[source] for row in rows if not row.is_zero_shot):
        notes.append(f"{source}: no run of the source itself in these folders")
    return _table(key, columns, [Block("", rows)], joined, found, notes)


def _zero_shot(runs: list[Run], backbone: str, datasets: set) -> list[Run]:
    """Returns zero-shot results on the same data, which learned methods are compared with."""
    return [
        run for run in runs
        if run.protocol == "zeroshot" and run.is_zero_shot and run.backbone == backbone and run.classes == "all"
        and run.dataset in datasets
    ]  # fmt: skip


def _table(key, columns, blocks, runs, found, notes, corner="method") -> Table:
    title = TITLES.get(key["protocol"], key["protocol"])
    title += f" from {key['source']}" if key["source"] else ""
    notes = notes + [note for method in found for note in method.notes]
    hashes = {run.hash("backbone") for run in runs} - {None}
    details = [f"weights of the backbone {next(iter(hashes))[:12]}"] if len(hashes) == 1 else []
    if len(hashes) > 1:
        notes.append(f"The methods have different weights of the backbone {key['backbone']}")
    shots = f"{key['shots']} shots" if isinstance(key["shots"], int) and key["shots"] >= 0 else None
    shots = "few shots, see the columns" if key["protocol"] == "few_shot" else shots
    selection = f"selection: {key['selection']}" if key["selection"] else None
    tests = defaultdict(set)
    for run in runs:
        if run.hash("test"):
            tests[run.dataset, run.classes].add(run.hash("test"))
    if differing := sorted({name for (name, _), found in tests.items() if len(found) > 1}):
        notes.append(f"The methods were tested on different images of {', '.join(differing)}: compare with care")
    elif tests:
        every = hashlib.sha256("".join(sorted(h for found in tests.values() for h in found)).encode()).hexdigest()
        details.append(f"test images {(every if len(tests) > 1 else next(iter(next(iter(tests.values())))))[:12]}")
    used = sorted({run.seed for run in runs if not run.is_zero_shot and run.seed is not None})
    seeds = f"seeds {' '.join(map(str, used))}" if used else None
    known = [f"protocol {key['protocol']}", f"backbone {key['backbone']}", shots, selection, seeds]
    conflicts = {files: text for method in found for files, text in method.conflicts.items()}
    facts = [fact for fact in known if fact]
    return Table(title, facts, columns, blocks, notes, key, corner, conflicts=conflicts, details=details)


def _ordered(names) -> list[str]:
    """Sorts datasets as the papers do; other datasets follow by name."""
    rank = {name: i for i, name in enumerate(table_order())}
    return sorted(names, key=lambda name: (rank.get(name, len(rank)), name))
