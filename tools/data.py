"""See what datasets are there and what they lack, fetch what may be fetched, and export few-shot selections.

examples:
  python tools/data.py check --root ~/data                      # every dataset
  python tools/data.py check OxfordPets --root ~/data --deep    # one, opening each image
  python tools/data.py prepare OxfordPets --root ~/data
  python tools/data.py prepare Food101 --root ~/data --from-dir ~/Downloads
  python tools/data.py shots OxfordPets --shots 16 --seed 1 --root ~/data --output pets.json
"""

import argparse
import sys
from pathlib import Path

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from common.errors import UserError  # noqa: E402


def main(argv: list[str] | None = None) -> int:
    args = parse(argv)
    try:
        return args.run(args)
    except (UserError, OSError) as error:
        print(f"Error: {error}", file=sys.stderr)
        return 2


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)

    def command(name, run, text):
        sub = commands.add_parser(name, help=text, description=text)
        sub.set_defaults(run=run)
        return sub

    sub = command("check", check, "print what is there and what is missing; exit status 0 when all is ready")
    sub.add_argument("names", nargs="*", metavar="NAME", help="datasets (default: all)")
    sub.add_argument("--root", required=True, help="folder of the datasets")
    sub.add_argument("--deep", action="store_true", help="open every image")
    sub = command("prepare", prepare, "download and unpack what may be downloaded, say what to do for the rest")
    sub.add_argument("name", metavar="NAME")
    sub.add_argument("--root", required=True, help="folder of the datasets")
    sub.add_argument("--from-dir", help="folder of archives that you have already")
    sub.add_argument("--mirror", action="append", default=[], help="address of a folder of archives, tried first")
    sub = command("shots", shots, "write a few-shot selection as JSON with relative paths, for DATASET.SHOTS_FILE")
    sub.add_argument("name", metavar="NAME")
    sub.add_argument("--shots", type=int, required=True, help="training images of each class")
    sub.add_argument("--seed", type=int, required=True)
    sub.add_argument("--root", default="", help="folder of the datasets; the embedded ones need none")
    sub.add_argument("--output", required=True, help="the JSON file")
    return parser.parse_args(argv)


def check(args) -> int:
    from tabulate import tabulate

    from tools.datafiles.catalogue import CATALOGUE
    from tools.datafiles.state import examine

    states = [examine(name, args.root, args.deep) for name in args.names or CATALOGUE]
    rows = []
    for s in states:
        known = CATALOGUE.get(s.name, {}).get("counts", [None] * 3)
        counts = [f"{n}/{k if k is not None else '-'}" for n, k in zip(s.counts or ["-"] * 3, known, strict=True)]
        unreadable = len(s.unreadable) if args.deep and s.counts else "-"
        classes = f"{s.classes or '-'}/{CATALOGUE.get(s.name, {}).get('classes', '-')}"
        rows.append([s.name, s.status, *counts, classes, unreadable, s.split or "-", s.sha256[:12] or "-"])
    head = ["dataset", "state", "train", "val", "test", "classes", "unreadable", "split", "sha256"]
    print(tabulate(rows, headers=head, tablefmt="github"))
    for s in states:
        for line in s.missing[:10]:
            print(f"{s.name}: {line}")
        if len(s.missing) > 10:
            print(f"{s.name}: and {len(s.missing) - 10} more")
    return 0 if all(s.status == "ready" for s in states) else 1


def prepare(args) -> int:
    from tools.datafiles.prepare import prepare_dataset

    return prepare_dataset(args.name, Path(args.root).expanduser().absolute(), args.from_dir, args.mirror)


def shots(args) -> int:
    from dassl.utils import set_random_seed

    from datasets.core.shots_file import write_shots
    from tools.datafiles.catalogue import reader
    from tools.datafiles.state import build

    if args.shots < 1:
        raise UserError(f"--shots {args.shots}: give a number of images from 1")
    if getattr(reader(args.name), "test_only", False):
        raise UserError(f"{args.name} has only a test list: no shots can be drawn from it")
    set_random_seed(args.seed)
    data = build(args.name, args.root, args.shots, args.seed)
    val = [] if data.val is None or data.val is data.test else data.val  # ImageNet: no shots are drawn from it
    Path(args.output).absolute().parent.mkdir(parents=True, exist_ok=True)
    write_shots(args.output, args.name, args.shots, args.seed, data.train_x, val, data.image_dir)
    print(f"Wrote {len(data.train_x)} training and {len(val)} validation images to {args.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
