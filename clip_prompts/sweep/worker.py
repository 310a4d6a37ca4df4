"""The process that runs one job: ``python -m clip_prompts.sweep.worker OUTPUT FOLDER``.

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
from dataclasses import asdict
from pathlib import Path

from clip_prompts.common.checkpoint_files import BEST, saved_epochs
from clip_prompts.common.files import ASIDE, check_output_folder, move_aside, open_to_write, write_text_atomically

from . import evidence, state
from .job import ROOT, Job
from .plan import read
from .state import CONSOLE, DONE, FAILED, JOB, LOCK, RESULTS, mark_done, mark_failed, read_object

BUSY = 75  # exit status: another process runs this job


def run_job(job: Job, output: str, environment: dict[str, str]) -> int:
    """Run a job unless it is done or runs elsewhere, and leave the marker of how it ended.

    Its output goes to ``console.txt`` in its folder. An interrupted run continues from its newest checkpoint. Files of
    another job in the folder are set aside.

    Args:
        output: the sweep's folder. environment: variables to set before anything else.

    Returns:
        0 when the job is done, ``BUSY``, or the run's exit status.
    """
    os.environ.update(environment)
    folder = job.path(output)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        check_output_folder(folder)
    except OSError as error:
        mark_failed(folder, job.key, 2, str(error))
        return 2
    with state.lock(folder) as held:
        if not held:
            return BUSY
        if evidence.holds(job, output):
            return 0
        (folder / FAILED).unlink(missing_ok=True)
        with open(open_to_write(folder / CONSOLE), "w", encoding="utf-8", buffering=1) as stream:
            os.dup2(stream.fileno(), 1)
            os.dup2(stream.fileno(), 2)
            sys.stdout = sys.stderr = stream
            os.chdir(ROOT)
            started, earlier, before = time.time(), read_object(folder / DONE), _results_time(folder)
            try:
                _prepare(folder, job, output)
                status = _train(job, output)
            except SystemExit as error:  # bad arguments
                status = error.code if isinstance(error.code, int) else 1
            except Exception:
                traceback.print_exc()
                status = 1
            if status == 0 and not state.has_test_record(folder):
                print("The run ended without a test record in results.json (TEST.NO_TEST?)")
                status = 1
            stream.flush()
        if status == 0:
            # A run that was found to be done already keeps the time that it took.
            ran = _results_time(folder) != before
            seconds = time.time() - started if ran else earlier.get("seconds")
            mark_done(folder, job.key, seconds, evidence.take(job, output))
        elif not state.was_stopped(status):
            mark_failed(folder, job.key, status, state.last_line(folder))
        return status


def _train(job: Job, output: str) -> int:
    from clip_prompts.run.program import main

    argv = ["--again-if-changed", *job.argv(output)]
    if job.after and "--load-epoch" not in argv and (last := _last_epoch(Path(output) / job.after)):
        argv = ["--load-epoch", str(last), *argv]
    return main(argv)


def _last_epoch(model_dir: Path) -> int | None:
    """Returns the newest epoch of a run; None if it kept the best one, or nothing."""
    if any(model_dir.glob(f"*/{BEST}")):
        return None
    epochs = [epoch for pointer in model_dir.glob("*/checkpoint") for epoch in saved_epochs(pointer.parent)]
    return max(epochs, default=None)


def _results_time(folder: Path) -> int | None:
    """Returns the time when the folder's records were written."""
    with contextlib.suppress(OSError):
        return (folder / RESULTS).stat().st_mtime_ns
    return None


def _prepare(folder: Path, job: Job, output: str) -> None:
    """Remove all files from the folder that this job cannot continue from."""
    if read_object(folder / JOB).get("key") != job.key:
        if os.path.exists(folder / JOB):  # without it, train.py was called by hand, and compares for itself
            set_aside(folder)
        content = {**asdict(job), "output": str(output), "command": ["train.py", *job.argv(output)]}
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


def set_aside(folder: Path) -> bool:
    """Move what another job left into a hidden folder, its results under another name: no table reads them again.

    Returns False if there is nothing to move.
    """
    left = [f for f in folder.iterdir() if f.name not in (LOCK, CONSOLE) and not f.name.startswith(ASIDE)]
    if not left:
        return False
    move_aside(folder, sorted(left, key=lambda f: f.name == JOB))
    return True


def main(argv: list[str]) -> int:
    jobs = {job.folder: job for job in read(Path(argv[0]))} if len(argv) == 2 else {}
    if len(argv) != 2 or argv[1] not in jobs:
        usage = "python -m clip_prompts.sweep.worker OUTPUT FOLDER, as sweep.json in OUTPUT has it"
        print(f"Error: usage: {usage}", file=sys.stderr)
        return 2
    return run_job(jobs[argv[1]], argv[0], {})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
