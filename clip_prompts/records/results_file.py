"""``results.json``: the list of a run's evaluation records, on disk. Imports nothing heavy, so tools can use it."""

import json
import os
from pathlib import Path

from clip_prompts.common.files import read_json, write_text_atomically
from clip_prompts.common.trees import branch

from .schema import checksum, is_intact

FILE = "results.json"


def read_records(path: Path) -> list[dict] | None:
    """The records of a file, of any version: [] if there is none, None if it is not a JSON list.

    A record that was damaged on the disk is skipped, with a printed line.
    Raises OSError: the file cannot be read, or is a FIFO, a device or a folder.
    """
    if not path.exists():
        return []
    try:
        records = read_json(path)
    except ValueError:
        return None
    if not isinstance(records, list):
        return None
    intact = [record for record in records if is_intact(record)]
    if len(intact) < len(records):
        print(f"Warning: {len(records) - len(intact)} of the records in {path} do not fit their checksums; left out")
    return intact


def keep_record(path: Path, record: dict) -> None:
    """Put a record into the list in ``path``: in the place of an earlier one of the same evaluation, or at the end.

    The file is written whole, atomically, the record with a checksum, and is on the disk when this returns. One that
    is no JSON list is kept next to it as ``.broken``. Raises OSError where the place cannot be written.
    """
    records = read_records(path)
    if records is None:
        os.replace(path, path.with_suffix(".json.broken"))
        records = []
    if "format" in record:
        record = {**record, "sha256": checksum(record)}
    own = _evaluation(record)
    places = [i for i, earlier in enumerate(records) if own is not None and _evaluation(earlier) == own]
    if places:
        records[places[0]] = record
    else:
        records.append(record)
    write_text_atomically(path, _text(records), durable=True)


def _evaluation(record: object) -> list | None:
    """Returns what distinguishes evaluations of a run; None for a record of version 1, which is never replaced."""
    if not isinstance(record, dict) or "format" not in record:
        return None
    config = branch(record, "hashes").get("config")
    return [*(record.get(key) for key in ("split", "epoch", "loaded", "protocol")), record.get("identity", config)]


def _text(records: list) -> str:
    """JSON with a line for each key of a record."""
    return "[\n" + ",\n".join(map(_lines, records)) + "\n]\n"


def _lines(record: object) -> str:
    if not isinstance(record, dict):
        return json.dumps(record)
    return "{\n" + ",\n".join(f" {json.dumps(k)}: {json.dumps(v, allow_nan=False)}" for k, v in record.items()) + "\n}"
