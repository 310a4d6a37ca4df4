"""Definition of a file format for the fuzz tests."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Format:
    """A kind of file that the project reads.

    name: for the table. file: where in the format's folder a mutated file is put. refusals: the errors by which the
    reader may refuse it.
    seeds: prepares the folder (pictures that a list names, and so on) and gives the content of valid files.
    spoil: (content, random generator, content of another valid file) to the content of a mutated file.
    read: reads the file as the project does, and uses what it gets; gives None, or the line of a refusal that was
    printed instead of raised.
    """

    name: str
    file: str
    refusals: tuple[type[Exception], ...]
    seeds: Callable[[Path], list[bytes]]
    spoil: Callable[[bytes, random.Random, bytes], bytes]
    read: Callable[[Path], str | None]
