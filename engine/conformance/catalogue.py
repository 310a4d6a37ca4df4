"""The names of the interface, read from the tables in ``facts/``."""

import re
from dataclasses import dataclass
from pathlib import Path

FACTS = Path(__file__).with_name("facts")
TABLES = ("names", "config", "registered", "output")


@dataclass(frozen=True)
class Entry:
    """One name.

    Attributes:
        name: dotted for what can be imported, else ``kind:name``.
        expected: what the table says of it; empty where a behaviour check has to show it.
        section: heading of the table, with the section of the contract.
    """

    name: str
    expected: str
    section: str

    @property
    def kind(self):
        """``line``, ``trainer``, ... of ``kind:name``; ``cfg`` and ``client`` for config keys, else ``dassl``."""
        return re.match(r"[a-z_]+(?=[:.])|", self.name)[0] or self.name

    @property
    def short(self):
        """The name without its kind."""
        return self.name[len(self.kind) + 1 :]


def read_catalogue():
    """Return name -> Entry, in the order of the tables.

    Raises:
        ValueError: a name stands twice.
    """
    entries = {}
    for table in TABLES:
        section = ""
        for line in _lines(FACTS / f"{table}.txt"):
            if line.startswith("["):
                section = line.strip("[]")
                continue
            name, _, expected = _columns(line)
            if name in entries:
                raise ValueError(f"{name} stands twice in the tables")
            entries[name] = Entry(name, expected, section)
    return entries


def read_differences():
    """Return key -> reason of every difference that was chosen."""
    return {key: reason for key, _, reason in map(_columns, _lines(FACTS / "differences.txt"))}


def _lines(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("# ")]


def _columns(line):
    name, separator, rest = re.fullmatch(r"(.*?)(?:(\s{2,})(.*))?", line.rstrip()).groups(default="")
    return name, separator, rest
