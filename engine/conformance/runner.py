"""Goes through the names and finds out what holds."""

import contextlib
import importlib
import inspect
import io
import random
import sys
import warnings
from dataclasses import dataclass, field

from .catalogue import read_catalogue, read_differences
from .checking import CHECKS, KINDS, Chosen, seed
from .presence import aspects_of

PASSED, CHOSEN, FAILED = "passed", "differs (chosen)", "failed"


@dataclass
class Finding:
    """Attributes: ``present``, ``signature``, ``default`` or ``behaviour``; the statement; status; what was seen."""

    aspect: str
    statement: str
    status: str
    detail: str = ""


@dataclass
class Result:
    """All findings about one name."""

    entry: object
    findings: list = field(default_factory=list)

    @property
    def status(self):
        statuses = {finding.status for finding in self.findings}
        return FAILED if FAILED in statuses or not statuses else CHOSEN if CHOSEN in statuses else PASSED


def run(prefix=""):
    """Check every name that starts with ``prefix``.

    Returns:
        list of Result, in the order of the tables.

    Raises:
        LookupError: a check is about a name that no table has.
    """
    load_checks()
    catalogue = read_catalogue()
    unknown = [name for check in CHECKS for name in check.names if name not in KINDS and name not in catalogue]
    if unknown:
        raise LookupError(f"checks of names that no table has: {unknown}")
    results = {name: Result(entry) for name, entry in catalogue.items() if name.startswith(prefix)}
    reasons = read_differences()
    for result in results.values():
        for aspect, statement, function in aspects_of(result.entry):
            result.findings.append(_finding(aspect, statement, function, reasons))
    for check in CHECKS:
        covered = [result for name, result in results.items() if check.covers(name)]
        if check.wants_entry:
            for result in covered:
                entry = result.entry
                found = _finding("behaviour", check.statement, lambda e=entry, c=check: c.function(e), reasons)
                result.findings.append(found)
        elif covered:
            found = _finding("behaviour", check.statement, check.function, reasons)
            for result in covered:
                result.findings.append(found)
    return list(results.values())


def load_checks():
    """Import the modules of checks; they import nothing of dassl."""
    from . import checks

    for name in checks.MODULES:
        importlib.import_module(f"{checks.__name__}.{name}")


def _finding(aspect, statement, function, reasons):
    try:
        with _isolated():
            function()
    except Chosen as difference:
        (key,) = difference.args
        if key not in reasons:
            return Finding(aspect, statement, FAILED, f"the difference {key!r} has no reason in facts/differences.txt")
        return Finding(aspect, statement, CHOSEN, reasons[key])
    except Exception as error:
        return Finding(aspect, statement, FAILED, _describe(error))
    return Finding(aspect, statement, PASSED)


@contextlib.contextmanager
def _isolated():
    """Keep what a check prints, warns and draws to itself."""
    stdout, stderr = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = io.StringIO(), io.StringIO()
    state = random.getstate()
    seed()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        sys.stdout, sys.stderr = stdout, stderr
        random.setstate(state)


def _describe(error):
    """One line: the kind of error, its text, and for a bare assertion the line that failed."""
    text = " ".join(str(error).split())
    if not text:
        frame = inspect.trace()[-1] if sys.exc_info()[0] else None
        text = frame.code_context[0].strip() if frame and frame.code_context else ""
    return f"{type(error).__name__}: {text}"[:600]
