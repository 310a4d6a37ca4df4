"""The plan of a sweep: its jobs, from requests, a YAML file, or the ``sweep.json`` of an earlier start."""

import contextlib
import fcntl
import itertools
import json
import math
import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from clip_prompts.common.errors import UserError, unknown
from clip_prompts.common.files import FileRefused, open_to_write, read_json, write_text_atomically
from clip_prompts.common.yaml_files import read_settings

from .job import Job
from .protocols import jobs_of, unique_jobs
from .request import Request

FILE = "sweep.json"
MOST_VARIANTS = 10_000  # of an entry's settings
_LISTS = {"trainers": str, "datasets": str, "seeds": int, "shots": int, "plugins": str, "studies": str}
_ONE = ("protocol", "config", "root", "source", "variant", "part")


def plan(requests: list[Request]) -> list[Job]:
    """The jobs of all requests, each once. Raises UserError."""
    return unique_jobs([job for request in requests for job in jobs_of(request)])


def read_requests(file: str, given: dict) -> list[Request]:
    """The requests of a YAML file::

        sweep:
          - protocol: base2new
            trainers: CoOp, CoCoOp       # lists may also be written in one line
            datasets: [digits, shapes]   # or all
            seeds: [1, 2, 3]             # seeds, shots, config, source, plugins, studies: as the options
            set:                         # settings; lists are combined in all ways
              TRAINER.COOP.N_CTX: [4, 8]

    Args:
        given: fields of ``Request`` that the command line gives; they win over the file's.

    Raises UserError: no such file, not YAML, an unknown key, a value of the wrong kind.
    """
    if not os.path.isfile(file):
        raise UserError(f"No sweep file '{file}'")
    content = read_settings(file, f"Sweep file '{file}'")
    entries = content.get("sweep") if isinstance(content, dict) and set(content) == {"sweep"} else None
    if not isinstance(entries, list) or not entries or not all(isinstance(entry, dict) for entry in entries):
        raise UserError(f"Sweep file '{file}' must have one key, sweep, with a list of entries (protocol: ...)")
    return [request for entry in entries for request in _requests(entry, file, given)]


def _requests(entry: dict, file: str, given: dict) -> Iterator[Request]:
    fields: dict[str, Any] = {}
    for key, value in entry.items():
        if key in _LISTS:
            fields[key] = _list(value, _LISTS[key], f"'{key}' in sweep file '{file}'")
        elif key in _ONE:
            fields[key] = str(value)
        elif key != "set":
            raise unknown(f"key in sweep file '{file}'", key, [*_LISTS, *_ONE, "set"])
    if "protocol" not in fields:
        raise UserError(f"An entry of sweep file '{file}' has no protocol. Add one (protocol: ...)")
    if not isinstance(entry.get("set") or {}, dict):
        raise UserError(f"'set' in sweep file '{file}' must have lines of the form KEY: VALUE")
    pairs = {str(k): v if isinstance(v, list) else [v] for k, v in (entry.get("set") or {}).items()}
    if (count := math.prod(len(values) for values in pairs.values())) > MOST_VARIANTS:
        raise UserError(
            f"'set' in sweep file '{file}' gives {count:,} combinations, but the limit is {MOST_VARIANTS:,}"
        )
    for values in itertools.product(*pairs.values()):
        settings = [str(part) for pair in zip(pairs, values, strict=True) for part in pair]
        yield Request(**{**fields, **given, "settings": settings + given.get("settings", [])})


def _list(value: object, kind: type, what: str) -> list:
    values = value.replace(",", " ").split() if isinstance(value, str) else value
    values = values if isinstance(values, list) else [values]
    try:
        return [kind(v) for v in values]
    except (TypeError, ValueError, OverflowError) as error:
        raise UserError(f"{what}: {' '.join(str(error).split())}") from error


def save(jobs: list[Job], output: Path) -> None:
    """Add the jobs to ``OUTPUT/sweep.json``, which ``status`` reads; two sweeps may do so at once."""
    output.mkdir(parents=True, exist_ok=True)
    try:
        handle = open_to_write(output / ".sweep.lock", 0)
    except FileRefused as error:
        raise UserError(f"{error}. Remove it") from error
    with open(handle, "rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with contextlib.suppress(UserError):  # one that cannot be read is replaced
            jobs = list({job.folder: job for job in [*read(output), *jobs]}.values())
        lines = ",\n".join(json.dumps(asdict(job)) for job in jobs)
        write_text_atomically(output / FILE, f'{{"format": 1, "jobs": [\n{lines}\n]}}\n')


def read(output: Path) -> list[Job]:
    """The jobs of all sweeps that were started into a folder. Raises UserError where there are none."""
    file = output / FILE
    try:
        return [Job(**job) for job in read_json(file)["jobs"]]
    except FileNotFoundError as error:
        raise UserError(f"'{output}' is not the output of a sweep: it has no {FILE}. Start a sweep first") from error
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise UserError(
            f"'{file}' is not the plan of a sweep ({error}); Remove it and start the sweep again"
        ) from error
