"""Kill runs at random moments, run the same command again until it is done, and compare with the undisturbed run.

``python tests/faults/kill.py --kills 40`` spreads the kills over all cases and prints a table. Exit status 1 where
anything differs. One process imports everything once; every start of a run is a fork of it.
"""

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # sums in the same order
if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import torch  # noqa: E402
from torch.utils.tensorboard import SummaryWriter  # noqa: E402, F401

import train  # noqa: E402
from tests.faults.cases import OUTPUT, Case, cases, prepare  # noqa: E402
from tests.faults.outcome import differences, outcome  # noqa: E402


def start(case: Case, folder: Path, data: Path) -> int:
    """Start the case's run in a folder, in a process group of its own; gives the process."""
    folder.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    process = os.fork()
    if process:
        return process
    status = 1
    try:
        os.setsid()
        console = os.open(folder / "console.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(console, 1)
        os.dup2(console, 2)
        os.chdir(folder)
        status = train.main(case.argv(data))
        sys.stdout.flush()
    finally:
        os._exit(status)


def wait(process: int, seconds: float | None = None) -> int | None:
    """The exit status (negative: the signal); None where the process still runs after ``seconds``."""
    end = None if seconds is None else time.monotonic() + seconds
    while True:
        done, status = os.waitpid(process, 0 if end is None else os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() >= end:
            return None
        time.sleep(0.001)


def kill(process: int, draw: random.Random) -> bool:
    """SIGKILL to the run, or to it and its loader workers; whether it was still at work."""
    if draw.random() < 0.5:
        os.kill(process, signal.SIGKILL)
        status = wait(process)
    else:
        os.killpg(process, signal.SIGKILL)
        status = wait(process)
    try:
        os.killpg(process, signal.SIGKILL)  # workers that have not seen yet that they are alone
    except ProcessLookupError:
        pass
    return status == -signal.SIGKILL


def undisturbed(case: Case, folder: Path, data: Path) -> float:
    """Run the case into ``whole``; gives how long that takes."""
    began = time.monotonic()
    assert wait(start(case, folder / "whole", data)) == 0, (folder / "whole/console.txt").read_text()[-2000:]
    return time.monotonic() - began


def disturbed(case: Case, folder: Path, data: Path, took: float, kills: int, draw: random.Random) -> dict:
    """Kill the run ``kills`` times while it works; gives counts and the differences.

    A moment is drawn from the time that the undisturbed run takes. A run that is done before it counts as no kill; its
    outcome is compared all the same, and the next one starts from nothing.
    """
    found = {"kills": 0, "training": 0, "within an epoch": 0, "runs": 0, "differences": []}
    whole = outcome(folder / "whole" / OUTPUT)
    while found["kills"] < kills:
        here = folder / f"cut{found['runs']}"
        while True:
            wanted = found["kills"] < kills
            process = start(case, here, data)
            status = wait(process, draw.uniform(0, took) if wanted else None)
            if status is None:
                steps = _steps(here)
                if not kill(process, draw):
                    status = 0  # it ended in the last moment
                else:
                    found["kills"] += 1
                    found["training"] += steps > 0
                    continue
            assert status == 0, f"{case.name}: exit status {status}\n{(here / 'console.txt').read_text()[-3000:]}"
            break
        found["runs"] += 1
        found["within an epoch"] += (here / "console.txt").read_text().count("goes on after batch")
        found["differences"] += differences(whole, outcome(here / OUTPUT))
        shutil.rmtree(here)
    return found


def _steps(folder: Path) -> int:
    """Training steps that were reported so far."""
    console = folder / "console.txt"
    return sum(line.startswith("epoch [") for line in console.read_text().splitlines()) if console.exists() else 0


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=40, help="of all cases together (default: 40)")
    parser.add_argument("--cases", nargs="+", default=[""], help="only those whose name begins so: 'CoOp, 2', FixMatch")
    parser.add_argument("--seed", type=int, help="of the random moments")
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    seed = random.SystemRandom().randrange(10**6) if args.seed is None else args.seed
    print(f"Random moments of seed {seed}")
    draw = random.Random(seed)
    chosen = [case for case in cases() if case.name.startswith(tuple(args.cases))][: args.kills]
    failed, struck = [], 0
    heads = ("kills", "training", "within an epoch", "runs")
    print(f"{'run':22}{'takes':>7}" + "".join(f"{head:>17}" for head in heads) + "   differences")
    with tempfile.TemporaryDirectory() as place:
        os.environ["XDG_CACHE_HOME"] = str(Path(place) / "cache")
        data = Path(place) / "data"
        prepare(data)
        for number, case in enumerate(chosen):
            folder = Path(place) / f"case{number}"
            if not (data / "digits").exists() and case.trainer != "FixMatch":
                undisturbed(case, folder / "first", data)  # which renders the pictures
            took = undisturbed(case, folder, data)
            kills = args.kills * (number + 1) // len(chosen) - args.kills * number // len(chosen)
            found = disturbed(case, folder, data, took, kills, draw)
            numbers = "".join(f"{found[head]:17}" for head in heads)
            print(f"{case.name:22}{took:6.1f}s{numbers}   {', '.join(found['differences'][:5]) or 'none'}", flush=True)
            failed += found["differences"]
            struck += found["kills"]
    print(f"{struck} of {args.kills} kills struck a run at work; " + ("DIFFERENT" if failed else "all ended the same"))
    return 1 if failed or struck != args.kills else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
