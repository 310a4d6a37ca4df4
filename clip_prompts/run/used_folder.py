"""An output folder that holds a run already: compared with the new run, refused or moved aside."""

import os
import re
from pathlib import Path

from yacs.config import CfgNode

from clip_prompts.artifact import CONFIG as PROMPT_CONFIG
from clip_prompts.artifact import FOLDER as PROMPT
from clip_prompts.common.errors import UserError
from clip_prompts.common.files import move_aside, read_object
from clip_prompts.common.trees import branch
from clip_prompts.records.curve import FILE as CURVE
from clip_prompts.records.identity import TRAINED_IMAGES, Identity, first_difference, of_record, settings_of
from clip_prompts.records.predictions import FILE as PREDICTIONS
from clip_prompts.records.results_file import FILE as RESULTS
from clip_prompts.records.results_file import read_records
from clip_prompts.records.sources import FILE as SOURCES
from clip_prompts.records.stored_identity import FILE as IDENTITY
from clip_prompts.records.stored_identity import WAYS_ON, determines_of, read_identity

_RESULT_FILES = {RESULTS, PREDICTIONS, "cmat.pt"}
_FILES = {*_RESULT_FILES, SOURCES, CURVE, IDENTITY, TRAINED_IMAGES, "tensorboard", "mid_epoch", PROMPT}
_CHECKPOINT = re.compile(r"checkpoint|model.*\.pth\.tar.*")


def files_of_run(folder: str | os.PathLike) -> list[Path]:
    """Files that runs have written into a folder: logs, records, checkpoints; nothing else that may lie there."""
    if not os.path.isdir(folder):
        return []
    return sorted(p for p in Path(folder).iterdir() if p.name in _FILES or p.name.startswith("log.txt") or _is_model(p))


def is_training(path: Path) -> bool:
    """True for an entry of an output folder that a training continues from."""
    return path.name == "mid_epoch" or _is_model(path)


def _is_model(path: Path) -> bool:
    if path.is_symlink() or not path.is_dir():
        return False
    return any(_CHECKPOINT.fullmatch(name) for name in os.listdir(path))


def _slot(record: dict) -> list:
    """The name of a result in tables, and of the model that it is of."""
    keys = ("split", "loaded", "protocol", "trainer", "dataset", "label", "classes", "seed", "shots", "config")
    return [record.get(key) for key in keys]


class UsedFolder:
    """Decides what a run does with an output folder that an earlier run has used.

    Args:
        folder: ``--output-dir``. again: move the earlier run aside in any case, once it is clear that the new one can
            start. if_changed: move it aside if it is another run than the one that is about to start, rather than
            refuse.
    """

    def __init__(self, folder: str, again: bool = False, if_changed: bool = False) -> None:
        self.folder, self.again, self.if_changed = folder, again, if_changed
        self.files = files_of_run(folder)  # what earlier runs have left; this run's own log is not among them

    def check_settings(self, cfg: CfgNode) -> None:
        """Refuse a training with other settings before anything is written or built. Raises UserError."""
        stored = None if self.again or self.if_changed else self._stored()
        if stored is not None:
            ours = {f"settings.{key}": value for key, value in settings_of(cfg).items()}
            names = [name for name in ours if name in stored]
            self._refuse(first_difference(stored, ours, names))

    def check_training(self, identity: Identity) -> None:
        """Refuse a training that is not the one that has used the folder. Raises UserError."""
        if self.again:
            self._move_aside()
        stored = self._stored()
        if stored is not None:
            self._refuse(first_difference(stored, identity.determines))
        elif any(is_training(path) for path in self.files):
            self._refuse("it does not say how it was trained (an earlier version or another program wrote it)")
        prompt = [path for path in self.files if path.name == PROMPT]
        if prompt and branch(read_object(prompt[0] / PROMPT_CONFIG), "training").get("identity") != identity.sha256:
            target = move_aside(self.folder, prompt)  # the checkpoints and results that it is of are gone
            print(f"The earlier prompt in {self.folder} is kept in {target}")

    def check_evaluation(self, record: dict) -> None:
        """Refuse an evaluation if the folder holds a result under the same name that is of something else.

        Args:
            record: of the evaluation that is about to start, without its result.

        Raises:
            UserError: with the first difference.
        """
        if self.again:
            self._move_aside(results_only=True)
        for earlier in self._records():
            if earlier.get("identity") != record["identity"] and _slot(earlier) == _slot(record):
                theirs, ours = of_record(earlier), of_record(record)
                difference = first_difference(theirs, ours, theirs.keys() & ours.keys())
                self._refuse(difference or "the code that computed its result was another", results_only=True)
                return

    def remove_left_over(self) -> None:
        """Remove the unfinished files of a run that was killed while it wrote one."""
        for path in Path(self.folder).glob(".*.part"):
            if any(path.name.startswith(f".{name}.") for name in _FILES):
                path.unlink(missing_ok=True)

    def is_done(self, identity: Identity, protocol: str | None) -> bool:
        """True if the folder holds a test record of this run."""
        return any(
            r.get("identity") == identity.sha256 and r.get("split") == "test" and protocol in (None, r.get("protocol"))
            for r in self._records()
        )

    def _stored(self) -> dict | None:
        """The identity of the training that has used the folder; None if it has saved nothing, or says nothing."""
        if not any(path.name == RESULTS or is_training(path) for path in self.files):
            return None
        return determines_of(read_identity(self.folder))

    def _records(self) -> list[dict]:
        if not any(path.name == RESULTS for path in self.files):
            return []
        return [r for r in read_records(Path(self.folder) / RESULTS) or [] if isinstance(r, dict)]

    def _refuse(self, difference: str, results_only: bool = False) -> None:
        if not difference:
            return
        if not self.if_changed:
            raise UserError(f"{self.folder} holds another run: {difference}. {WAYS_ON}")
        print(f"{self.folder} holds another run: {difference}")
        self._move_aside(results_only)

    def _move_aside(self, results_only: bool = False) -> None:
        files = [path for path in self.files if not results_only or path.name in _RESULT_FILES]
        if files:
            # Checkpoints last: a run that is stopped in between still refuses to start on the remaining ones.
            target = move_aside(self.folder, sorted(files, key=_is_model))
            print(f"The earlier run in {self.folder} is kept in {target}")
        self.files = [path for path in self.files if path not in files]
