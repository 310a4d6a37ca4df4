"""Metrics of an evaluation, from the outputs and labels of its batches.

Accuracy and macro F1 stay the evaluator's own. This module adds calibration, negative log-likelihood, results per
class and confusions. Probabilities are the softmax of the model's output in float32.

"On Calibration of Modern Neural Networks", ICML 2017, section 2: the expected calibration error is the mean
|accuracy - confidence| over equal bins of the top label's probability, weighted with their shares of images.
"""

from collections.abc import Iterable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

BINS = 15


class PredictionLog:
    """Four numbers per image of an evaluation, and the image paths.

    The numbers stay on the model's device: reading them there would make the CPU wait for each batch.

    ``readable`` is False after a batch that is not a pair of class scores (B, C) and labels (B,).
    """

    def __init__(self) -> None:
        self.readable, self.num_classes = True, 0
        self.paths: list[str] = []
        self._batches: list[tuple[Tensor, ...]] = []

    @torch.no_grad()
    def add(self, output: Tensor, label: Tensor, paths: Iterable[str] = ()) -> None:
        """Add a batch: class scores (B, C) of any floating type, true classes (B,) and the paths of the images."""
        self.paths.extend(paths)
        tensors = isinstance(output, Tensor) and isinstance(label, Tensor)
        if not tensors or output.dim() != 2 or label.shape != output.shape[:1] or not output.is_floating_point():
            self.readable = False
            return
        label = label.detach().to(output.device, torch.int64, non_blocking=True)
        width = output.shape[1]
        self.num_classes = max(self.num_classes, width)
        log_p = F.log_softmax(output.detach().float(), dim=1)
        prediction = output.detach().argmax(dim=1)  # as the evaluator decides
        confidence = log_p.gather(1, prediction[:, None])[:, 0].exp()
        known = (label >= 0) & (label < width)  # the model may have no score for a class: then its probability is 0
        own = log_p.gather(1, label.clamp(0, width - 1)[:, None])[:, 0]
        self._batches.append((label, prediction, confidence, torch.where(known, -own, torch.inf)))

    def columns(self) -> tuple[np.ndarray, ...] | None:
        """Return label, prediction (int64), confidence and negative log-likelihood (float32) per image, (N,) each.

        None if there is nothing, or something unreadable.
        """
        if not self.readable or not self._batches:
            return None
        return tuple(torch.cat(parts).cpu().numpy() for parts in zip(*self._batches, strict=True))


def summarize(predictions: PredictionLog, names: dict[int, str]) -> dict:
    """Return the parts of a record that an evaluation gives; see ``nothing`` for the keys.

    Args:
        predictions: of the evaluation. names: label -> class name.
    """
    columns = predictions.columns()
    if columns is None:
        return nothing()
    label, prediction, confidence, nll = columns
    classes = max(predictions.num_classes, int(max(label.max(), prediction.max())) + 1, *(n + 1 for n in names))
    matrix = _confusion_matrix(label, prediction, classes)
    total, hits = matrix.sum(axis=1), np.diagonal(matrix)
    calibration = _calibration(confidence, label == prediction)
    correct = int(hits.sum())
    return {
        "metrics": {
            "accuracy": 100.0 * correct / len(label),
            "error_rate": 100.0 - 100.0 * correct / len(label),
            "macro_f1": _macro_f1(matrix),
            "ece": _ece(calibration, len(label)),
            "nll": finite(nll.mean(dtype=np.float64)),
        },
        "counts": {"total": len(label), "correct": correct},
        "per_class": [
            {"label": c, "name": names.get(c), "total": int(total[c]), "correct": int(hits[c])} for c in range(classes)
        ],
        "confusion": _confusions(matrix),
        "calibration": calibration,
    }


def nothing() -> dict:
    """Return what ``summarize`` returns if there is nothing to read."""
    return {
        "metrics": {"ece": None, "nll": None},
        "counts": {"total": None, "correct": None},
        "per_class": [],
        "confusion": [],
        "calibration": [],
    }


def finite(value: float) -> float | None:
    """Return a number as JSON knows it; None for one that is infinite or not a number."""
    return float(value) if np.isfinite(value) else None


# torchmetrics has both of these too, but importing it takes a second, a fifth of an evaluation on cached features.


def _confusion_matrix(label: np.ndarray, prediction: np.ndarray, classes: int) -> np.ndarray:
    """Counts (C, C): rows of true, columns of predicted classes."""
    return np.bincount(label * classes + prediction, minlength=classes**2).reshape(classes, classes)


def _ece(calibration: list[dict], images: int) -> float | None:
    """Expected calibration error in percent, of the bins of all images; None if a confidence is not a number."""
    if sum(one["count"] for one in calibration) < images:
        return None
    gaps = (one["count"] * abs(one["accuracy"] - one["confidence"]) for one in calibration if one["count"])
    return 100.0 * sum(gaps) / images


def _macro_f1(matrix: np.ndarray) -> float:
    """Mean F1 in percent over the classes that occur."""
    total, claimed = matrix.sum(axis=1), matrix.sum(axis=0)
    occurs = total > 0
    return float(100.0 * np.mean(2 * np.diagonal(matrix)[occurs] / (total + claimed)[occurs]))


def _confusions(matrix: np.ndarray) -> list[list[int]]:
    """[true, predicted, count] of every error, the most frequent first."""
    errors = matrix - np.diag(np.diagonal(matrix))
    true, predicted = np.nonzero(errors)
    counts = errors[true, predicted]
    order = np.lexsort((predicted, true, -counts))
    return np.stack([true, predicted, counts], axis=1)[order].tolist()


def _calibration(confidence: np.ndarray, hit: np.ndarray) -> list[dict]:
    """Of each bin the number of images, and their mean confidence and accuracy as fractions."""
    edges = torch.linspace(0, 1, BINS + 1).numpy()
    usable = np.isfinite(confidence)
    bins = np.clip(np.searchsorted(edges, confidence[usable], side="right") - 1, 0, BINS - 1)
    count = np.bincount(bins, minlength=BINS)
    weights = (values[usable].astype(np.float64) for values in (confidence, hit))
    sums = [np.bincount(bins, weights=w, minlength=BINS) for w in weights]
    return [
        {"count": int(n), "confidence": float(c / n) if n else None, "accuracy": float(a / n) if n else None}
        for n, c, a in zip(count, *sums, strict=True)
    ]
