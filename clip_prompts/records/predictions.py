"""``predictions.csv``: the model's prediction for every test image."""

import csv
import io
import os
from pathlib import Path

import numpy as np

from clip_prompts.common.files import write_text_atomically
from clip_prompts.common.text import csv_cell

from .metrics import PredictionLog

FILE = "predictions.csv"
COLUMNS = ("path", "label", "prediction", "probability", "label_index", "prediction_index")


def write_predictions(folder: str, top: str, predictions: PredictionLog, names: dict[int, str]) -> None:
    """Write a row per image, in the order of the evaluation, atomically.

    Columns: the path (below ``top`` if it is there), the true and the predicted class by name, the probability of the
    prediction, and both classes as indices, which differ even if two classes share a name.

    Args:
        folder: output folder of the run. top: the dataset's image folder, which its split file counts from too.
        predictions: of the evaluation. names: label -> class name.
    """
    columns, paths = predictions.columns(), predictions.paths
    if columns is None or len(paths) != len(columns[0]):
        print(f"Warning: {FILE} is not written: the trainer does not say which image an output belongs to")
        return
    prefix = os.path.join(os.path.abspath(os.path.expanduser(top)), "")
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for path, label, prediction, probability in zip(paths, *(c.tolist() for c in columns[:3]), strict=True):
        place = os.path.abspath(path).removeprefix(prefix)
        shown = np.format_float_positional(np.float32(probability))
        row = [place, names.get(label, label), names.get(prediction, prediction), shown, label, prediction]
        writer.writerow(map(csv_cell, row))
    path = Path(folder) / FILE
    write_text_atomically(path, text.getvalue())
    print(f"Predictions of {len(paths):,} images: {path}")
