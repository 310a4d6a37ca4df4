"""Results, arguments and configs in ``log.txt`` of upstream's programs (old and new wording) and of ours.

A run into a folder that has a log writes ``log.txt-<time>`` next to it. The newest log with a result counts, so that a
second run that died hides nothing. If no log has a result, the newest counts.
"""

import ast
import json
import re
from pathlib import Path

from clip_prompts.common.files import read_text

END = ("Finish training", "Finished training")  # Dassl from 0.6 on; before, and in most forks
RESULT = "=> result"


def logs_of(folder: Path) -> list[Path]:
    """Returns the logs of a run's folder, the newest first by the time in their names."""
    later = [f for f in folder.glob("log.txt-*") if f.is_file()]
    later.sort(key=lambda file: [int(part) for part in re.findall(r"\d+", file.name)], reverse=True)
    first = folder / "log.txt"
    return later + ([first] if first.is_file() else [])


def read_lines(file: Path) -> list[str]:
    """Returns the lines of a file; bytes that are not UTF-8 are replaced."""
    return read_text(file, errors="replace", lines=True).splitlines()


def values(lines: list[str], keyword: str, markers: tuple[str, ...]) -> list[float]:
    """Returns every ``* keyword: NUMBER%`` after the first line that is one of the markers."""
    pattern = re.compile(rf"\* {re.escape(keyword)}: ([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)%")
    found, started = [], False
    for line in map(str.strip, lines):
        started = started or line in markers
        match = pattern.search(line) if started else None
        if match:
            found.append(float(match[1]))
    return found


def result(folder: Path, keyword: str, markers: tuple[str, ...]) -> tuple[Path, float] | None:
    """Returns the file that counts and the last value in it; None if no log has one."""
    for file in logs_of(folder):
        found = values(read_lines(file), keyword, markers)
        if found:
            return file, found[-1]
    return None


def section(lines: list[str], name: str) -> list[str]:
    """Returns the lines below ``** name **`` up to the next such heading, without lines of stars."""
    found, inside = [], False
    for line in lines:
        if re.fullmatch(r"\*\* .+ \*\*", line.strip()):
            inside = line.strip() == f"** {name} **"
        elif inside and not re.fullmatch(r"\*{3,}", line.strip()):
            found.append(line)
    return found


def arguments(lines: list[str]) -> dict[str, str]:
    """Returns the command line's values as text; "None" as ""."""
    pairs = (line.split(":", 1) for line in section(lines, "Arguments") if ":" in line)
    return {key.strip(): "" if value.strip() == "None" else value.strip() for key, value in pairs}


def config(lines: list[str]) -> dict:
    """Returns the config dump as nested dicts; {} if there is none.

    It looks like YAML, but values are Python's: tuples, and texts without quotes that YAML would misread.
    """
    root: dict = {}
    stack = [(-1, root)]
    for line in section(lines, "Config"):
        match = re.fullmatch(r"( *)([A-Z][A-Z0-9_]*):(?: (.*)|)", line.rstrip("\n"))
        if not match:
            continue
        depth, key, value = len(match[1]), match[2], match[3]
        while stack[-1][0] >= depth:
            stack.pop()
        parent = stack[-1][1]
        if value is None:
            parent[key] = {}
            stack.append((depth, parent[key]))
        else:
            parent[key] = _value(value.strip())
    return _without_empty(root)


def _without_empty(node: dict) -> dict:
    """Restores empty texts: an editor may have cut the blank after "KEY:"."""
    return {k: (_without_empty(v) if v else "") if isinstance(v, dict) else v for k, v in node.items()}


def _value(text: str) -> object:
    try:
        return json.loads(json.dumps(ast.literal_eval(text), allow_nan=False))  # tuples become lists
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):  # no literal, or none that JSON knows
        return text
