"""Accuracy, macro F1, accuracy per class and the confusion matrix of a classifier."""

import os
from collections import OrderedDict

import numpy as np
import torch

from dassl.utils import ConfigError, EmptyDataError, EvaluationError, mkdir_if_missing
from dassl.utils.atomic import atomic_path
from dassl.utils.errors import printable

from .build import EVALUATOR_REGISTRY


class EvaluatorBase:
    """Interface that a trainer calls: ``reset()``, ``process()`` for each batch, ``evaluate()`` at the end."""

    def __init__(self, cfg):
        self.cfg = cfg

    def reset(self):
        raise NotImplementedError

    def process(self, mo, gt):
        raise NotImplementedError

    def evaluate(self):
        raise NotImplementedError


@EVALUATOR_REGISTRY.register()
class Classification(EvaluatorBase):
    """Metrics of single-label classification.

    Args:
        cfg (CfgNode): TEST.PER_CLASS_RESULT, TEST.COMPUTE_CMAT and OUTPUT_DIR are read.
        lab2cname (dict): label -> class name, for the result per class.

    Raises ConfigError: TEST.PER_CLASS_RESULT without ``lab2cname``.
    """

    def __init__(self, cfg, lab2cname=None, **kwargs):
        super().__init__(cfg)
        if cfg.TEST.PER_CLASS_RESULT and lab2cname is None:
            raise ConfigError(
                "TEST.PER_CLASS_RESULT needs the class names. Pass lab2cname to the evaluator, or set it to False."
            )
        self._lab2cname = lab2cname
        self.reset()

    def reset(self):
        """Forget all batches."""
        self._true, self._predicted, self._undefined = [], [], []

    def process(self, mo, gt):
        """Add a batch: class scores ``mo`` (B, C) and true classes ``gt`` (B,)."""
        # Both stay on their device: reading them here would make the CPU wait for each batch.
        self._predicted.append(mo.detach().argmax(dim=1))
        self._true.append(gt.detach())
        self._undefined.append(mo.detach().isnan().any(dim=1))

    def evaluate(self):
        """Print the result and return it.

        Returns:
            OrderedDict: ``accuracy``, ``error_rate``, ``macro_f1`` (over the classes that occur) and,
            with TEST.PER_CLASS_RESULT, ``perclass_accuracy``; all in percent, in full precision.

        Raises:
            EmptyDataError: (a ZeroDivisionError) no image was processed.
            EvaluationError: (a FloatingPointError) scores are not a number.
        """
        if sum(len(batch) for batch in self._true) == 0:
            raise EmptyDataError("There is nothing to evaluate: the test split has no images. Check the dataset.")
        undefined = int(torch.cat(self._undefined).sum())
        if undefined:
            raise EvaluationError(
                f"The scores of {undefined:,} of {sum(map(len, self._true)):,} images are not a number (NaN): the "
                "model's weights are damaged, or too large for its precision. Load another epoch, or train again."
            )
        true = torch.cat(self._true).cpu().numpy()
        predicted = torch.cat(self._predicted).cpu().numpy()
        total = len(true)
        correct = int((true == predicted).sum())
        accuracy = 100.0 * correct / total
        macro_f1 = 100.0 * _macro_f1(true, predicted)
        results = OrderedDict(accuracy=accuracy, error_rate=100.0 - accuracy, macro_f1=macro_f1)
        print(f"=> result\n* total: {total:,}\n* correct: {correct:,}\n* accuracy: {accuracy:.1f}%")
        print(f"* error: {100.0 - accuracy:.1f}%\n* macro_f1: {macro_f1:.1f}%")
        if self.cfg.TEST.PER_CLASS_RESULT:
            results["perclass_accuracy"] = self._evaluate_classes(true, predicted)
        if self.cfg.TEST.COMPUTE_CMAT:
            self._save_confusion_matrix(true, predicted)
        return results

    def _evaluate_classes(self, true, predicted):
        print("=> per-class result")
        accuracies = []
        for label in np.unique(true).tolist():
            hits = predicted[true == label] == label
            total, correct = len(hits), int(hits.sum())
            accuracies.append(100.0 * correct / total)
            print(
                f"* class: {label} ({printable(str(self._lab2cname[label]))})\t"
                f"total: {total:,}\tcorrect: {correct:,}\tacc: {accuracies[-1]:.1f}%"
            )
        average = np.mean(accuracies)
        print(f"* average: {average:.1f}%")
        return average

    def _save_confusion_matrix(self, true, predicted):
        """Write rows of true, columns of predicted classes, each row summing to 1, to cmat.pt."""
        from sklearn.metrics import confusion_matrix

        matrix = confusion_matrix(true, predicted, normalize="true")
        mkdir_if_missing(self.cfg.OUTPUT_DIR)
        path = os.path.join(self.cfg.OUTPUT_DIR, "cmat.pt")
        # A tensor, because torch.load refuses NumPy arrays by default.
        with atomic_path(path) as temporary:
            torch.save(torch.from_numpy(matrix), temporary)
        print(f"Confusion matrix is saved to {path}")


def _macro_f1(true, predicted):
    """Mean of F1 = 2 TP / (2 TP + FP + FN) over the classes that occur in ``true``.

    scikit-learn has it too, but importing that takes longer than a short run's whole evaluation.
    """
    size = int(max(true.max(), predicted.max())) + 1
    hits = np.bincount(true[true == predicted], minlength=size)
    occurs, claimed = np.bincount(true, minlength=size), np.bincount(predicted, minlength=size)
    present = occurs > 0
    return float(np.mean(2 * hits[present] / (occurs + claimed)[present]))
