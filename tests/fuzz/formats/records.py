"""Records of evaluations, logs of upstream, and the plan of a sweep."""

import json
import re
from pathlib import Path

from PIL import Image

from clip_prompts.common.errors import UserError
from clip_prompts.records.protocols import derive, learned_on, source_of
from clip_prompts.records.results_file import keep_record
from clip_prompts.report.cost import add_cost
from clip_prompts.report.formats import render
from clip_prompts.report.html import render_page
from clip_prompts.report.import_logs import import_logs
from clip_prompts.report.reading import ReportError, collect
from clip_prompts.report.tables import build
from clip_prompts.report.upstream_logs import END, result
from clip_prompts.report.verify import verify
from clip_prompts.sweep import plan
from clip_prompts.sweep.request import Request
from clip_prompts.sweep.status import table
from tests.fuzz.mutate import spoil_json, spoil_text
from tests.kinds.test_hostile_names import ACTS
from tests.tools.records import record

from .base import Format

DETAILS = {
    "per_class": [
        {"label": 0, "name": "cat", "total": 3, "correct": 2},
        {"label": 1, "name": "dog", "total": 3, "correct": 3},
    ],
    "confusion": [[0, 1, 1]],
    "calibration": [
        {"count": 6, "confidence": 0.9, "accuracy": 5 / 6},
        {"count": 0, "confidence": None, "accuracy": None},
    ],
    "curve": [{"epoch": 1, "loss": 2.0, "lr": 0.1}, {"epoch": 2, "loss": 1.0, "lr": 0.1}],
    "cost": {"step_seconds": 0.1, "train_images_per_second": 40.0, "test_images_per_second": 90.0, "device": "CPU"},
}


def result_seeds(folder: Path) -> list[bytes]:
    source = {"dataset": "EuroSAT", "classes": "base", "shots": 16, "seed": 1, "recipe": None, "config": "x"}
    loaded = {"loaded": {"model_dir": "output/x", "load_epoch": 50}, "source": source}
    few = [record(60.0, seed=seed, shots=shots, **DETAILS) for seed in (1, 2) for shots in (1, 16)]
    halves = [
        record(60.0, protocol="base2new", classes=c, **DETAILS, **more) for c, more in (("base", {}), ("new", loaded))
    ]
    few += [record(60.0, trainer="CoCoOp", shots=shots, **DETAILS) for shots in (1, 16)]
    idle = [record(40.0, trainer="ZeroshotCLIP", shots=None, protocol="zeroshot")]
    found = []
    for records in (few, halves, few[:1] + idle):
        file = folder / "results.json"
        file.unlink(missing_ok=True)
        for i, made in enumerate(records):  # an evaluation of its own each, although one run has few
            keep_record(file, made | {"hashes": made["hashes"] | {"config": str(i)}})
        found.append(file.read_bytes())
        plain = [{key: value for key, value in kept.items() if key != "sha256"} for kept in json.loads(found[-1])]
        found.append(json.dumps(plain).encode())  # as of earlier versions; with a checksum, little else is looked at
    return found


def read_results(path: Path) -> None:
    """As a run that loads the model does, as a later evaluation into the same folder, and as a report."""
    source = learned_on(str(path.parent))
    source_of(source)
    derive("all", True, {"dataset": "EuroSAT", "test": "x", "names": ["cat"]}, source)
    runs = collect([path.parent])
    tables = build(runs, None)
    for built in tables:
        add_cost(built)
    for form in ("terminal", "markdown", "latex", "csv"):
        text = render(tables, form, "std")
        assert not ACTS.search(text) and "\n\\input" not in text and not re.search(r"^=|,=", text, re.MULTILINE)
        assert form != "markdown" or ("<script" not in text and not re.search(r"(?<!\\)\]\(", text))
    verify(tables, None)
    page = render_page(runs, tables)
    assert not ACTS.search(page) and "<script>x" not in page
    keep_record(path, record(50.0, **DETAILS))


def prediction_seeds(folder: Path) -> list[bytes]:
    for name in "ab":
        Image.new("RGB", (40, 30)).save(folder / f"{name}.png")
    head = "path,label,prediction,probability,label_index,prediction_index"
    rows = ["a.png,cat,dog,0.75,0,1", "b.png,dog,dog,0.5,1,1"]
    return ["\n".join([head, *some, ""]).encode() for some in (rows, rows[::-1])]


def read_predictions(path: Path) -> None:
    """As the page does: a file that is not as train.py writes it shows no pictures."""
    counts = {"image_dir": str(path.parent), "counts": {"total": 2, "correct": 1}}
    (path.parent / "results.json").write_text(json.dumps([record(50.0, **counts)]))
    runs = collect([path.parent])
    page = render_page(runs, build(runs))
    assert not ACTS.search(page) and "<script>x" not in page and page.count("<img") <= 2


LOG = """***************
** Arguments **
***************
backbone: 
config_file: configs/trainers/CoOp/rn50.yaml
eval_only: False
model_dir: 
seed: 1
************
** Config **
************
DATASET:
  NAME: EuroSAT
  NUM_SHOTS: 16
  SUBSAMPLE_CLASSES: all
INPUT:
  SIZE: (224, 224)
MODEL:
  BACKBONE:
    NAME: RN50
OPTIM:
  LR: 0.002
  STEPSIZE: (-1,)
SEED: 1
TEST:
  FINAL_MODEL: last_step
TRAINER:
  COOP:
    CTX_INIT: 
    N_CTX: 16
    PREC: fp16
  NAME: CoOp
epoch [1/2] batch [1/1] loss 1.0
Finished training
=> result
* total: 8,100
* correct: 6,750
* accuracy: 83.33%
* error: 16.67%
* macro_f1: 83.1%
"""


def log_seeds(folder: Path) -> list[bytes]:
    return [LOG.encode(), LOG[LOG.index("epoch [") :].encode()]


def read_log(path: Path) -> str | None:
    """A log that cannot be imported is named in a line."""
    said: list[str] = []
    (path.parent / "results.json").unlink(missing_ok=True)
    result(path.parent, "accuracy", END)
    count = import_logs([path.parent], said.append)
    if count:
        render(build(collect([path.parent]), None), "terminal", "std")
    return " ".join(said) or None


def plan_seeds(folder: Path) -> list[bytes]:
    request = Request(protocol="base2new", trainers=["CoOp"], datasets=["digits"], seeds=[1], shots=[4])
    plan.save(plan.plan([request]), folder)
    return [(folder / plan.FILE).read_bytes()]


def read_plan(path: Path) -> None:
    jobs = plan.read(path.parent)
    table(jobs, path.parent)
    assert all(str(job.path(path.parent).resolve()).startswith(str(path.parent.resolve())) for job in jobs)
    json.dumps([job.argv(path.parent) for job in jobs])


FORMATS = [
    Format("results record", "results.json", (ReportError, UserError), result_seeds, spoil_json, read_results),
    Format(
        "upstream's log", "EuroSAT/CoOp/rn50_16shots/seed1/log.txt", (ReportError,), log_seeds, spoil_text, read_log
    ),
    Format("predictions", "predictions.csv", (), prediction_seeds, spoil_text, read_predictions),
    Format("plan of a sweep", "sweep.json", (UserError,), plan_seeds, spoil_json, read_plan),
]
