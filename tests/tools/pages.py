"""Records of three methods on two datasets, and their page."""

import pytest

from clip_prompts.report.html import render_page
from clip_prompts.report.reading import collect
from clip_prompts.report.tables import build
from tests.tools.records import record, write

HOSTILE = "<script>window.hacked = 1</script><img src=x onerror='window.hacked = 1'>\"'&</script>"
TRAINERS = {"ZeroshotCLIP": 60.0, "CoOp": 70.0, "CoCoOp": 72.0}


def details(accuracy, names=("cat", HOSTILE, "dog")):
    """Return the part of a record that an evaluation adds, with 100 images per class."""
    classes = [
        {"label": i, "name": name, "total": 100, "correct": round(accuracy) - i * 5} for i, name in enumerate(names)
    ]
    bins = [{"count": 0, "confidence": None, "accuracy": None}] * 13
    bins += [{"count": 200, "confidence": 0.9, "accuracy": 0.6}, {"count": 100, "confidence": 0.95, "accuracy": 0.95}]
    curve = [{"epoch": e, "loss": 2.0 / e, "acc": 50.0, "lr": 0.1} for e in range(1, 6)]
    return {"per_class": classes, "confusion": [[0, 1, 30], [1, 2, 7]], "calibration": bins, "curve": curve}


@pytest.fixture
def folder(tmp_path):
    """Few-shot and base-to-new results of three methods on two datasets."""
    for t, (trainer, level) in enumerate(TRAINERS.items()):
        for d, dataset in enumerate(("EuroSAT", HOSTILE)):
            for seed in (1,) if t == 0 else (1, 2, 3):
                for k in (16,) if t == 0 else (1, 4, 16):
                    accuracy = level + 3.17 * d + 0.71 * seed + k / 2
                    protocol = "zeroshot" if t == 0 else "few_shot"
                    place = tmp_path / "in" / protocol / trainer / str(d) / str(k) / str(seed)
                    write(place, record(accuracy, trainer, dataset, seed=seed, shots=k, protocol=protocol,
                                        **details(accuracy)))  # fmt: skip
                for c, part in enumerate(("base", "new")):
                    accuracy = level + 2.13 * d - 4.3 * c * t + (0.37 + c * 0.2) * seed
                    place = tmp_path / "in" / part / trainer / str(d) / str(seed)
                    write(place, record(accuracy, trainer, dataset, part, seed, protocol="base2new",
                                        **details(accuracy)))  # fmt: skip
    return tmp_path / "in"


@pytest.fixture
def page(folder, tmp_path):
    runs = collect([folder])
    (tmp_path / "page.html").write_text(render_page(runs, build(runs)), encoding="utf-8")
    return tmp_path / "page.html"
