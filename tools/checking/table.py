"""Runs the checks of a method and prints one line for each."""

import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from clip_prompts.common.errors import unknown
from clip_prompts.common.text import one_line
from clip_prompts.run.errors import USER_ERRORS

from . import testing, training
from .bench import Bench
from .outcome import Failed, NotApplicable

CHECKS = {
    "trains": ("builds, trains and tests", training.trains),
    "loss": ("the loss falls", training.loss),
    "gradients": ("every learned parameter gets a gradient", training.gradients),
    "settings": ("weights have an effect", training.settings),
    "clip": ("CLIP does not move", training.clip),
    "teacher": ("the teacher does not move", training.teacher),
    "load": ("a saved model scores the same", training.load),
    "resume": ("a resumed run ends the same", training.resume),
    "cache": ("cached features equal images", testing.cache),
    "chunks": ("prompts in chunks equal the whole", testing.chunks),
    "new": ("base to new works", testing.new),
    "test": ("the test uses what was trained", testing.test),
    "batch": ("scores do not depend on the batch", testing.batch),
    "half": ("half precision is sane", testing.half),
    "draws": ("no needless random draws", testing.draws),
}


@dataclass(frozen=True)
class Result:
    """One line of the table. ``status``: ok, FAILED, or - where the check does not apply."""

    check: str
    title: str
    status: str
    text: str


def run_checks(bench: Bench, only: Sequence[str] | None = None) -> list[Result]:
    """Run all checks, or some by name.

    Raises:
        UserError: an unknown check, or a method that cannot be built with these settings.
    """
    for name in only or ():
        if name not in CHECKS:
            raise unknown("check", name, CHECKS)
    try:
        bench.built  # noqa: B018
    except USER_ERRORS:
        raise
    except Exception as error:
        return [Result("trains", CHECKS["trains"][0], "FAILED", f"It cannot be built: {_where(error)}")]
    return [_run(bench, name) for name in only or CHECKS]


def _run(bench: Bench, name: str) -> Result:
    title, check = CHECKS[name]
    try:
        status, text = "ok", check(bench)
    except NotApplicable as reason:
        status, text = "-", str(reason)
    except Failed as failed:
        status, text = "FAILED", f"{failed.reason}. {failed.hint}"
    except USER_ERRORS as error:
        if name == "trains":  # settings that do not fit the method or the backbone
            raise
        status, text = "FAILED", str(error)
    except Exception as error:  # of the method: any line of it may raise
        status, text = "FAILED", _where(error)
    return Result(name, title, status, one_line(text, 400))


def _where(error: Exception) -> str:
    """An error, and the last line outside of libraries and of the checks that it went through."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if "site-packages" not in f.filename]
    here = Path(__file__).parent
    frames = [f for f in frames if Path(f.filename).parent != here] or frames
    return f"{type(error).__name__}: {error} ({Path(frames[-1].filename).name}, line {frames[-1].lineno})"


def render(method: str, results: Sequence[Result]) -> str:
    """The table, and a last line with the number of failures."""
    widths = [max(len(getattr(r, key)) for r in results) for key in ("check", "title", "status")]
    lines = [
        "  ".join(part.ljust(width) for part, width in zip((r.check, r.title, r.status), widths, strict=True))
        + f"  {r.text}"
        for r in results
    ]
    failed = sum(r.status == "FAILED" for r in results)
    last = f"{method}: {failed} of {len(results)} checks failed" if failed else f"{method}: all checks passed"
    return "\n".join([*lines, last])
