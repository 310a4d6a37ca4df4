"""Run every job of a protocol, or of a sweep file, and print the protocol's table.

A job is one run of train.py. The same command again runs only what is missing and continues what was interrupted; two
sweeps may share a folder. `python tools/sweep.py status OUTPUT` shows how far all of it is.

examples:
  python tools/sweep.py base2new CoOp,CoCoOp digits,shapes --jobs 2
  python tools/sweep.py few_shot CoOp all --root ~/data --seeds 1 2 3 --shots 1 2 4 8 16 --dry-run
  python tools/sweep.py base2new CoOp dtd --root ~/data --set TRAINER.COOP.N_CTX 8
  python tools/sweep.py run configs/sweeps/embedded.yaml
  python tools/sweep.py status output --watch
"""

import argparse
import contextlib
import importlib
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

if __name__ == "__main__" and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C during the imports prints no traceback
from installed import require_packages

require_packages("tools/sweep.py")

from clip_prompts.common.errors import UserError  # noqa: E402
from clip_prompts.common.files import FileRefused  # noqa: E402
from clip_prompts.common.method_facts import default_methods  # noqa: E402
from clip_prompts.sweep import failures, plan, protocols, status  # noqa: E402
from clip_prompts.sweep.job import ROOT, Job  # noqa: E402
from clip_prompts.sweep.request import Request  # noqa: E402
from clip_prompts.sweep.run_jobs import run_jobs  # noqa: E402
from clip_prompts.sweep.state import has_test_record, presence  # noqa: E402

EXAMPLES = {  # of each command, for its --help
    "few_shot": (
        "python tools/sweep.py few_shot CoOp digits",
        "python tools/sweep.py few_shot CoOp all --root ~/data --seeds 1 2 3 --shots 1 2 4 8 16 --dry-run",
    ),
    "base2new": (
        "python tools/sweep.py base2new CoOp,CoCoOp digits,shapes --jobs 2",
        "python tools/sweep.py base2new CoOp dtd --root ~/data --set TRAINER.COOP.N_CTX 8",
    ),
    "cross_dataset": (
        "python tools/sweep.py cross_dataset CoOp digits --source shapes",
        "python tools/sweep.py cross_dataset CoCoOp all --root ~/data --seeds 1",
    ),
    "domain_generalization": (
        "python tools/sweep.py domain_generalization CoOp all --root ~/data",
        "python tools/sweep.py domain_generalization MaPLe imagenetv2,imagenet_a --root ~/data --seeds 1",
    ),
    "zeroshot": (
        "python tools/sweep.py zeroshot ZeroshotCLIP digits,shapes",
        "python tools/sweep.py zeroshot ZeroshotCLIP all --root ~/data",
    ),
    "ablation": (
        "python tools/sweep.py ablation CoOp digits --studies context",
        "python tools/sweep.py ablation CoCoOp all --root ~/data --dry-run",
    ),
    "run": (
        "python tools/sweep.py run configs/sweeps/embedded.yaml",
        "python tools/sweep.py run configs/sweeps/embedded.yaml --jobs 2 --dry-run",
    ),
    "status": (
        "python tools/sweep.py status output",
        "python tools/sweep.py status output --watch",
    ),
}  # fmt: skip
_PRINTS = "Prints a line per running job, then the table of the protocol. --dry-run prints the jobs and their states."
LAUNCHERS = {"local": "LocalLauncher", "ray": "RayLauncher", "slurm": "SlurmLauncher"}  # module -> class
FIELDS = ("trainers", "datasets", "config", "seeds", "shots", "root", "source", "studies", "part", "variant")


def main(argv: list[str] | None = None) -> int:
    """Exit status: 0 if all is done, 1 if a job failed or is missing, 2 for bad input, 130 or 143 after a signal."""
    with _signals():
        try:
            args = parse(argv)
            return args.call(args)
        except (UserError, FileRefused) as error:
            print(f"Error: {error}", file=sys.stderr)
            return 2
        except KeyboardInterrupt as stop:
            return _stopped(stop)


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True, metavar="PROTOCOL | run FILE | status OUTPUT")
    for name in protocols.PROTOCOLS:
        text = next(line for line in protocols.__doc__.splitlines() if line.startswith(f"{name} "))
        text = text[len(name) :].strip()
        sub = commands.add_parser(name, help=text, description=text[:1].upper() + text[1:], **_epilog(name, _PRINTS))
        add = sub.add_argument
        names = ",".join(default_methods(name))
        add("trainers", nargs="?", help=f"methods, separated by commas (default: {names})")
        add(
            "datasets",
            nargs="?",
            help="names or YAML files, separated by commas, or all (default); for transfers, the targets",
        )
        add("config", nargs="?", help="name in configs/trainers/TRAINER/, or a YAML file (default: the papers')")
        text = "for transfers: dataset to learn on (default: imagenet; embedded: shapes)"
        add("--source", default="", help=text)
        if name == "ablation":
            add("--studies", nargs="+", default=[], help=f"of {', '.join(protocols.STUDIES)} (default: all)")
        _common(sub)
    sub = commands.add_parser(
        "run", help="run the jobs of a sweep file", description=plan.read_requests.__doc__.partition("Args:")[0],
        **_epilog("run", _PRINTS),
    )  # fmt: skip
    sub.add_argument("file", help="YAML, such as configs/sweeps/embedded.yaml")
    _common(sub)
    text = "print the state of the jobs of a folder"
    printed = "Prints the number of jobs by method and state, then the jobs that run or have failed, and the time left."
    sub = commands.add_parser(
        "status", help=text, description=text[:1].upper() + text[1:], **_epilog("status", printed)
    )
    sub.add_argument("output", type=Path, nargs="?", default=ROOT / "output", help="default: output")
    sub.add_argument("--watch", action="store_true", help="print it again every two seconds")
    sub.set_defaults(call=show)
    return parser.parse_args(argv)


def _epilog(command: str, printed: str) -> dict:
    text = "\n  ".join(["examples:", *EXAMPLES[command]]) + f"\n\n{printed}"
    return {"epilog": text, "formatter_class": argparse.RawDescriptionHelpFormatter}


def _common(sub: argparse.ArgumentParser) -> None:
    add = sub.add_argument
    add("--seeds", nargs="+", type=int, default=[], help="default: 1 2 3")
    text = "training images per class (default: the method's own; else 16, and 1 2 4 8 16 for few_shot)"
    add("--shots", nargs="+", type=int, default=[], help=text)
    add("--root", default="", help="folder of the datasets; the embedded ones need none")
    add("--output", type=Path, default=ROOT / "output", help="default: output")
    add("--jobs", type=int, default=0, help="runs at a time (default: one per GPU, two on the CPU)")
    add("--launcher", default="local", choices=LAUNCHERS, help="where jobs run (default: local); see docs/protocols.md")
    add("--plugin", action="append", help="module that registers more trainers or datasets; repeatable")
    text = "settings for every run, as pairs; they become part of the folder's name; repeatable"
    add("--set", nargs="+", action="extend", metavar="KEY VALUE", help=text)
    add("--part", default="", choices=("train", "test"), help="run only the trainings, or only the evaluations")
    add("--variant", help="name of the folder between config and seed (default: the settings of --set)")
    add("--again", action="store_true", help="move earlier results of these runs aside, and run all of them again")
    add("--dry-run", action="store_true", help="list the jobs with their states, and run nothing")
    add("--no-report", action="store_true", help="print no table at the end")
    add("--details", action="store_true", help="print hashes of weights and test images below the table")
    sub.set_defaults(call=run)


def requests(args: argparse.Namespace) -> list[Request]:
    """Return the requests that the arguments state. Raises UserError."""
    given = {key: value for key in FIELDS if (value := getattr(args, key, None)) not in (None, "", [])}
    for key in ("trainers", "datasets"):
        if key in given:
            given[key] = [name for name in given[key].replace(",", " ").split() if name]
    given |= {"plugins": args.plugin} if args.plugin else {}
    given |= {"settings": args.set} if args.set else {}
    given |= {"variant": ""} if args.variant == "" else {}
    if args.command == "run":
        return plan.read_requests(args.file, given)
    return [Request(protocol=args.command, **given)]


def run(args: argparse.Namespace) -> int:
    output = args.output.expanduser().resolve()
    if args.jobs < 0:
        raise UserError(f"--jobs {args.jobs}: use 1 or more, or 0 for one per GPU (two on the CPU)")
    asked = requests(args)
    if args.dry_run:
        print(status.listing(plan.plan(asked), output))
        return 0
    launcher = getattr(importlib.import_module(f"clip_prompts.sweep.{args.launcher}"), LAUNCHERS[args.launcher])
    backend = launcher(output, args.jobs)  # first: it starts to import while we plan
    try:
        jobs = plan.plan(asked)
        plan.save(jobs, output)
        with presence(output):
            failed = run_jobs(jobs, output, backend, again=args.again)
    except KeyboardInterrupt as stop:
        return _stopped(stop)  # at once: the runs take a moment to save themselves
    finally:
        backend.stop()
    if not args.no_report:
        report(jobs, output, args.details)
    print(f"Logs, checkpoints and results.json of every run: {output}", flush=True)
    if failed:
        print(failures.summary(failed, jobs, output), file=sys.stderr)
    return 1 if failed else 0


def show(args: argparse.Namespace) -> int:
    output = args.output.expanduser().resolve()
    folders = [output]
    if not (output / plan.FILE).exists():  # such as the demo's
        folders = sorted(file.parent for file in output.glob(f"*/{plan.FILE}")) or folders
    if folders != [output]:
        print(f"No sweep was started into {output} itself, but into these folders; `status FOLDER` shows more:")
        for folder in folders:
            jobs = plan.read(folder)
            print(f"{folder}: {status.line(jobs, status.states_of(jobs, folder), folder)}")
    elif args.watch:
        status.watch(output)
    else:
        print(status.table(plan.read(output), output))
    states = (state for folder in folders for state in status.states_of(plan.read(folder), folder).values())
    return 0 if all(state.name == "done" for state in states) else 1


def report(jobs: list[Job], output: Path, details: bool) -> None:
    """Print the tables of these jobs' results, if there are any. ``details``: with the hashes."""
    from report import main as report_main  # it takes longer to import than a sweep takes to look

    folders = [str(job.path(output)) for job in jobs if has_test_record(job.path(output))]
    if folders:
        print()
        report_main([*folders, *(["--details"] if details else [])])


@contextlib.contextmanager
def _signals() -> Iterator[None]:
    """Inside this block, Ctrl-C and SIGTERM raise KeyboardInterrupt, which holds the signal's number.

    It is raised again every second until ``_stopped`` is called: Python drops an exception that is raised while one of
    its own callbacks runs, such as those of an import.
    """
    asked = []

    def stop(number, _) -> None:
        asked.append(asked[0] if number == signal.SIGALRM else number)
        signal.setitimer(signal.ITIMER_REAL, 1.0)
        raise KeyboardInterrupt(asked[-1])

    heard = [n for n in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(n) is not signal.SIG_IGN]
    before = {number: signal.signal(number, stop) for number in (*heard, signal.SIGALRM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _stopped(by: KeyboardInterrupt) -> int:
    """Say in one line how to continue after a signal; the exit status is 128 + the signal's number."""
    signal.setitimer(signal.ITIMER_REAL, 0.0)
    number = by.args[0] if by.args else signal.SIGINT
    name = "Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name
    print(f"\nStopped by {name}; the same command continues", file=sys.stderr, flush=True)
    return 128 + number


if __name__ == "__main__":
    sys.exit(main())
