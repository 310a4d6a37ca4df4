"""Terminal output of a run: a summary, a line per epoch, and the result. ``log.txt`` has the full text."""

import contextlib
import sys

from yacs.config import CfgNode

from clip_prompts.records.curve import EpochLog
from clip_prompts.records.upstream import ObservedTest, observe

from . import summary
from .console import Console, columns, is_terminal
from .progress import EpochRows, TestLine


def view_of(args, cfg: CfgNode) -> "View":
    """Returns the short view if stdout is a terminal, unless ``--verbose`` asks for the full text."""
    return ShortView(args, cfg, Console(sys.stdout)) if is_terminal() and not args.verbose else View()


class View:
    """Prints nothing of its own, so a run prints its full text. A context that a run works in."""

    def __enter__(self):
        return self

    def __exit__(self, *_) -> None:
        pass

    def hidden(self) -> contextlib.AbstractContextManager:
        """Inside, what is printed goes to the log only."""
        return contextlib.nullcontext()

    def begins(self) -> None:
        """Settings are known, and the log file is open."""

    def built(self, trainer, trains: bool) -> None:
        """The trainer is built."""

    def runs(self, trainer, log: EpochLog | None) -> None:
        """Training or testing is about to begin. ``log``: observes the epochs already; None if nothing is trained."""


class ShortView(View):
    """Takes stdout's place inside the block, and prints above all the summary, then follows the trainer."""

    def __init__(self, args, cfg: CfgNode, console: Console) -> None:
        self.args, self.cfg, self.console = args, cfg, console
        self.lines: list[EpochRows | TestLine] = []

    def __enter__(self):
        sys.stdout = self.console
        return self

    def __exit__(self, *_) -> None:
        for line in self.lines:
            line.stop()

    def hidden(self) -> contextlib.AbstractContextManager:
        return self.console.hidden()

    def begins(self) -> None:
        from dassl.engine import TRAINER_REGISTRY

        from .config import changed_settings

        name = self.cfg.TRAINER.NAME
        cls = TRAINER_REGISTRY.get(name) if name in TRAINER_REGISTRY.registered_names() else None
        changed = changed_settings(self.args, self.cfg)
        self._show(summary.of_settings(self.cfg, cls, self.args.config_file, changed))

    def built(self, trainer, trains: bool) -> None:
        log = getattr(sys.stdout, "path", None) or f"{self.cfg.OUTPUT_DIR}/log.txt"
        facts = summary.of_trainer(trainer, self.cfg, trains) + summary.of_output(self.cfg, log, trains)
        self._show(facts)

    def runs(self, trainer, log: EpochLog | None) -> None:
        tests, folder = self.cfg.TEST, self.cfg.OUTPUT_DIR
        has_validation = tests.FINAL_MODEL == "best_val" and not tests.NO_TEST
        rows = EpochRows(self.console, has_validation, self.cfg.DATALOADER.TRAIN_X.BATCH_SIZE, log)
        line = TestLine(self.console, rows, not isinstance(trainer, ObservedTest), folder)
        self.lines = [rows, line]
        trainer.shows_progress = False  # of our engine: the line is drawn in place of its bar
        observe(trainer, [rows], [line])

    def _show(self, facts: list[tuple[str, str]]) -> None:
        self.console.show(summary.table(facts, columns(self.console)))
