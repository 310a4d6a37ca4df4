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
import signal
import sys
from pathlib import Path

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from common.environment import require_packages  # noqa: E402

require_packages("tools/sweep.py")

from tools.sweeping import plan, protocols, status  # noqa: E402
from tools.sweeping.drive import drive  # noqa: E402
from tools.sweeping.errors import SweepError  # noqa: E402
from tools.sweeping.job import ROOT, Job  # noqa: E402
from tools.sweeping.launcher import NAMES, launcher  # noqa: E402
from tools.sweeping.request import Request  # noqa: E402

FIELDS = ("trainers", "datasets", "config", "seeds", "shots", "root", "source", "studies", "part", "variant")


def main(argv: list[str] | None = None) -> int:
    """Exit status: 0 when all is done, 1 when a job failed or is missing, 2 for bad input."""
    args = parse(argv)
    try:
        return args.call(args)
    except SweepError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nInterrupted; the same command continues", file=sys.stderr)
        return 1


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True, metavar="PROTOCOL | run FILE | status OUTPUT")
    for name in protocols.PROTOCOLS:
        text = next(line for line in protocols.__doc__.splitlines() if line.startswith(f"{name} "))
        sub = commands.add_parser(name, help=text[len(name) :].strip())
        add = sub.add_argument
        add("trainers", nargs="?", help="with commas (default: ZeroshotCLIP,CoOp,CoCoOp; of zeroshot the first)")
        add("datasets", nargs="?", help="names or YAML files, with commas, or all (default); of transfers, the targets")
        add("config", nargs="?", help="name in configs/trainers/TRAINER/, or a YAML file (default: the papers')")
        add(
            "--source", default="", help="of transfers: where prompts are learned (default: imagenet; embedded: shapes)"
        )
        if name == "ablation":
            add("--studies", nargs="+", default=[], help=f"of {', '.join(protocols.STUDIES)} (default: all)")
        _common(sub)
    sub = commands.add_parser(
        "run", help="the jobs of a sweep file", description=plan.read_requests.__doc__.partition("Args:")[0],
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    sub.add_argument("file", help="YAML, such as configs/sweeps/embedded.yaml")
    _common(sub)
    sub = commands.add_parser("status", help="the state of what was started into a folder")
    sub.add_argument("output", type=Path, nargs="?", default=ROOT / "output", help="default: output")
    sub.add_argument("--watch", action="store_true", help="again every two seconds")
    sub.set_defaults(call=show)
    return parser.parse_args(argv)


def _common(sub: argparse.ArgumentParser) -> None:
    add = sub.add_argument
    add("--seeds", nargs="+", type=int, default=[], help="default: 1 2 3")
    add(
        "--shots", nargs="+", type=int, default=[], help="training images of a class (default: 16; few_shot 1 2 4 8 16)"
    )
    add("--root", default="", help="folder of the datasets; the embedded ones need none")
    add("--output", type=Path, default=ROOT / "output", help="default: output")
    add("--jobs", type=int, default=0, help="runs at a time (default: one a GPU, two on the CPU)")
    add("--launcher", default="local", choices=NAMES, help="where jobs run (default: local); see docs/protocols.md")
    add("--plugin", action="append", default=[], help="module that registers more trainers or datasets; repeatable")
    add(
        "--set",
        nargs="+",
        action="extend",
        default=[],
        metavar="KEY VALUE",
        help="settings of every run, as pairs; they name its folder; repeatable",
    )
    add("--part", default="", choices=("train", "test"), help="only the runs that learn, or only those that evaluate")
    add("--variant", help="name of the folder between config and seed (default: the settings of --set)")
    add("--dry-run", action="store_true", help="list the jobs with their states, and run nothing")
    add("--no-report", action="store_true", help="no table at the end")
    sub.set_defaults(call=run)


def requests(args: argparse.Namespace) -> list[Request]:
    """What the arguments ask for. Raises SweepError."""
    given = {key: value for key in FIELDS if (value := getattr(args, key, None)) not in (None, "", [])}
    for key in ("trainers", "datasets"):
        if key in given:
            given[key] = [name for name in given[key].replace(",", " ").split() if name]
    given |= {"plugins": args.plugin} if args.plugin else {}
    given |= {"settings": args.set} if args.set else {}
    if args.variant == "":
        given["variant"] = ""
    if args.command == "run":
        return plan.read_requests(args.file, given)
    return [Request(protocol=args.command, **given)]


def run(args: argparse.Namespace) -> int:
    output = args.output.expanduser().resolve()
    if args.jobs < 0:
        raise SweepError(f"--jobs {args.jobs}: use 1 or more, or 0 for one a GPU, two on the CPU")
    asked = requests(args)
    if args.dry_run:
        print(status.listing(plan.plan(asked), output))
        return 0
    signal.signal(signal.SIGTERM, _interrupt)
    backend = launcher(args.launcher, output, args.jobs)  # first: it starts to import while we plan
    try:
        jobs = plan.plan(asked)
        plan.save(jobs, output)
        failed = drive(jobs, output, backend)
    finally:
        backend.stop()
    if not args.no_report:
        report(jobs, output)
    print(f"Logs, checkpoints and results.json of every run: {output}")
    if failed:
        print(
            f"Error: {len(failed)} of {len(jobs)} runs failed; the same command runs what is missing", file=sys.stderr
        )
    return 1 if failed else 0


def show(args: argparse.Namespace) -> int:
    output = args.output.expanduser().resolve()
    jobs = plan.read(output)
    if args.watch:
        status.watch(plan.read, output)
    else:
        print(status.table(jobs, output))
    return 0 if all(state.name == "done" for state in status.states_of(jobs, output).values()) else 1


def report(jobs: list[Job], output: Path) -> None:
    """Print the tables of these jobs' results."""
    from tools.report import main as report_main  # it takes longer to import than a sweep takes to look

    print()
    report_main([str(job.path(output)) for job in jobs if (job.path(output) / "results.json").is_file()])


def _interrupt(*_) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
