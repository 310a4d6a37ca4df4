"""Result for one mutated file."""

import io
import traceback
import warnings
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

from clip_prompts.common.files import FileRefused
from tests.kinds.test_hostile_names import ACTS

from .guard import Guard

LONGEST = 4100  # characters of a refusal


@dataclass(frozen=True)
class Outcome:
    """``kind``: "read", "refused" or "failed"; ``text``: the refusal, or what went wrong."""

    kind: str
    text: str = ""


def outcome(form, path: Path, guard: Guard) -> Outcome:
    """Read the file at ``path`` as a format reads it, under watch."""
    guard.arm(path.parent)
    refusal = None
    try:
        with warnings.catch_warnings(record=True), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            warnings.simplefilter("always")
            refusal = form.read(path)
    except (*form.refusals, FileRefused) as error:
        refusal = str(error)
    except BaseException as error:
        guard.disarm()
        if isinstance(error, KeyboardInterrupt):
            raise
        return Outcome("failed", _failure(error))
    seen = guard.disarm()
    if seen:
        return Outcome("failed", f"it did what no file may make a reader do: {'; '.join(seen)}")
    if refusal is None:
        return Outcome("read")
    problem = _problem(refusal)
    return Outcome("failed", f"{problem}: {refusal!r}") if problem else Outcome("refused", refusal)


def _failure(error: BaseException) -> str:
    try:
        return "".join(traceback.format_exception(error))[-4000:]
    except RecursionError:  # of an error as deep as the file
        return type(error).__name__


def _problem(line: str) -> str:
    """Return what is wrong with a refusal that should be one clear line; "" if it is fine."""
    if not line.strip():
        return "the refusal says nothing"
    if len(line) > LONGEST:
        return f"the refusal has {len(line)} characters"
    if ACTS.search(line) or "\n" in line or "\t" in line:
        return "the refusal is more than one printable line"
    return ""
