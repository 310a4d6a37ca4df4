"""The files of a run: ``gpu.json`` with all numbers, ``gpu.md`` with tables."""

import json
import platform
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path

import torch
from tabulate import tabulate

from clip_prompts.common.files import write_text_atomically

from .run import Result, shown

TITLES = {
    "tests": "Tests that need a GPU",
    "golden": "Golden cases in fp32: differences from the numbers of the reference implementation",
    "steps": "A training step of each method: of peak is the share of the large matrix product's rate",
    "epoch": "One epoch of CoCoOp on generated images, batch 1",
}


class Report:
    """Collects results, and writes both files again after each result.

    Args:
        folder: where. device: cuda or cpu.
    """

    def __init__(self, folder: Path, device: str) -> None:
        self.folder, self.results = folder, list[Result]()
        name = torch.cuda.get_device_name() if device == "cuda" else f"CPU, {torch.get_num_threads()} threads"
        self.machine = {
            "device": name, "torch": torch.__version__, "cuda": torch.version.cuda, "python": platform.python_version(),
            "date": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"), "seconds": None,
        }  # fmt: skip

    @property
    def failed(self) -> list[Result]:
        """The results of failed cases."""
        return [result for result in self.results if result.status == "FAILED"]

    def add(self, result: Result) -> None:
        """Keep a result, and write the files."""
        self.results.append(result)
        self.write()

    def write(self, seconds: float | None = None) -> None:
        """Write both files. ``seconds``: that the whole run took, at its end."""
        self.machine["seconds"] = seconds
        content = {"machine": self.machine, "cases": [asdict(result) for result in self.results]}
        write_text_atomically(self.folder / "gpu.json", json.dumps(content, indent=1) + "\n")
        write_text_atomically(self.folder / "gpu.md", self.markdown())

    def summary(self) -> str:
        """Numbers of cases, and the time."""
        counts = {status: sum(r.status == status for r in self.results) for status in ("ok", "FAILED", "skipped")}
        took = f", {self.machine['seconds']:.0f} s" if self.machine["seconds"] is not None else ""
        return ", ".join(f"{count} {status}" for status, count in counts.items() if count or status == "ok") + took

    def markdown(self) -> str:
        """The tables, one per part."""
        facts = self.machine
        lines = [
            f"# {facts['device']}", "",
            f"PyTorch {facts['torch']}, CUDA {facts['cuda'] or 'none'}, Python {facts['python']}, {facts['date']}. "
            f"{self.summary()}.",
        ]  # fmt: skip
        for part, title in TITLES.items():
            if found := [result for result in self.results if result.part == part]:
                lines += ["", f"## {title}", "", _table(found)]
        return "\n".join(lines) + "\n"


def _table(results: list[Result]) -> str:
    keys = list(dict.fromkeys(key for result in results for key in result.numbers))
    rows = [
        [r.name, *(shown(r.numbers[key]) if key in r.numbers else "" for key in keys),
         " ".join(filter(None, (r.status, r.reason))).replace("|", "\\|")]
        for r in results
    ]  # fmt: skip
    align = ("left", *["right"] * len(keys), "left")
    return tabulate(rows, ["", *keys, "result"], tablefmt="github", colalign=align, disable_numparse=True)
