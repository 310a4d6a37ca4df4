"""Records of the evaluations of a run, in ``results.json``: metrics, with all that determines them."""

import datetime
import os
import time
from collections.abc import Sequence
from pathlib import Path

from yacs.config import CfgNode

from .cost import TRAINING, cost_of, peak_memory
from .curve import EpochLog
from .facts import run_facts
from .identity import Identity
from .loaded import NOTHING, best_of, selection_of
from .metrics import PredictionLog, finite, nothing, summarize
from .predictions import write_predictions
from .protocols import derive, learned_on, source_of
from .results_file import FILE, keep_record, read_records
from .schema import FORMAT
from .stored_identity import facts_of
from .trackers import Tracker
from .upstream import Observer, observe

_DETAILS = ("per_class", "confusion", "calibration")


class Recorder(Observer):
    """Observes evaluations: every later ``trainer.test()`` keeps a record in ``OUTPUT_DIR/results.json``.

    Args:
        trainer: built by ``upstream.build_trainer``. cfg: its frozen config. identity: of its run.
        checkpoint: what ``--eval-only`` loads, {"model_dir", "load_epoch"}; None for a run that trains.
        weights: the checkpoints that ``--eval-only`` loads, see ``loaded.loaded_models``.
        protocol: its name; None: derived, see ``protocols.derive``.
        config_file: path of the method's YAML file, or None. tracker: gets the curve and the metrics too.

    ``asked``: the split that the running evaluation was asked for, None for the final test.
    """

    def __init__(
        self, trainer, cfg: CfgNode, identity: Identity, checkpoint: dict | None, weights: Sequence[dict],
        protocol: str | None, config_file: str | None, tracker: Tracker | None = None,
    ) -> None:  # fmt: skip
        self.trainer, self.cfg, self.identity, self.weights = trainer, cfg, identity, list(weights)
        self.protocol, self.config_file, self.tracker = protocol, config_file, tracker or Tracker()
        self.loaded = checkpoint if checkpoint and checkpoint["model_dir"] else None
        self.learns = bool(trainer.get_model_names())
        self.trains = self.learns and checkpoint is None
        self.epochs = EpochLog(trainer, cfg.OUTPUT_DIR, cfg.RESUME, self.tracker) if self.trains else None
        self.facts: dict = {}
        self.testing = 0.0  # seconds of the training that evaluations took
        self.asked: str | None = None
        observe(trainer, [self.epochs] if self.epochs else [], [self])

    def test_begins(self, trainer, split: str | None) -> None:
        self.asked, self.started = split, time.perf_counter()
        self.predictions = PredictionLog()

    def batch_tested(self, trainer, batch, output, label) -> None:
        self.predictions.add(output, label, batch.get("impath", ()) if isinstance(batch, dict) else ())

    def test_ends(self, trainer, split: str, results: dict) -> None:
        """Keep the record of the evaluation."""
        cfg, seconds = self.cfg, time.perf_counter() - self.started
        tests_last_epoch = self.asked is not None or cfg.TEST.FINAL_MODEL != "best_val"
        loader = trainer.val_loader if split == "val" else trainer.test_loader
        if not self.facts:  # once, and not while the user waits for the first batch
            self.facts = self._run_facts()
        found = summarize(self.predictions, self._names())
        if split == "val":  # one an epoch: the numbers are enough
            found |= {key: nothing()[key] for key in _DETAILS}
        elif cfg.TEST.get("SAVE_PREDICTIONS", False):
            dataset = getattr(getattr(trainer, "dm", None), "dataset", None)
            top = os.path.abspath(os.path.expanduser(getattr(dataset, "image_dir", "") or cfg.DATASET.ROOT))
            write_predictions(cfg.OUTPUT_DIR, top, self.predictions, self._names())
            found["image_dir"] = top
        # A run that was resumed after its last epoch has trained none in this process.
        epoch = max(trainer.epoch + 1, trainer.start_epoch) if self.trains and tests_last_epoch else None
        began = self.epochs.began if self.epochs else None
        record = {
            "format": FORMAT,
            "time": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
            "split": split,
            "epoch": epoch,
            "images": len(loader.dataset),
            "seconds": seconds,
            **found,
            "metrics": found["metrics"] | {name: finite(float(value)) for name, value in results.items()},
            **self._tested_model(epoch),
            "train_seconds": None if began is None else self.started - began - self.testing,
            "cost": self._cost(len(loader.dataset), seconds),
            "memory": peak_memory(getattr(trainer, "device", None)),
            "curve": list(self.epochs.points()) if self.epochs and split == "test" else [],
            **self.facts,
        }
        keep_record(Path(cfg.OUTPUT_DIR) / FILE, record)
        self.tracker.test_ends(split, record["metrics"])
        self.testing += time.perf_counter() - self.started

    def _cost(self, images: int, seconds: float) -> dict:
        """Return the cost; that of training from an earlier record of this run, if no epoch is left to train."""
        cost = cost_of(self.trainer, self.epochs.durations if self.epochs else [], images, seconds)
        if self.trains and cost["step_seconds"] is None:
            for record in read_records(Path(self.cfg.OUTPUT_DIR) / FILE) or []:
                earlier = record.get("cost") if record.get("identity") == self.facts["identity"] else None
                if isinstance(earlier, dict):
                    cost |= {name: earlier.get(name) for name in TRAINING}
        return cost

    def _tested_model(self, epoch: int | None) -> dict:
        """Return how the tested model was selected, the epochs it was trained for, and its files."""
        if not self.learns:
            return {"selection": NOTHING, "epochs": None, "weights": []}
        trained = facts_of(self.weights[0]["identity"]) if self.weights else self.identity.facts
        files = [{key: value for key, value in w.items() if key != "identity"} for w in self.weights]
        selection = selection_of(self.weights, epoch, trained.get("epochs"))
        if self.trains and epoch is None:  # the best epoch, which the trainer has loaded from its own folder
            files = [{"model": m, **best_of(self.cfg.OUTPUT_DIR, m)} for m in self.trainer.get_model_names()]
        run = epoch if files == [] else files[0]["epoch"]
        return {"selection": selection, "epochs": {"run": run, "planned": trained.get("epochs")}, "weights": files}

    def plan(self) -> dict:
        """Return the record of the coming test, without its result."""
        self.facts = self.facts or self._run_facts()
        return {"split": self.cfg.TEST.SPLIT, **self._tested_model(None), **self.facts}

    def _run_facts(self) -> dict:
        facts = run_facts(self.trainer, self.cfg, self.identity, self.weights)
        source = learned_on(self.loaded["model_dir"], self.weights) if self.loaded and self.learns else None
        own = {"dataset": facts["dataset"], "test": facts["hashes"]["test"], "names": self._names().values()}
        return {
            "protocol": self.protocol or derive(facts["classes"], self.learns, own, source),
            "config": Path(self.config_file).stem if self.config_file else None,
            "source": source_of(source) if self.loaded and self.learns else None,
            "loaded": self.loaded,
            **facts,
        }

    def _names(self) -> dict[int, str]:
        return dict(getattr(self.trainer, "lab2cname", None) or {})
