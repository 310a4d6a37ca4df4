"""Tests and measures this checkout on the GPU of this machine, in under 8 minutes.

Runs the tests that need a GPU, the golden cases in fp32, a training step of every method (50 and 1,000 classes; fp32,
bf16, fp16), and one epoch of CoCoOp with 1,000 classes and 16 generated images of each. Needs no network. A case that
fails is named in the tables, and the others still run. Exit status: 0; 1 if a case failed; 2 for bad input or no
GPU.

examples:
  bash scripts/gpu.sh output/h100
  bash scripts/gpu.sh --parts steps
  bash scripts/gpu.sh --device cpu --small      a look at the program on a machine without a GPU
"""

import argparse
import importlib.util
import sys
import time
from pathlib import Path

PARTS = ("tests", "golden", "steps", "epoch")


def main(argv: list[str] | None = None) -> int:
    args = parse(argv)
    started = time.monotonic()
    if importlib.util.find_spec("pytest") is None:
        print(f"Error: {sys.executable} lacks pytest. Install it", file=sys.stderr)
        return 2
    import torch

    if args.device == "cuda" and not torch.cuda.is_available():
        print(
            "Error: PyTorch finds no GPU here. To see what is done, on a CPU: bash scripts/gpu.sh --device cpu --small",
            file=sys.stderr,
        )
        return 2
    if args.device == "cpu":
        torch.set_num_threads(1)  # the matrices are small: more threads wait for each other
    from tests.gpu.cases import cases
    from tests.gpu.report import Report
    from tests.gpu.run import run

    report = Report(args.out, args.device)
    ends = started + 60 * args.minutes
    try:
        report.write()
        for case in cases(args.parts, args.device, args.small):
            result = run(case, ends)
            report.add(result)
            print(result.line(), flush=True)
        report.write(time.monotonic() - started)
    except OSError as error:
        print(f"Error: {error}. Choose another OUT", file=sys.stderr)
        return 2
    print(f"{report.summary()}. Tables: {args.out / 'gpu.md'}")
    return 1 if report.failed else 0


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="bash scripts/gpu.sh", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("out", nargs="?", type=Path, default=Path("output/gpu"), metavar="OUT", help="folder of gpu.md and gpu.json")
    add("--device", choices=("cuda", "cpu"), default="cuda", help="default: cuda")
    add("--small", action="store_true", help="small cases, with the backbone tiny")
    add("--parts", nargs="+", choices=PARTS, default=PARTS, metavar="PART", help=f"some of: {' '.join(PARTS)}")
    add("--minutes", type=float, default=8, help="after which cases are skipped, and the epoch stops (default: 8)")
    args = parser.parse_args(argv)
    if args.device == "cpu" and not args.small:
        parser.error("--device cpu takes hours at full size: add --small")
    return args


if __name__ == "__main__":
    sys.exit(main())
