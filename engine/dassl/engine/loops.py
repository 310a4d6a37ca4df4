"""Trainers whose epochs take labelled images, or labelled and unlabelled ones."""

from dassl.utils import ConfigError, UnknownNameError

from .simple import SimpleTrainer


class TrainerX(SimpleTrainer):
    """Trains on labelled images. A subclass writes ``forward_backward(batch)``.

    It returns a dict of losses to report, or None, and calls ``update_lr()`` itself on the last
    batch of an epoch (``batch_idx + 1 == num_batches``).
    """

    def run_epoch(self):
        self.set_model_mode("train")
        self.num_batches = len(self.train_loader_x)
        self._run_batches(zip(self.train_loader_x), self.cfg.TRAIN.PRINT_FREQ)

    def parse_batch_train(self, batch):
        """Return images (B, 3, H, W), labels (B,) and domains (B,) on the device."""
        return tuple(self._to_device(batch[key]) for key in ("img", "label", "domain"))


class TrainerXU(SimpleTrainer):
    """Trains on labelled and unlabelled images. A subclass writes ``forward_backward(batch_x, batch_u)``.

    TRAIN.COUNT_ITER says which loader an epoch goes through once: ``train_x``, ``train_u`` or
    ``smaller_one``. The other one starts again when it is exhausted.
    """

    def run_epoch(self):
        self.set_model_mode("train")
        if self.train_loader_u is None:
            raise ConfigError(
                f"{type(self).__name__} needs unlabelled images, but the dataset {self.cfg.DATASET.NAME} has none. "
                "If it has domains, set DATASET.UNLABELED to target; otherwise set DATASET.NUM_LABELED or NUM_SHOTS."
            )
        len_x, len_u = len(self.train_loader_x), len(self.train_loader_u)
        lengths = {"train_x": len_x, "train_u": len_u, "smaller_one": min(len_x, len_u)}
        count_iter = self.cfg.TRAIN.COUNT_ITER
        if count_iter not in lengths:
            raise UnknownNameError(f"Unknown TRAIN.COUNT_ITER '{count_iter}'. Known: {', '.join(lengths)}")
        self.num_batches = lengths[count_iter]
        self._run_batches(self._pairs(), self.cfg.TRAIN.PRINT_FREQ)

    def _pairs(self):
        # Both iterators first, then the batches: each of the four draws from torch's generator.
        x, u = _Endless(self.train_loader_x), _Endless(self.train_loader_u)
        for _ in range(self.num_batches):
            yield next(x), next(u)

    def parse_batch_train(self, batch_x, batch_u):
        """Return images (B, 3, H, W) and labels (B,) of ``batch_x``, images of ``batch_u``, on the device."""
        return self._to_device(batch_x["img"]), self._to_device(batch_x["label"]), self._to_device(batch_u["img"])


class _Endless:
    """Batches of a loader, which is started again whenever it is exhausted."""

    def __init__(self, loader):
        self.loader = loader
        self.batches = iter(loader)

    def __next__(self):
        try:
            return next(self.batches)
        except StopIteration:
            self.batches = iter(self.loader)
            return next(self.batches)
