"""All that a finished run left, to compare it with that of another run of the same command."""

import json
import re
from pathlib import Path

import torch

from clip_prompts.records.schema import VARYING

_STEP = re.compile(r"^(epoch \[\S+ batch \[\S+) time .*?\) data \S+ \S+ (.*) eta ")
_EXTRA = ("log.txt", "events.out.")  # files whose number tells how often a run was started


def outcome(folder: Path) -> dict:
    """Losses, curves, records, files, and every tensor and number in the checkpoints.

    Raises:
        AssertionError: starts of the run that report the same step report different numbers.
    """
    found = {"losses": _losses(folder), "curves": _curves(folder)}
    for name in ("results.json", "curve.json"):
        content = json.loads((folder / name).read_text())
        found[name] = [{key: value for key, value in part.items() if key not in VARYING} for part in content]
        for part in found[name]:
            part.get("versions", {}).pop("code", None)  # somebody may commit meanwhile
    files = [file for file in sorted(folder.rglob("*")) if not file.name.startswith(_EXTRA)]
    found["files"] = [str(file.relative_to(folder)) for file in files]
    for file in files:
        if ".pth.tar" in file.name:
            found[str(file.relative_to(folder))] = torch.load(file, weights_only=True)
    return found


def differences(a: object, b: object, where: str = "") -> list[str]:
    """The places at which two outcomes differ; numbers and tensors must be the same to the last bit."""
    if isinstance(a, dict) and isinstance(b, dict):
        keys = dict.fromkeys([*a, *b])
        return [
            line
            for key in keys
            for line in (
                differences(a[key], b[key], f"{where}/{key}") if key in a and key in b else [f"{where}/{key} (missing)"]
            )
        ]
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)) and len(a) == len(b):
        return [line for i, pair in enumerate(zip(a, b, strict=True)) for line in differences(*pair, f"{where}/{i}")]
    if isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor):
        return [] if a.dtype == b.dtype and torch.equal(a, b) else [where]
    return [] if type(a) is type(b) and a == b else [where]


def _losses(folder: Path) -> dict:
    """ "epoch [1/3] batch [2/5]" -> losses, their averages and the rate, as printed, from all logs of the folder."""
    found: dict = {}
    for log in folder.glob("log.txt*"):
        for line in log.read_text().splitlines():
            if step := _STEP.match(line):
                assert found.setdefault(step[1], step[2]) == step[2], f"{log}: {line} was {found[step[1]]} before"
    return dict(sorted(found.items()))


def _curves(folder: Path) -> dict:
    """ "tag step" -> value, from all TensorBoard files of the folder; the last record of a killed run may be cut."""
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    found: dict = {}
    for file in folder.glob("tensorboard/events*"):
        for event in EventFileLoader(str(file)).Load():
            for value in event.summary.value:
                key, number = f"{value.tag} {event.step}", value.tensor.float_val[0]
                assert found.setdefault(key, number) == number, f"{file}: {key} is {number}, was {found[key]} before"
    return dict(sorted(found.items()))
