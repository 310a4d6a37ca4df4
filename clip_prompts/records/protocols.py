"""The protocol of an evaluation, and the data that a loaded model was learned on."""

import re
from collections.abc import Sequence
from pathlib import Path

from clip_prompts.common.errors import UserError
from clip_prompts.common.protocols import TITLES
from clip_prompts.common.trees import branch

from .identity import digest
from .results_file import FILE, read_records
from .stored_identity import determines_of, facts_of

_SOURCE_KEYS = ("dataset", "label", "classes", "shots", "seed", "recipe", "config")


def check_label(label: str | None) -> None:
    """Raises UserError for a ``--protocol`` that would not fit into a table or a file name."""
    if label is not None and not re.fullmatch(r"[\w.-]+", label):
        raise UserError(
            f"--protocol '{label}' is not a valid label: use letters, digits, '_', '-' and '.'. Known: "
            f"{', '.join(TITLES)}"
        )


def learned_on(model_dir: str, weights: Sequence[dict] = ()) -> dict | None:
    """The record of the run that learned a loaded model, or the facts in its checkpoint; None without both.

    The record is that of the last test, else of the last evaluation. A record of another run than the checkpoint's
    does not count.

    Args:
        weights: the loaded checkpoints, see ``loaded.loaded_models``.
    """
    stored = weights[0]["identity"] if weights else None
    determines, facts = determines_of(stored), facts_of(stored)
    records = [r for r in read_records(Path(model_dir) / FILE) or [] if isinstance(r, dict)]
    if determines is not None:
        records = [r for r in records if r.get("identity") == digest(determines)]
    own = [r for r in records if not r.get("loaded")] or records
    record = next((r for r in reversed(own) if r.get("split") == "test"), own[-1] if own else None)
    return record or ({**facts, "hashes": {"test": facts.get("test")}} if facts.get("dataset") else None)


def source_of(record: dict | None) -> dict:
    """Returns facts about the model for a run that loads it; nulls for unknown ones."""
    return {key: (record or {}).get(key) for key in _SOURCE_KEYS}


def derive(classes: str, learns: bool, own: dict, source: dict | None) -> str:
    """The protocol of an evaluation, where ``--protocol`` does not say it.

    - base or new classes, or a model learned on such: ``base2new``; but ``few_shot`` for a model that has learned all
      classes of the dataset;
    - a trainer that learns nothing: ``zeroshot``;
    - a model learned on other data (another dataset, or other test images): ``domain_generalization`` where every
      class was learned too, as the variants of ImageNet and of Shapes have it, else ``cross_dataset``;
    - all else, also a loaded model that left no results.json: ``few_shot``.

    Args:
        classes: ``DATASET.SUBSAMPLE_CLASSES``. learns: whether the trainer learns anything.
        own: "dataset" (name), "test" (hash of the test list) and "names" (class names) of this run.
        source: what ``learned_on`` gives for the loaded model.
    """
    if classes != "all":
        knows_all = learns and source and (source.get("dataset"), source.get("classes")) == (own["dataset"], "all")
        return "few_shot" if knows_all else "base2new"
    if not learns:
        return "zeroshot"
    if source is None:
        return "few_shot"
    if source.get("classes") in ("base", "new"):
        return "base2new"
    if (source.get("dataset"), branch(source, "hashes").get("test")) == (own["dataset"], own["test"]):
        return "few_shot"
    per_class = source.get("per_class")  # null in a record that was imported
    names = [c.get("name") for c in per_class if isinstance(c, dict)] if isinstance(per_class, list) else []
    learned = {_plain(name) for name in names if isinstance(name, str)}
    return "domain_generalization" if {_plain(n) for n in own["names"]} <= learned else "cross_dataset"


def _plain(name: str) -> str:
    return name.replace("_", " ").lower()
