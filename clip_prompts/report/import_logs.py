"""Records made from output folders of upstream's programs.

Facts come from the log and from the folder's name. Unknown facts are null, and the record has ``"imported": true``.
"""

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

from clip_prompts.common.dataset_sets import papers, reader_name
from clip_prompts.common.files import read_text, write_text_atomically
from clip_prompts.common.method_facts import read_facts
from clip_prompts.common.text import one_line
from clip_prompts.records.results_file import FILE, read_records
from clip_prompts.records.schema import problem
from clip_prompts.report.reading import ReportError
from clip_prompts.report.upstream_logs import END, RESULT, arguments, config, logs_of, read_lines, values

Value = TypeVar("Value", str, int)

# Upstream's folders, below any output folder.
_PATTERNS = (
    r"base2new/(?P<part>train_base|test_base|test_new)/(?P<data>[^/]+)/shots_(?P<shots>\d+)[^/]*/(?P<trainer>[^/]+)"
    r"/(?P<cfg>[^/]+)(?P<variant>/.+)?/seed(?P<seed>\d+)",
    r"evaluation/((?P<from>[^/]+)/)??(?P<trainer>[^/]+)/(?P<cfg>[^/]+)_(?P<shots>\d+)shots(?P<variant>/.+)?"
    r"/(?P<data>[^/]+)/seed(?P<seed>\d+)",
    r"(?P<trainer>ZeroshotCLIP\d*)/(?P<cfg>[^/]+)/(?P<data>[^/]+)",
    r"(?P<data>[^/]+)/(?P<trainer>[^/]+)/(?P<cfg>[^/]+)_(?P<shots>\d+)shots(?P<variant>/.+)?/seed(?P<seed>\d+)",
)


def import_logs(folders: Iterable[str | Path], say=print) -> int:
    """Write ``results.json`` next to every log with a result below the folders. Returns the number of records.

    A folder keeps a ``results.json`` of our own. ``say`` is called with a line for every log that is skipped.
    Raises ReportError: no such folder, or no log below it.
    """
    runs: dict[Path, None] = {}
    for folder in map(Path, folders):
        if not folder.is_dir():
            raise ReportError(f"There is no folder '{folder}'. Give the output folder of your runs")
        logs = {f.parent for f in folder.rglob("log.txt*") if f.is_file()}
        runs |= dict.fromkeys(sorted(logs))
    if not runs:
        raise ReportError("There is no log.txt in these folders. Give the output folder of your runs")
    count = 0
    for run in runs:
        target = run / FILE
        if target.exists() and not _imported(target):
            continue
        record = record_of(run)
        if isinstance(record, str):
            say(f"Not imported: {run}: {record}")
            continue
        text = json.dumps([record], indent=1) + "\n"
        if not target.exists() or read_text(target) != text:
            write_text_atomically(target, text)
        count += 1
    return count


def record_of(folder: Path) -> dict | str:
    """Returns the record of a run's folder, or why there is none."""
    for log in logs_of(folder):
        lines = read_lines(log)
        given = arguments(lines)
        loads = given.get("eval_only") == "True"
        # without arguments in the log, an evaluation is known by the missing end of a training
        markers = (RESULT,) if loads or (not given and not any(line.strip() in END for line in lines)) else END
        if values(lines, "accuracy", markers):
            return _record(folder, lines, given, markers)
    return "no log with a result (the run did not end)"


def _record(folder: Path, lines: list[str], given: dict, markers: tuple) -> dict | str:
    path = _path_facts(folder)
    settings = config(lines)
    trainer = _setting(settings, "TRAINER.NAME", str) or path.get("trainer")
    dataset = _setting(settings, "DATASET.NAME", str) or reader_name(path.get("data", ""))
    if not trainer or not dataset:
        return "neither the log nor the folder's name has the trainer and the dataset"
    of_part = {"train_base": "base", "test_base": "base", "test_new": "new"}
    classes = _setting(settings, "DATASET.SUBSAMPLE_CLASSES", str) or of_part.get(path.get("part", ""), "all")
    backbone = _setting(settings, "MODEL.BACKBONE.NAME", str) or _backbone(path.get("cfg"))
    if not backbone:
        return "neither the log nor the folder's name has the backbone"
    shots = int(path["shots"]) if "shots" in path else _setting(settings, "DATASET.NUM_SHOTS", int)
    seed = _setting(settings, "SEED", int)
    seed = int(path["seed"]) if seed is None and "seed" in path else seed
    loaded = None
    if given.get("model_dir"):
        epoch = given.get("load_epoch", "")
        epoch = int(epoch) if re.fullmatch("[0-9]{1,9}", epoch) else None
        loaded = {"model_dir": given["model_dir"], "load_epoch": epoch}
    zero_shot = read_facts(trainer).is_zero_shot
    source = _source(path, dataset, classes, shots, seed, loaded, zero_shot)
    total, correct = (_last_count(lines, name) for name in ("total", "correct"))
    accuracy = 100.0 * correct / total if total and correct is not None else values(lines, "accuracy", markers)[-1]
    metrics: dict[str, float | None] = {"accuracy": accuracy, "error_rate": 100.0 - accuracy}
    metrics["macro_f1"] = next(iter(values(lines, "macro_f1", markers)[::-1]), None)
    final = _setting(settings, "TEST.FINAL_MODEL", str)
    selection = {"best_val": "best epoch on the validation set", "last_step": "last epoch"}.get(final or "")
    record = {
        "format": 2,
        "imported": True,
        "protocol": _protocol(path, dataset, classes, source, zero_shot),
        "split": "test",
        "images": total,
        "metrics": metrics,
        "counts": {"total": total, "correct": correct},
        "trainer": trainer,
        "dataset": dataset,
        "classes": classes,
        "shots": shots,
        "seed": seed,
        "backbone": backbone,
        "selection": selection,
        "precision": _setting(settings, f"TRAINER.{trainer.upper()}.PREC", str),
        "config": Path(given["config_file"]).stem if given.get("config_file") else path.get("config"),
        "source": source,
        "loaded": loaded,
        "settings": settings or None,
        **dict.fromkeys(("time", "epoch", "seconds", "recipe", "learned", "hashes", "versions")),
    }
    line = problem(record)
    return one_line(f"the log: {line}") if line else record


def _setting(settings: dict, key: str, kind: type[Value]) -> Value | None:
    """Returns the value of a dotted key in the config; None if it is missing or of another kind."""
    node: object = settings
    for part in key.split("."):
        node = node.get(part) if isinstance(node, dict) else None
    return node if isinstance(node, kind) and not isinstance(node, bool) and node != "" else None


def _path_facts(folder: Path) -> dict[str, str]:
    text = folder.resolve().as_posix()
    for pattern in _PATTERNS:
        match = re.search(rf"(?:^|/){pattern}$", text)
        if match:
            facts = {key: value for key, value in match.groupdict().items() if value}
            facts |= {"kind": "evaluation"} if pattern.startswith("evaluation") else {}
            return facts | {"config": facts["cfg"] + facts.get("variant", "")}
    return {}


def _source(path, dataset, classes, shots, seed, loaded, zero_shot) -> dict | None:
    """Returns the training data of a loaded model; None for a run that trained."""
    if path.get("kind") == "evaluation" and not zero_shot:
        origin, learned = reader_name(path.get("from", "imagenet")), "all"
    elif not zero_shot and (path.get("part") in ("test_new", "test_base") or (loaded and classes == "new")):
        origin, learned = dataset, "base"
    else:
        return None
    return {
        "dataset": origin, "classes": learned, "shots": shots, "seed": seed,
        "recipe": None, "config": path.get("config"),
    }  # fmt: skip


def _protocol(path, dataset, classes, source, zero_shot) -> str:
    if "part" in path or classes in ("base", "new"):
        return "base2new"
    if source and source["dataset"] != dataset:
        return "domain_generalization" if dataset in map(reader_name, papers().variants) else "cross_dataset"
    return "zeroshot" if zero_shot else "few_shot"


def _backbone(cfg: str | None) -> str | None:
    """Returns the backbone of upstream's config names: rn50_ep50, vit_b16_c4_..."""
    match = re.match(r"(rn50x\d+|rn50|rn101|vit_b16|vit_b32|vit_l14)(?:_|$)", cfg or "")
    names = {"vit_b16": "ViT-B/16", "vit_b32": "ViT-B/32", "vit_l14": "ViT-L/14"}
    return names.get(match[1], match[1].replace("rn", "RN")) if match else None


def _last_count(lines: list[str], name: str) -> int | None:
    found = [m[1] for m in (re.fullmatch(rf"\* {name}: ([0-9][0-9,]{{0,17}})", line.strip()) for line in lines) if m]
    return int(found[-1].replace(",", "")) if found else None


def _imported(file: Path) -> bool:
    records = read_records(file)
    return bool(records) and all(isinstance(r, dict) and r.get("imported") for r in records or ())
