"""The smallest sweep: four classes of small pictures, the embedded backbone, two epochs on two shots."""

import json
import os
import subprocess
import sys
from pathlib import Path

from clip_prompts.records.schema import VARYING
from tests.conftest import ROOT
from tests.datasets.pictures import draw


def prepare(folder: Path, epochs: int = 2) -> tuple[str, str]:
    """Write pictures and a config; gives the arguments DATASET and CFG."""
    draw(folder / "pictures", 6, seed=0)
    dataset, method = folder / "mine.yaml", folder / "short.yaml"
    dataset.write_text(f'DATASET:\n  NAME: "ImageFolder"\n  ROOT: "{folder / "pictures"}"\n')
    text = (ROOT / "configs/trainers/CoOp/tiny.yaml").read_text()
    method.write_text(text.replace("MAX_EPOCH: 50", f"MAX_EPOCH: {epochs}"))
    return str(dataset), str(method)


def command(folder: Path, output: Path, *more: str) -> list[str]:
    dataset, method = str(folder / "mine.yaml"), str(folder / "short.yaml")
    return [
        sys.executable, str(ROOT / "tools/sweep.py"), "base2new", "CoOp", dataset, method, "--shots", "2",
        "--output", str(output), "--jobs", "2", "--no-report", *more,
    ]  # fmt: skip


def start(argv: list[str]) -> subprocess.Popen:
    """In a process group of its own."""
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        argv, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )


def records(output: Path) -> dict[str, list[dict]]:
    """Folder -> records, without what may differ."""

    def same(record):
        versions = {k: v for k, v in record["versions"].items() if k != "code"}  # a commit may be made meanwhile
        return {key: value for key, value in record.items() if key not in VARYING} | {"versions": versions}

    return {
        str(file.parent.relative_to(output)): [same(record) for record in json.loads(file.read_text())]
        for file in sorted(output.rglob("results.json"))
    }
