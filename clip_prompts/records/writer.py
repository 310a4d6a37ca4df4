"""A record of every evaluation of a run, in ``results.json``: its metrics, with all that determines them."""

import datetime
import time
from collections.abc import Sequence
from pathlib import Path

from yacs.config import CfgNode

from .curve import Curve
from .facts import peak_memory, run_facts
from .identity import Identity
from .loaded import NOTHING, best_of, selection_of
from .metrics import Tally, finite, nothing, summarize
from .predictions import write_predictions
from .protocols import derive, learned_on, source_of
from .results_file import FILE, FORMAT, keep_record, read_records
from .stored_identity import facts_of

__all__ = ["FILE", "FORMAT", "keep_record", "read_records", "record_evaluations"]

_DETAILS = ("per_class", "confusion", "calibration")


def record_evaluations(
    trainer,
    cfg: CfgNode,
    identity: Identity,
    checkpoint: dict | None = None,
    weights: Sequence[dict] = (),
    protocol: str | None = None,
    config_file: str | None = None,
) -> "Recorder":
    """Make every later ``trainer.test()`` keep a record in ``OUTPUT_DIR/results.json``.

    Works on any trainer and evaluator of Dassl: it listens to what goes into the evaluator and comes out of it.

    Args:
        trainer: a built trainer. cfg: its frozen config. identity: of its run.
        weights: the checkpoints that ``--eval-only`` loads, see ``loaded.loaded_models``.
        checkpoint: what ``--eval-only`` loads, {"model_dir", "load_epoch"}; None for a run that trains.
        protocol: its name; by default derived, see ``protocols.derive``.
        config_file: path of the method's YAML file.
    """
    return Recorder(trainer, cfg, identity, checkpoint, list(weights), protocol, config_file)


class Recorder:
    def __init__(self, trainer, cfg, identity, checkpoint, weights, protocol, config_file) -> None:
        self.trainer, self.cfg, self.protocol = trainer, cfg, protocol
        self.identity, self.weights = identity, weights
        self.config_file = config_file
        self.loaded = checkpoint if checkpoint and checkpoint["model_dir"] else None
        self.learns = bool(trainer.get_model_names())
        self.trains = self.learns and checkpoint is None
        self.facts: dict = {}
        self._forget()
        self.training_since: float | None = None
        self.testing = 0.0  # seconds of this training that evaluations took
        self.curve = Curve(trainer, cfg.OUTPUT_DIR, cfg.RESUME) if self.trains else None
        self._listen()

    def _listen(self) -> None:
        trainer, evaluator = self.trainer, self.trainer.evaluator
        reset, process, evaluate = evaluator.reset, evaluator.process, evaluator.evaluate
        train, test, parse = trainer.train, trainer.test, trainer.parse_batch_test

        def listening_reset():
            self._forget()
            return reset()

        def listening_process(mo, gt, *more, **named):
            self.tally.add(mo, gt)
            return process(mo, gt, *more, **named)

        def listening_evaluate():
            tally, paths = self.tally, self.paths
            found = evaluate()
            self.tally, self.paths = tally, paths  # some evaluators reset themselves when they are done
            self.metrics = {name: finite(float(value)) for name, value in found.items()}
            return found

        def listening_parse(batch):
            if isinstance(batch, dict):
                self.paths.extend(batch.get("impath", ()))
            return parse(batch)

        def timed_train(*args, **kwargs):
            self.training_since, self.testing = time.perf_counter(), 0.0
            return train(*args, **kwargs)

        def recording_test(split=None):
            self._forget()
            started = time.perf_counter()
            result = test(split)
            self._record(split, started)
            self.testing += time.perf_counter() - started
            return result

        evaluator.reset, evaluator.process, evaluator.evaluate = listening_reset, listening_process, listening_evaluate
        trainer.train, trainer.test, trainer.parse_batch_test = timed_train, recording_test, listening_parse

    def _forget(self) -> None:
        self.tally, self.metrics, self.paths = Tally(), {}, []

    def _record(self, split: str | None, started: float) -> None:
        """Keep the record of the evaluation that began at ``started`` (of ``perf_counter``)."""
        trainer, cfg = self.trainer, self.cfg
        seconds = time.perf_counter() - started
        tests_last_epoch = split is not None or cfg.TEST.FINAL_MODEL != "best_val"  # the trainer names val each epoch
        split = split or cfg.TEST.SPLIT
        if split == "val" and trainer.val_loader is None:
            split = "test"
        loader = trainer.val_loader if split == "val" else trainer.test_loader
        if not self.facts:  # once, and not while the user waits for the first batch
            self.facts = self._run_facts()
        found = summarize(self.tally, self._names())
        if split == "val":  # one an epoch: the numbers are enough
            found |= {key: nothing()[key] for key in _DETAILS}
        elif cfg.TEST.get("SAVE_PREDICTIONS", False):
            dataset = getattr(getattr(trainer, "dm", None), "dataset", None)
            top = getattr(dataset, "image_dir", "") or cfg.DATASET.ROOT
            write_predictions(cfg.OUTPUT_DIR, top, self.paths, self.tally.columns(), self._names())
        # A run that was resumed after its last epoch has trained none in this process.
        epoch = max(trainer.epoch + 1, trainer.start_epoch) if self.trains and tests_last_epoch else None
        clocked = self.trains and self.training_since is not None
        record = {
            "format": FORMAT,
            "time": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
            "split": split,
            "epoch": epoch,
            "images": len(loader.dataset),
            "seconds": seconds,
            **found,
            "metrics": found["metrics"] | self.metrics,
            **self._tested_model(epoch),
            "train_seconds": started - self.training_since - self.testing if clocked else None,
            "memory": peak_memory(getattr(trainer, "device", None)),
            "curve": list(self.curve.points()) if self.curve and split == "test" else [],
            **self.facts,
        }
        keep_record(Path(cfg.OUTPUT_DIR) / FILE, record)

    def _tested_model(self, epoch: int | None) -> dict:
        """How the tested model was selected, the epochs it was trained for, and the files it comes from."""
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
        """The record of the coming test, without its result."""
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
