"""Check which datasets are complete, download them, look at them, and export shots and features.

examples:
  python tools/data.py check --root ~/data                      # every dataset
  python tools/data.py check OxfordPets --root ~/data --deep    # one, opening each image
  python tools/data.py prepare OxfordPets --root ~/data
  python tools/data.py prepare Food101 --root ~/data --from-dir ~/Downloads
  python tools/data.py shots OxfordPets --shots 16 --seed 1 --root ~/data --output pets.json
  python tools/data.py show OxfordPets --root ~/data            # OxfordPets.png, a contact sheet
  python tools/data.py features OxfordPets --root ~/data        # clip_feat/OxfordPets/{train,val,test}.npz
"""

import argparse
import sys
from pathlib import Path

from installed import require_packages

require_packages("tools/data.py")

from clip_prompts.common.text import one_line  # noqa: E402

HELP = {  # examples of each command, and what it prints
    "check": (
        "python tools/data.py check --root ~/data",
        "python tools/data.py check OxfordPets DescribableTextures --root ~/data --deep",
        "Prints a table with a row per dataset, then the files that are missing.",
    ),
    "prepare": (
        "python tools/data.py prepare OxfordPets --root ~/data",
        "python tools/data.py prepare Food101 --root ~/data --from-dir ~/Downloads",
        "Prints each step, and for files that cannot be downloaded, where to get them.",
    ),
    "shots": (
        "python tools/data.py shots OxfordPets --shots 16 --seed 1 --root ~/data --output pets.json",
        "python tools/data.py shots Digits --shots 4 --seed 1 --output digits.json",
        "Prints the number of images and the name of the file.",
    ),
    "show": (
        "python tools/data.py show Digits",
        "python tools/data.py show OxfordPets --root ~/data --classes 5 --per-class 10 --output pets.png",
        "Prints the number of pictures, the name of the file, and the images that cannot be read.",
    ),
    "features": (
        "python tools/data.py features Digits",
        "python tools/data.py features OxfordPets --root ~/data --backbone ViT-B/16 --split test",
        "Prints a line per file: number of images, width of the features, and name.",
    ),
    "docs": (
        "python tools/data.py docs",
        "python tools/data.py docs --check",
        "Prints the parts of docs/datasets.md that were updated or, with --check, are out of date.",
    ),
}


def main(argv: list[str] | None = None) -> int:
    args = parse(argv)
    from clip_prompts.run.errors import USER_ERRORS  # takes a second, which --help need not wait for

    try:
        return args.run(args)
    except (*USER_ERRORS, OSError) as error:
        print(f"Error: {error}", file=sys.stderr)
        return 2


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)

    def command(name, run, text):
        *examples, printed = HELP[name]
        sub = commands.add_parser(
            name, help=text, description=text, formatter_class=argparse.RawDescriptionHelpFormatter,
            epilog="\n  ".join(["examples:", *examples]) + f"\n\n{printed}",
        )  # fmt: skip
        sub.set_defaults(run=run)
        return sub

    sub = command("check", check, "print what is there and what is missing; exit status 0 if all is ready")
    sub.add_argument("names", nargs="*", metavar="NAME", help="datasets (default: all but ImageFolder)")
    sub.add_argument("--root", required=True, help="folder of the datasets")
    sub.add_argument("--deep", action="store_true", help="open every image")
    sub = command("prepare", prepare, "download and unpack what may be downloaded, print what to do for the rest")
    sub.add_argument("name", metavar="NAME")
    sub.add_argument("--root", required=True, help="folder of the datasets")
    sub.add_argument("--from-dir", help="folder of archives that you have already")
    sub.add_argument("--mirror", action="append", default=[], metavar="URL", help="address of a folder of archives "
                     "or of dataset folders that hold them, tried first; repeatable")  # fmt: skip
    sub = command("shots", shots, "write a few-shot selection as JSON with relative paths, for DATASET.SHOTS_FILE")
    sub.add_argument("name", metavar="NAME")
    sub.add_argument("--shots", type=int, required=True, help="training images of each class")
    sub.add_argument("--seed", type=int, required=True)
    sub.add_argument("--root", default="", help="folder of the datasets; the embedded ones need none")
    sub.add_argument("--output", required=True, help="the JSON file")
    sub = command("show", show, "write a contact sheet: a few pictures of each class, class names, split sizes")
    sub.add_argument("name", metavar="NAME")
    sub.add_argument("--root", default="", help="folder of the datasets; the embedded ones need none")
    sub.add_argument("--output", metavar="FILE.png", help="default: NAME.png")
    sub.add_argument("--classes", type=int, default=20, help="classes to show, evenly spread (default: 20)")
    sub.add_argument("--per-class", type=int, default=6, help="pictures of each class (default: 6)")
    sub.add_argument("--seed", type=int, default=1, help="which pictures are chosen (default: 1)")
    sub.add_argument("--dataset-config-file", "--config", default="", metavar="YAML", help="settings of ImageFolder")
    sub = command("features", features, "write image features and labels as .npz files, in the layout of CoOp's lpclip")
    sub.add_argument("name", metavar="NAME")
    sub.add_argument("--root", default="", help="folder of the datasets; the embedded ones need none")
    sub.add_argument("--output", default="clip_feat", metavar="DIR", help="files are DIR/NAME/SPLIT.npz (default: "
                     "clip_feat)")  # fmt: skip
    sub.add_argument("--backbone", default="", help="name or file (default: RN50, of embedded data tiny)")
    sub.add_argument("--split", action="append", default=[], choices=("train", "val", "test"), help="only this one; "
                     "repeatable")  # fmt: skip
    sub.add_argument("--dataset-config-file", "--config", default="", metavar="YAML", help="settings of ImageFolder")
    sub.add_argument("--set", nargs="+", default=[], metavar="KEY VALUE", help='settings as of train.py, such as '
                     'INPUT.SIZE "(336, 336)"')  # fmt: skip
    sub = command("docs", docs, "bring the tables of docs/datasets.md up to date")
    sub.add_argument(
        "--check", action="store_true", help="only print which tables are out of date; exit status 0 if none is"
    )
    return parser.parse_args(argv)


def check(args) -> int:
    from datafiles.catalogue import benchmark_names, reader
    from datafiles.state import examine, print_states

    names = args.names or benchmark_names()
    for name in names:
        reader(name)  # refuses an unknown name before the first dataset is read
    states = [examine(name, args.root, args.deep) for name in names]
    print_states(states, args.deep)
    return 0 if all(s.status == "ready" for s in states) else 1


def prepare(args) -> int:
    from datafiles.prepare import prepare_dataset

    return prepare_dataset(args.name, Path(args.root).expanduser().absolute(), args.from_dir, args.mirror)


def shots(args) -> int:
    from dassl.utils import set_random_seed

    from clip_prompts.common.errors import UserError
    from datafiles.catalogue import reader
    from datafiles.state import build

    if args.shots < 1:
        raise UserError(f"--shots {args.shots}: give a number of images from 1")
    if args.seed < 0:
        raise UserError(f"--seed {args.seed}: give a whole number from 0")
    if getattr(reader(args.name), "test_only", False):
        raise UserError(f"{args.name} has only a test list: no shots can be drawn from it")
    set_random_seed(args.seed)
    data = build(args.name, args.root, args.shots, args.seed)
    val = [] if data.val is None or data.val is data.test else data.val  # ImageNet: no shots are drawn from it
    Path(args.output).absolute().parent.mkdir(parents=True, exist_ok=True)
    data.store.write(args.output, data.train_x, val)
    print(f"Wrote {len(data.train_x)} training and {len(val)} validation images to {args.output}")
    return 0


def show(args) -> int:
    from datafiles.sheet import check_request, draw_sheet, write_sheet
    from datafiles.state import build

    output = check_request(args.output or f"{args.name}.png", args.classes, args.per_class)
    data = build(args.name, args.root, config_file=args.dataset_config_file)
    title = f"{args.name}: {Path(data.dataset_dir).name}" if args.name == "ImageFolder" else args.name
    sheet = draw_sheet(data, title, args.classes, args.per_class, args.seed)
    write_sheet(sheet, output)
    print(f"Wrote {len(sheet.cells)} pictures of {len(sheet.names)} of {sheet.n_classes} classes to {output}")
    for cell in sheet.broken:
        print(one_line(f"unreadable: {cell.path}"))
    return 0


def features(args) -> int:
    from datafiles.features import export_features

    given = args.root, args.output, args.backbone, args.split, args.dataset_config_file, args.set
    export_features(args.name, *given)
    return 0


def docs(args) -> int:
    from datafiles.docs import update

    return update(args.check)


if __name__ == "__main__":
    sys.exit(main())
