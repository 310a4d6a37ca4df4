"""Many mutated files of one format, in a process of its own that may crash or hang."""

import contextlib
import io
import multiprocessing
import os
import random
import resource
import shutil
import signal
import time
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

import torch
from dassl.utils import set_random_seed

from tests.kinds.limits import SPECIAL as KINDS

from .formats import FORMATS, Format
from .guard import Guard
from .mutate import CANARY
from .outcome import Outcome, outcome

SECONDS = 5.0  # for one file, of the processor: other programs may keep it from running
PATIENCE = 60.0  # for one file, of the clock
MEMORY = (
    6 * 2**30
)  # bytes of addresses beside those that the process has: a bomb then fails instead of filling the machine


SPECIAL = ("FIFO", "device", "folder", "loop of links")  # in the place of a file
SPECIAL_EVERY = 15  # files


@dataclass
class Tally:
    """Results for the files of a format. failures: (number of the file, its content, what went wrong)."""

    counts: Counter = field(default_factory=Counter)
    failures: list[tuple[int, bytes, str]] = field(default_factory=list)


def mutated(form: Format, seeds: list[bytes], seed: int, number: int) -> bytes:
    """The file of a number: the same for the same seed, whatever ran before."""
    r = random.Random(f"{seed}/{form.name}/{number}")
    return form.spoil(r.choice(seeds), r, r.choice(seeds))


def fuzz(name: str, files: int, seed: int, work: Path, step: Callable[[], None] = lambda: None) -> Tally:
    """Try ``files`` files of a format in the folder ``work``; ``step`` is called after each.

    Raises RuntimeError where a valid file is not read.
    """
    tally, first = Tally(), 0
    context = multiprocessing.get_context("fork")
    while first < files:
        ours, theirs = context.Pipe()
        child = context.Process(target=_serve, args=(name, range(first, files), seed, work, theirs), daemon=True)
        child.start()
        theirs.close()
        with contextlib.closing(ours):
            first = _watch(ours, child.pid, tally, first, files, step)
        with contextlib.suppress(ProcessLookupError):
            os.kill(child.pid, signal.SIGKILL)
        child.join()
    return tally


def _watch(connection: Connection, pid: int, tally: Tally, first: int, files: int, step: Callable) -> int:
    """Collect what the child sends. Return the number of the file at which the next child continues."""
    content, problem = b"", "the process died"
    try:
        while first < files:
            kind, payload = _receive(connection, pid)
            if kind == "invalid":
                raise RuntimeError(payload)
            if kind == "file":
                content = payload
                continue
            _count(tally, first, content, payload)
            step()
            first += 1
        return first
    except EOFError:
        pass
    except TimeoutError:
        problem = f"no end after {SECONDS:g} seconds"
    _count(tally, first, content, Outcome("failed", problem))
    step()
    return first + 1


def _receive(connection: Connection, pid: int) -> tuple:
    """The child's next message. Raises TimeoutError, and EOFError where it has ended."""
    used, since = _processor_time(pid), time.monotonic()
    while not connection.poll(SECONDS):
        if _processor_time(pid) - used > SECONDS or time.monotonic() - since > PATIENCE:
            raise TimeoutError
    return connection.recv()


def _processor_time(pid: int) -> float:
    """Seconds that a process has had of the processor; 0 where the system does not tell."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _count(tally: Tally, number: int, content: bytes, found: Outcome) -> None:
    tally.counts[found.kind] += 1
    if found.kind == "failed":
        tally.failures.append((number, content, found.text))


def _serve(name: str, numbers: range, seed: int, work: Path, connection: Connection) -> None:
    form, folder = FORMATS[name], work / "".join(c if c.isalnum() else "_" for c in name)
    path = folder / form.file
    path.parent.mkdir(parents=True, exist_ok=True)
    os.chdir(work)
    guard = Guard([Path(os.environ["XDG_CACHE_HOME"])])
    torch.cuda.device_count()  # asks the driver's library once per process
    set_random_seed(0)
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        seeds = form.seeds(folder)
    for i, content in enumerate([*seeds, *seeds]):
        path.write_bytes(content)
        found = outcome(form, path, guard)
        # Only the second time counts: in the first, the reader imports what it needs, which may make code from text.
        if i >= len(seeds) and found.kind != "read":
            connection.send(("invalid", f"{name}: the valid file {i % len(seeds)} is {found.kind}: {found.text}"))
            return
    _limit_memory()
    for number in numbers:
        content = mutated(form, seeds, seed, number)
        _remove(path)
        if (number + 1) % SPECIAL_EVERY:
            path.write_bytes(content)
        else:
            kind = SPECIAL[number // SPECIAL_EVERY % len(SPECIAL)]
            KINDS[kind](path)
            content = kind.encode()
        connection.send(("file", content))
        found = outcome(form, path, guard)
        if traces := [str(p) for p in (work / CANARY, path.parent / CANARY) if p.exists()]:
            found = Outcome("failed", f"the file ran a program: {traces}")
            for trace in traces:
                os.unlink(trace)
        connection.send(("done", found))


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _limit_memory() -> None:
    with contextlib.suppress(OSError, ValueError):  # where the system has no such limit
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
