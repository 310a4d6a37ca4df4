"""The command that repeats a run, from the arguments in its log."""

import ast
import os
import shlex
from pathlib import Path

from clip_prompts.common.text import printable
from clip_prompts.report.reading import Run
from clip_prompts.report.upstream_logs import arguments, logs_of, read_lines

ROOT = Path(__file__).resolve().parents[2]
HEAD = 200  # lines of a log; the arguments are at its beginning
# Arguments of a command, in order. Missing are those that say what to do with an earlier run in the same folder.
TEXTS = (
    "trainer", "backbone", "head", "config_file", "dataset_config_file", "root", "seed", "protocol", "model_dir",
    "load_epoch", "output_dir",
)  # fmt: skip
LISTS = ("source_domains", "target_domains", "transforms")
PATHS = {"config_file", "dataset_config_file", "root", "model_dir", "output_dir"}


def command_of(run: Run) -> str:
    """Returns the command line that made a record, for a shell in the repository's folder; "" if no log tells."""
    try:
        for log in logs_of(run.path.parent):
            given = arguments(read_lines(log)[:HEAD])
            if given.get("trainer") == run.trainer and bool(given.get("model_dir")) == bool(run.record.get("loaded")):
                return _command(given)
    except OSError:
        pass
    return ""


def _command(given: dict[str, str]) -> str:
    parts = ["python", "train.py"]
    for name in LISTS:  # before other flags, which end a list
        if values := _list(given, name):
            parts += [_flag(name), *values]
    for name in TEXTS:
        if value := given.get(name, ""):
            parts += [_flag(name), _short(value) if name in PATHS else value]
    for module in _list(given, "plugin"):
        parts += ["--plugin", _short(module)]
    parts += ["--eval-only"] if given.get("eval_only") == "True" else []
    return " ".join(shlex.quote(printable(part)) for part in [*parts, *_list(given, "opts")])


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _list(given: dict[str, str], name: str) -> list[str]:
    try:
        found = ast.literal_eval(given.get(name) or "[]")
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return []
    return [str(part) for part in found] if isinstance(found, list) else []


def _short(path: str) -> str:
    """Returns a path relative to the repository if it is inside, also one of our configs in another checkout."""
    if path.startswith(f"{ROOT}{os.sep}"):
        return path[len(str(ROOT)) + 1 :]
    _, found, rest = path.rpartition("/configs/")
    return f"configs/{rest}" if found and ".." not in rest and (ROOT / "configs" / rest).is_file() else path
