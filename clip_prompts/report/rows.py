"""``--runs``: a CSV file with a row per evaluation, for pandas, R or a spreadsheet."""

import csv
import io
import json
from collections.abc import Iterable

from clip_prompts.common.text import csv_cell
from clip_prompts.common.trees import branch, flat
from clip_prompts.report.reading import Run

# Columns of every file, in this order. A dotted name is a field inside an object of the record.
COLUMNS = (
    "folder", "method", "protocol", "split", "trainer", "dataset", "label", "classes", "shots", "seed", "backbone",
    "config", "recipe", "precision", "selection", "epoch", "epochs.run", "epochs.planned", "schedule",
    "source.dataset", "source.label", "source.classes", "source.shots", "source.seed", "source.recipe",
    "source.config", "loaded.model_dir", "loaded.load_epoch",
    "metrics.accuracy", "metrics.error_rate", "metrics.macro_f1", "metrics.ece", "metrics.nll",
    "counts.total", "counts.correct", "images", "images_trained_on.total", "images_trained_on.fewest",
    "images_trained_on.most", "learned",
    "seconds", "train_seconds", "cost.step_seconds", "cost.train_images_per_second", "cost.test_images_per_second",
    "cost.device", "memory.process_mib", "memory.cuda_mib",
    "identity", "hashes.config", "hashes.backbone", "hashes.train_x", "hashes.val", "hashes.test", "sha256",
    "time", "format", "imported",
)  # fmt: skip
# Objects whose other fields follow, by name: metrics of an evaluator of one's own, packages, settings.
OPEN = ("metrics", "counts", "cost", "memory", "hashes", "weights", "versions", "settings")


def render_rows(runs: Iterable[Run]) -> str:
    """Returns the CSV text: ``COLUMNS``, then all other fields of ``OPEN`` that occur, such as ``settings.OPTIM.LR``.

    A field that a record lacks is an empty cell. A list is JSON. Texts that a spreadsheet would run as formulas are
    marked, see ``csv_cell``.
    """
    rows = [_row(run) for run in runs]
    found = {name for row in rows for name in row if name not in COLUMNS}
    columns = [*COLUMNS, *sorted(found, key=lambda name: (OPEN.index(name.partition(".")[0]), name))]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(map(csv_cell, columns))
    for row in rows:
        writer.writerow([csv_cell(_text(row.get(name))) for name in columns])
    return out.getvalue()


def _row(run: Run) -> dict[str, object]:
    record = run.record | {"weights": _weights(run.record)}
    own = {name: record.get(name) for name in COLUMNS if "." not in name}
    inner = {name: branch(record, (part := name.partition("."))[0]).get(part[2]) for name in COLUMNS if "." in name}
    rest = {
        f"{group}.{name}": value for group in OPEN for name, value in flat(branch(record, group)).items()
        if f"{group}.{name}" not in COLUMNS
    }  # fmt: skip
    known = {
        "folder": str(run.path.parent), "method": run.method, "protocol": run.protocol, "label": run.dataset,
        "shots": run.shots,
    }  # fmt: skip
    return own | inner | rest | known


def _weights(record: dict) -> dict[str, dict]:
    """Returns the checkpoints of the tested model by the model's name, with file, hash and epoch."""
    listed = record.get("weights")
    entries = [entry for entry in listed if isinstance(entry, dict)] if isinstance(listed, list) else []
    return {str(e.get("model")): {name: value for name, value in e.items() if name != "model"} for e in entries}


def _text(value: object) -> object:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else value
