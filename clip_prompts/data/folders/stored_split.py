"""The split of own pictures, stored on first use: files that come or go later do not move the others.

``stored_split.json`` holds paths relative to the folder, in the order of the lists: under ``split`` the parts of
pictures that the user did not split, under ``val`` what is taken out of the user's own train part. It is written into
the folder of the pictures or, if that cannot be written, into the user's cache. Deleting it makes a new split.
"""

import hashlib
import json
import os
import random
from collections import Counter
from collections.abc import Callable, Sequence

from clip_prompts.common.errors import UserError
from clip_prompts.common.files import LIST, read_json, write_text_atomically
from clip_prompts.data.benchmark import SPLIT_SEED

FILE = "stored_split.json"
VERSION = 1
KINDS = {"split": {"train": 0.5, "val": 0.2, "test": 0.3}, "val": {"train": 0.8, "val": 0.2}}

Content = dict[str, dict[str, list[str]]]  # kind -> part -> paths


class StoredSplit:
    """The stored split of one folder.

    Args:
        folder: folder of the pictures. places: folders that the split is read from, or written to, in this order.
        writes: False for a program that only looks at the data.
    """

    def __init__(self, folder: str, places: Sequence[str], writes: bool = True) -> None:
        self.folder, self.writes = folder, writes
        self.paths = [os.path.join(place, FILE) for place in places]
        self.found = next((path for path in self.paths if os.path.exists(path)), "")
        self.content = _read(self.found) if self.found else _empty()
        self.added: Counter[str] = Counter()  # pictures that came after the first split, per part
        self.used: set[str] = set()
        if self.found:
            print(f"Split read from {self.found}")

    def divide(self, kind: str, rows: Sequence, label: Callable, rule: Callable) -> list[list]:
        """Put every row into a part of ``kind``. Returns a list per part.

        A picture keeps its stored part. Classes that are new are split by the rule. A new picture of a known class
        goes to the part that lacks most of its share.

        Args:
            kind: a key of ``KINDS``. rows: objects with a ``path``. label: gives the class of a row.
            rule: (rows, generator) -> a list per part. Raises UserError for a class that is too small.
        """
        shares, stored = KINDS[kind], self.content[kind]
        known = {path for paths in stored.values() for path in paths}
        by_path = {row.path: row for row in rows}
        old = {label(row) for row in rows if row.path in known}
        lists = {part: [by_path[path] for path in stored[part] if path in by_path] for part in shares}
        if unseen := [row for row in rows if label(row) not in old]:
            for part, new in zip(shares, rule(unseen, random.Random(SPLIT_SEED)), strict=True):
                lists[part] += new
        counts = Counter((part, label(row)) for part in shares for row in lists[part])
        late = [row for row in rows if label(row) in old and row.path not in known]
        for row in sorted(late, key=lambda row: hashlib.sha256(row.path.encode("utf-8", "surrogateescape")).digest()):
            total = sum(counts[part, label(row)] for part in shares) + 1
            part = max(shares, key=lambda part: shares[part] * total - counts[part, label(row)])
            lists[part].append(row)
            counts[part, label(row)] += 1
        for part in shares:
            new_paths = [row.path for row in lists[part] if row.path not in known]
            stored[part] += new_paths
            self.added[part] += len(new_paths) if known else 0
        self.used |= set(by_path)
        return list(lists.values())

    def save(self) -> None:
        """Report what changed since the split was stored, and store what is new.

        Raises UserError: another run has stored another split in the meantime.
        """
        if self.added.total():
            parts = ", ".join(f"{count} to {part}" for part, count in self.added.items() if count)
            print(f"{self.added.total()} pictures are new since the split was stored: {parts}")
        ours = [(kind, part, path) for kind, lists in self.content.items() for part in lists for path in lists[part]]
        gone = sum(path not in self.used and not os.path.exists(os.path.join(self.folder, path)) for *_, path in ours)
        if gone:
            print(f"{gone} pictures of the stored split are not there any more. No other picture changes its part")
        now = next((path for path in self.paths if os.path.exists(path)), "")
        latest = _read(now) if now else _empty()
        place = {(kind, path): part for kind, lists in latest.items() for part in lists for path in lists[part]}
        new = [(kind, part, path) for kind, part, path in ours if (kind, path) not in place]
        if any(place.get((kind, path), part) != part for kind, part, path in ours):
            raise UserError(f"Another run has just stored a different split in {now}. Run the same command again.")
        if not new or not self.writes:
            return
        for kind, part, path in new:
            latest[kind][part].append(path)
        text = json.dumps({"version": VERSION, **latest}, indent=0)
        failures = []
        for path in [now] if now else self.paths:
            try:
                write_text_atomically(path, text)
            except OSError as error:
                failures.append(f"{path}: {error.strerror or error}")
                continue
            print(f"Split stored in {path}")
            return
        print(f"Warning: the split cannot be stored ({'; '.join(failures)}). Files that come or go will change it")


def _empty() -> Content:
    return {kind: {part: [] for part in shares} for kind, shares in KINDS.items()}


def _read(path: str) -> Content:
    advice = "Restore it, or delete it to split the pictures again"
    try:
        found = read_json(path, LIST)
        if found["version"] != VERSION:
            raise ValueError("it was written by another version")
        content = {kind: {part: found[kind][part] for part in shares} for kind, shares in KINDS.items()}
    except OSError as error:
        raise UserError(f"The stored split {path} cannot be read: {error.strerror or error}. {advice}.") from error
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"The stored split {path} is broken ({error}). {advice}.") from error
    for kind, lists in content.items():
        for part, paths in lists.items():
            if not isinstance(paths, list) or not all(isinstance(each, str) for each in paths):
                raise UserError(f"The stored split {path} is broken ('{kind}', '{part}' are no paths). {advice}.")
        every = [each for paths in lists.values() for each in paths]
        if len(every) != len(set(every)):
            raise UserError(f"The stored split {path} is broken ('{kind}' has a path twice). {advice}.")
    return content
