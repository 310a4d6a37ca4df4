"""What runs one job, in a process of its own: ``python -m tools.sweeping.worker OUTPUT FOLDER``.

OUTPUT is the sweep's folder, FOLDER the job's below it, as ``sweep.json`` has it. Launchers on other machines start
that, in the repository; the local one forks and calls ``run_job``.
"""

import contextlib
import json
import os
import re
import shutil
import sys
import time
import traceback
from datetime import datetime, timezone
from pathlib import Path

from common.files import SMALL, check_output_folder, open_to_write, read_text, write_text_atomically

from .job import ROOT, Job
from .plan import read
from .state import (
    CONSOLE,
    DONE,
    FAILED,
    JOB,
    LOCK,
    has_test_record,
    is_done,
    last_line,
    lock,
    mark_done,
    mark_failed,
    read_json,
    records,
    was_stopped,
)

BUSY = 75  # exit status: another process runs this job
# Settings that do not change a result.
_FREE = (
    "OUTPUT_DIR", "RESUME", "VERBOSE", "TRAIN.CHECKPOINT_FREQ", "TRAIN.CHECKPOINT_BATCHES", "TRAIN.CHECKPOINT_SECONDS",
    "TRAIN.PRINT_FREQ", "DATASET.ROOT", "DATALOADER.NUM_WORKERS", "FEATURES.CACHE", "FEATURES.DIR",
)  # fmt: skip


def run_job(content: dict, output: str, environment: dict[str, str]) -> int:
    """Run a job unless it is done or runs elsewhere, and leave the marker of how it ended.

    What it prints goes to ``console.txt`` in its folder. An interrupted run goes on from its newest checkpoint. What
    another job left in the folder is set aside.

    Args:
        content: ``Job.to_json()``. output: the sweep's folder. environment: variables to set before anything else.

    Returns:
        0 when the job is done, ``BUSY``, or the run's exit status.
    """
    os.environ.update(environment)
    job = Job.from_json(content)
    folder = job.path(output)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        check_output_folder(folder)
    except OSError as error:
        mark_failed(folder, job.key, 2, str(error))
        return 2
    with lock(folder) as held:
        if not held:
            return BUSY
        if is_done(folder, job.key):
            return 0
        (folder / FAILED).unlink(missing_ok=True)
        with open(open_to_write(folder / CONSOLE), "w", encoding="utf-8", buffering=1) as stream:
            os.dup2(stream.fileno(), 1)
            os.dup2(stream.fileno(), 2)
            sys.stdout = sys.stderr = stream
            os.chdir(ROOT)
            started = time.time()
            try:
                if not _same_job(folder, job.key) and _is_complete(job, output):
                    mark_done(folder, job.key, None)
                    return 0
                _prepare(folder, job, output)
                status = _train(job, output)
            except SystemExit as error:  # bad arguments
                status = error.code if isinstance(error.code, int) else 1
            except Exception:
                traceback.print_exc()
                status = 1
            if status == 0 and not has_test_record(folder):
                print("The run ended without a test record in results.json (TEST.NO_TEST?)")
                status = 1
            stream.flush()
        if status == 0:
            mark_done(folder, job.key, time.time() - started)
        elif not was_stopped(status):
            mark_failed(folder, job.key, status, last_line(folder))
        return status


def _train(job: Job, output: str) -> int:
    import train

    argv = job.argv(output)
    if job.after and "--load-epoch" not in argv and (last := _last_epoch(Path(output) / job.after)):
        argv = [*job.flags, "--load-epoch", str(last), *argv[len(job.flags) :]]
    return train.main(argv)


def _last_epoch(model_dir: Path) -> int | None:
    """The newest epoch of a run; None where it kept the best one, or nothing."""
    names = []
    with contextlib.suppress(OSError, ValueError):  # train.py says what is wrong with a checkpoint
        names = [read_text(file, SMALL).strip() for file in model_dir.glob("*/checkpoint")]
    if not names or any(model_dir.glob("*/model-best.pth.tar")):
        return None
    found = re.fullmatch(r"model\.pth\.tar-(\d+)", names[0])
    return int(found[1]) if found else None


def _same_job(folder: Path, key: str) -> bool:
    return read_json(folder / JOB).get("key") == key


def _prepare(folder: Path, job: Job, output: str) -> None:
    """Leave in the folder only what this job may go on from."""
    if not _same_job(folder, job.key):
        _set_aside(folder)
        content = {**job.to_json(), "output": str(output), "command": ["train.py", *job.argv(output)]}
        write_text_atomically(folder / JOB, json.dumps(content, indent=1) + "\n")
    (folder / DONE).unlink(missing_ok=True)
    for model in folder.iterdir():
        files = [f.name for f in model.iterdir()] if model.is_dir() and not model.is_symlink() else []
        # Killed before its first checkpoint was whole: the pointer file, written last, is not there.
        if files and all(re.match(r"\.?model.*\.pth\.tar|\.checkpoint\.", name) for name in files):
            shutil.rmtree(model)
        for name in files:
            if name.startswith(".") and name.endswith((".tmp", ".part")):
                (model / name).unlink(missing_ok=True)
    for part in folder.glob(".*.part"):
        part.unlink(missing_ok=True)


def _set_aside(folder: Path) -> None:
    """Move what another job left into a hidden folder, its results under another name: no table reads them again."""
    left = [f for f in folder.iterdir() if f.name not in (LOCK, CONSOLE) and not f.name.startswith(".earlier-")]
    if not left:
        return
    to = folder / f".earlier-{datetime.now(timezone.utc).strftime('%Y%m%d-%H%M%S-%f')}"
    to.mkdir()
    for file in sorted(left, key=lambda f: f.name == JOB):
        os.replace(file, to / (file.name + ".earlier" if file.suffix == ".json" else file.name))
    print(f"What an earlier run with other settings left is in {to}")


def _is_complete(job: Job, output: str) -> bool:
    """Whether the folder, which no sweep has marked, holds the finished results of just this command."""
    found = [r for r in records(job.path(output)) if r.get("split") == "test" and r.get("format")]
    if not found or job.after or found[-1].get("protocol") != job.protocol:
        return False
    import launch.libraries  # noqa: F401  (registers the trainers, whose settings a config has)
    from launch import arguments
    from launch.config import build_config, import_plugin

    args = arguments.parse(job.argv(output))
    for plugin in args.plugin:
        import_plugin(plugin)
    cfg = build_config(args)
    wanted, recorded = (_flat(json.loads(json.dumps(s))) for s in (cfg, found[-1].get("settings", {})))
    epochs = None if args.eval_only else cfg.OPTIM.MAX_EPOCH
    return wanted == recorded and found[-1].get("epoch") == epochs


def _flat(node: dict, path: str = "") -> dict:
    flat = {}
    for key, value in node.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{path}{key}.")
        elif f"{path}{key}" not in _FREE:
            flat[f"{path}{key}"] = value
    return flat


def main(argv: list[str]) -> int:
    jobs = {job.folder: job for job in read(Path(argv[0]))} if len(argv) == 2 else {}
    if len(argv) != 2 or argv[1] not in jobs:
        print(
            "Error: usage: python -m tools.sweeping.worker OUTPUT FOLDER, as sweep.json in OUTPUT has it",
            file=sys.stderr,
        )
        return 2
    return run_job(jobs[argv[1]].to_json(), argv[0], {})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
