"""Metrics of an evaluation, against scikit-learn and plain NumPy."""

import json

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, log_loss
from torchmetrics.functional.classification import multiclass_calibration_error

from clip_prompts.records.metrics import BINS, PredictionLog, nothing, summarize


def outputs(n, classes, dtype=torch.float32, scale=3.0, occurring=None, seed=0):
    """Scores (n, classes) that are right about half the time, and labels (n,), of the first ``occurring`` classes."""
    generator = torch.Generator().manual_seed(seed)
    label = torch.randint(occurring or classes, (n,), generator=generator)
    score = torch.randn(n, classes, generator=generator)
    score[torch.arange(n), label] += torch.rand(n, generator=generator) * 3
    return (scale * score).to(dtype), label


CASES = {
    "ten classes": outputs(997, 10),
    "labels that never occur": outputs(300, 12, occurring=3),
    "one class": outputs(20, 1),
    "a thousand classes": outputs(3000, 1000),
    "bf16": outputs(500, 7, torch.bfloat16),
    "fp16": outputs(500, 7, torch.float16),
    "certain": outputs(400, 5, scale=100.0),
    "one image": outputs(1, 4),
}


def plain_ece(p, label):
    """Top-label expected calibration error in percent, one image after the other, over bins [i/15, (i+1)/15)."""
    bins = [[] for _ in range(15)]
    for row, y in zip(p, label, strict=True):
        top = int(np.argmax(row))
        place = next((i for i in range(15) if row[top] < np.float32((i + 1) / 15)), 14)
        bins[place].append((row[top], top == y))
    gaps = [len(b) * abs(np.mean([h for _, h in b]) - np.mean([float(c) for c, _ in b])) for b in bins if b]
    return 100 * sum(gaps) / len(label)


@pytest.mark.filterwarnings("ignore:A single label was found")
@pytest.mark.parametrize("name", CASES)
def test_values(name):
    output, label = CASES[name]
    log, classes = PredictionLog(), output.shape[1]
    for start in range(0, len(label), 128):
        log.add(output[start : start + 128], label[start : start + 128])
    found = summarize(log, {c: f"class {c}" for c in range(classes)})
    json.dumps(found, allow_nan=False)

    y, p = label.numpy(), torch.softmax(output.float(), dim=1).numpy()
    prediction = output.float().numpy().argmax(axis=1)
    metrics, every = found["metrics"], list(range(classes))
    assert metrics["accuracy"] == pytest.approx(100 * accuracy_score(y, prediction), abs=1e-9)
    assert metrics["accuracy"] + metrics["error_rate"] == 100
    f1 = f1_score(y, prediction, average="macro", labels=np.unique(y), zero_division=0)
    assert metrics["macro_f1"] == pytest.approx(100 * f1, abs=1e-9)
    assert metrics["ece"] == pytest.approx(plain_ece(p, y), abs=1e-3)
    if classes > 1 and name != "certain":  # torchmetrics has a bin of its own for certainty
        theirs = multiclass_calibration_error(torch.from_numpy(p), label, classes, n_bins=BINS, norm="l1")
        assert metrics["ece"] == pytest.approx(100 * theirs.item(), abs=1e-3)
    exact = torch.log_softmax(output.double(), dim=1).gather(1, label[:, None]).mean().neg().item()
    assert metrics["nll"] == pytest.approx(exact, rel=1e-5, abs=1e-6)
    if classes > 1 and name != "certain":  # scikit-learn clips probabilities
        exact_p = torch.softmax(output.double(), dim=1).numpy()
        assert metrics["nll"] == pytest.approx(log_loss(y, exact_p, labels=every), rel=1e-5)

    matrix = confusion_matrix(y, prediction, labels=every)
    assert found["counts"] == {"total": len(y), "correct": int(np.trace(matrix))}
    assert [(c["label"], c["name"], c["total"], c["correct"]) for c in found["per_class"]] == [
        (c, f"class {c}", int(matrix[c].sum()), int(matrix[c, c])) for c in every
    ]
    errors = {(t, q): n for t, q, n in found["confusion"]}
    assert len(errors) == len(found["confusion"])
    assert errors == {(t, q): matrix[t, q] for t, q in zip(*np.nonzero(matrix), strict=True) if t != q}
    assert [n for _, _, n in found["confusion"]] == sorted(errors.values(), reverse=True)

    table = found["calibration"]
    assert len(table) == BINS == 15 and sum(b["count"] for b in table) == len(y)
    assert all((b["confidence"] is None) == (b["accuracy"] is None) == (b["count"] == 0) for b in table)
    gaps = [b["count"] * abs(b["accuracy"] - b["confidence"]) for b in table if b["count"]]
    assert 100 * sum(gaps) / len(y) == pytest.approx(metrics["ece"], abs=1e-3)
    for i, row in enumerate(table):
        assert not row["count"] or i / 15 - 1e-6 <= row["confidence"] <= (i + 1) / 15 + 1e-6


def test_certainty_is_in_the_last_bin():
    log = PredictionLog()
    log.add(torch.tensor([[1000.0, 0.0], [1000.0, 0.0], [3.0, 0.0]]), torch.tensor([0, 1, 0]))
    found = summarize(log, {})
    assert [b["count"] for b in found["calibration"]] == [0] * 14 + [3]
    mean = (2 + 1 / (1 + np.exp(-3))) / 3
    assert found["metrics"]["ece"] == pytest.approx(100 * (mean - 2 / 3), abs=1e-4)
    assert found["per_class"][1] == {"label": 1, "name": None, "total": 1, "correct": 0}


def test_a_class_without_a_score_is_an_error_of_infinite_surprise():
    log = PredictionLog()
    log.add(torch.tensor([[2.0, 0.0], [2.0, 0.0]]), torch.tensor([0, 4]))
    found = summarize(log, {c: str(c) for c in range(6)})
    assert found["counts"] == {"total": 2, "correct": 1} and found["confusion"] == [[4, 0, 1]]
    assert found["metrics"]["nll"] is None and len(found["per_class"]) == 6


def test_scores_that_are_not_numbers():
    log = PredictionLog()
    log.add(torch.tensor([[float("nan"), 0.0], [2.0, 0.0]]), torch.tensor([0, 0]))
    found = summarize(log, {})
    assert found["metrics"]["ece"] is found["metrics"]["nll"] is None
    assert sum(b["count"] for b in found["calibration"]) == 1


@pytest.mark.parametrize("output", [None, {"logits": 1}, torch.zeros(2, 3, 4), torch.zeros(2), torch.zeros(3, 2)])
def test_what_is_no_classification_gives_nothing(output):
    log = PredictionLog()
    log.add(torch.zeros(2, 3), torch.zeros(2, dtype=torch.long))
    log.add(output, torch.zeros(2, dtype=torch.long))
    assert summarize(log, {0: "a"}) == nothing()
    assert summarize(PredictionLog(), {0: "a"}) == nothing()  # no batch at all


def test_a_batch_is_not_waited_for_and_not_kept():
    """On the device "meta", which has no values, everything that would wait for one fails."""
    log = PredictionLog()
    log.add(torch.empty(64, 1000, device="meta"), torch.empty(64, dtype=torch.long, device="meta"))
    assert log.readable
    log = PredictionLog()
    log.add(torch.zeros(64, 1000), torch.zeros(64, dtype=torch.long))
    kept = [tensor for batch in log._batches for tensor in batch]
    assert sum(t.untyped_storage().nbytes() for t in kept) == 64 * (8 + 8 + 4 + 4)
