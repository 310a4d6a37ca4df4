"""Check a method on the embedded data, in under a minute: one line per check.

Each line says ok, FAILED with the reason and the next step, or - where the method has no such part. The method is
trained for a few steps on five classes of digits, with the backbone `tiny`, on the CPU, with the settings of
configs/trainers/NAME/tiny.yaml (CoOp's, if there is no such file). Exit status: 0 if nothing failed, 1 if a check did,
2 for bad input.

examples:
  python tools/check_method.py MaPLe
  python tools/check_method.py DePT TRAINER.DEPT.BASE KgCoOp
  python tools/check_method.py AnchoredCoOp --plugin my_trainer.py
  python tools/check_method.py AnchoredCoOp --plugin my_trainer.py --only cache chunks
"""

import argparse
import sys
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

warnings.filterwarnings("ignore", message="pkg_resources is deprecated")

from installed import require_packages  # noqa: E402

require_packages("tools/check_method.py")


def main(argv: list[str] | None = None) -> int:
    args = parse(argv)
    import torch

    from checking.bench import Bench
    from checking.table import render, run_checks
    from clip_prompts.run import libraries  # noqa: F401  (registers datasets and methods)
    from clip_prompts.run.config import import_plugin
    from clip_prompts.run.errors import USER_ERRORS

    torch.set_num_threads(1)  # the matrices are small: more threads wait for each other
    try:
        for plugin in args.plugin:
            import_plugin(plugin)
        with TemporaryDirectory(prefix="check_method_") as folder:
            results = run_checks(Bench(args.method, Path(folder), args.opts, args.config_file), args.only)
    except USER_ERRORS as error:
        print(f"Error: {error}", file=sys.stderr)
        return 2
    print(render(args.method, results))
    return 1 if any(result.status == "FAILED" for result in results) else 0


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("method", metavar="NAME", help="registered name of the method")
    add("--plugin", action="append", default=[], metavar="FILE", help="import a module that registers more; repeatable")
    add("--config-file", metavar="YAML", help="settings of the method in place of its tiny.yaml")
    add("--only", nargs="+", metavar="CHECK", help="run only these checks; the first column of the table names them")
    add("opts", nargs="*", metavar="KEY VALUE", help="settings, such as TRAINER.MAPLE.PROMPT_DEPTH 2")
    return parser.parse_intermixed_args(argv)


if __name__ == "__main__":
    sys.exit(main())
