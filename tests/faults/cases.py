"""The runs that are killed: five methods, each with and without loader workers, all of them small."""

from dataclasses import dataclass
from pathlib import Path

from tests.conftest import ROOT
from tests.engine.stock import write_pictures

OUTPUT = "out"  # relative to the folder in which a run is started, so that settings and their hashes are the same
_COMMON = ("OPTIM.MAX_EPOCH", "3", "TRAIN.PRINT_FREQ", "1", "FEATURES.DIR", "features")
_PROMPTS = ("DATASET.SUBSAMPLE_CLASSES", "base", "DATALOADER.TRAIN_X.BATCH_SIZE", "2")
_STRONG = "('random_resized_crop', 'random_flip', 'randomgrayscale', 'gaussian_noise', 'normalize')"


@dataclass
class Case:
    """A run of ``train.py``. ``pairs``: settings beside those that all have. ``workers``: loader workers."""

    trainer: str
    workers: int
    flags: tuple
    pairs: tuple

    @property
    def name(self) -> str:
        return f"{self.trainer}, {self.workers} workers"

    def argv(self, data: Path) -> list[str]:
        return [
            "--trainer", self.trainer, "--seed", "1", "--root", str(data), "--output-dir", OUTPUT, *self.flags,
            *_COMMON, *self.pairs, "DATALOADER.NUM_WORKERS", str(self.workers),
        ]  # fmt: skip


def prepare(data: Path) -> None:
    """Write what is not written by its reader."""
    write_pictures(data)


def cases() -> list[Case]:
    """CoOp, PromptSRC and DePT save within epochs; CoCoOp after every one, chosen on validation data; FixMatch both."""
    config = ROOT / "configs"
    digits = ("--dataset-config-file", str(config / "datasets/digits.yaml"))
    coop, cocoop, promptsrc, dept = (
        (*digits, "--config-file", str(config / f"trainers/{name}/tiny.yaml"))
        for name in ("CoOp", "CoCoOp", "PromptSRC", "DePT")
    )
    within_epochs = (*_PROMPTS, "DATASET.NUM_SHOTS", "4", "TRAIN.CHECKPOINT_BATCHES", "2")
    fixmatch = (
        "DATASET.NAME", "StockUnlabelled", "MODEL.BACKBONE.NAME", "stock_mean_colour",
        "INPUT.SIZE", "(8, 8)", "INPUT.TRANSFORMS", "('random_resized_crop', 'random_flip', 'normalize')",
        "TRAINER.FIXMATCH.STRONG_TRANSFORMS", _STRONG, "TRAINER.FIXMATCH.CONF_THRE", "0.4",
        "DATALOADER.TRAIN_X.BATCH_SIZE", "4", "DATALOADER.TEST.BATCH_SIZE", "5", "TRAIN.COUNT_ITER", "train_u",
        "OPTIM.NAME", "sgd", "OPTIM.LR", "0.5", "OPTIM.LR_SCHEDULER", "cosine", "OPTIM.WARMUP_EPOCH", "1",
        "TRAIN.CHECKPOINT_BATCHES", "1", "TRAIN.CHECKPOINT_FREQ", "2",
    )  # fmt: skip
    by_epoch = ("TRAIN.CHECKPOINT_FREQ", "1", "TEST.FINAL_MODEL", "best_val")
    plugin = ("--plugin", "tests.engine.stock")
    return [
        case
        for workers in (0, 2)
        for case in (
            Case("CoOp", workers, coop, within_epochs),
            Case("CoCoOp", workers, cocoop, (*_PROMPTS, "DATASET.NUM_SHOTS", "2", *by_epoch)),
            Case("PromptSRC", workers, promptsrc, within_epochs),
            Case("DePT", workers, dept, within_epochs),
            Case("FixMatch", workers, plugin, fixmatch),
        )
    ]
