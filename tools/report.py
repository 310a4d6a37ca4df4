"""Print tables from result records, in the layout of the papers: every results.json below the folders is read.

Below each table are protocol, backbone, shots, selection rule, seeds, and the meaning of the ±. "-" is a missing value;
[k] marks a mean over k seeds if most are over another number. An average is over the datasets that all methods of the
table have. A cell with runs that cannot be averaged is skipped, and a line on stderr says why. Exit status: 0; 1 if
--verify finds a number outside its tolerance, or nothing to compare; 2 for bad input, or if nothing else is left.

examples:
  python tools/report.py output
  python tools/report.py output --protocol base2new --format latex --output table.tex
  python tools/report.py output --compare CoCoOp CoOp
  python tools/report.py output --cost                   # speed, memory and size next to accuracy
  python tools/report.py output --verify                 # against the published numbers
  python tools/report.py output --runs runs.csv          # a row per evaluation, for pandas or a spreadsheet
  python tools/report.py output --figures figures        # curves over shots, PDF and SVG
  python tools/report.py old_output --import-logs        # upstream's logs become records, then tables
"""

import argparse
import sys

from installed import require_packages

require_packages("tools/report.py", only=("clip_prompts", "tabulate", "yacs"))  # with yacs comes PyYAML

from clip_prompts.common.errors import UserError  # noqa: E402
from clip_prompts.common.files import write_text_atomically  # noqa: E402
from clip_prompts.report.compare import compare  # noqa: E402
from clip_prompts.report.cost import add_cost  # noqa: E402
from clip_prompts.report.figures import draw_figures  # noqa: E402
from clip_prompts.report.formats import render  # noqa: E402
from clip_prompts.report.html import render_page  # noqa: E402
from clip_prompts.report.import_logs import import_logs  # noqa: E402
from clip_prompts.report.page.mistakes import PER_PLACE  # noqa: E402
from clip_prompts.report.pictures import browser, take  # noqa: E402
from clip_prompts.report.published import published  # noqa: E402
from clip_prompts.report.reading import ReportError, collect  # noqa: E402
from clip_prompts.report.rows import render_rows  # noqa: E402
from clip_prompts.report.statistics import SPREADS  # noqa: E402
from clip_prompts.report.tables import build  # noqa: E402
from clip_prompts.report.verify import verify  # noqa: E402

FORMATS = ("terminal", "markdown", "latex", "csv")


def main(argv: list[str] | None = None) -> int:
    args = parse(argv)
    try:
        return report(args)
    except (UserError, OSError) as error:
        print(f"Error: {error}", file=sys.stderr)
        return 2


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("folders", nargs="+", metavar="FOLDER", help="output folders of runs; every results.json below is read")
    add(
        "--protocol",
        help="print only this protocol: base2new, few_shot, cross_dataset, domain_generalization, zeroshot, ...",
    )
    add("--format", choices=FORMATS, default="terminal", help="default: terminal")
    add("--output", metavar="FILE", help="write the tables into this file, and print nothing")
    add("--spread", choices=list(SPREADS), default="std", help="meaning of the ± (default: std, population)")
    add("--cost", action="store_true", help="add columns: time per step, images per second, memory, learned numbers")
    add("--details", action="store_true", help="below each table, also the hashes of its weights and test images")
    add(
        "--compare",
        nargs=2,
        metavar=("A", "B"),
        help="print the paired difference A - B of two methods over the same seeds",
    )
    add("--verify", action="store_true", help="compare with the published numbers, cell by cell")
    add(
        "--against",
        metavar="SOURCE",
        help="with --verify: compare only with this source of clip_prompts/report/published.json",
    )
    add("--import-logs", action="store_true", help="first turn the logs of upstream's programs into records")
    add("--runs", metavar="FILE.csv", help="also write a row per evaluation: what it was, its metrics, cost, settings")
    add("--figures", metavar="FOLDER", help="also draw accuracy over shots, a PDF and an SVG per dataset and average")
    add("--html", metavar="FILE", help="also write one self-contained page")
    add(
        "--mistakes", type=int, default=PER_PLACE, metavar="N",
        help=f"with --html: misclassified pictures for each dataset, where predictions.csv is (default: {PER_PLACE})",
    )  # fmt: skip
    add(
        "--pictures",
        metavar="FOLDER",
        help="with --html: also take screenshots of the page, as on a desktop and a phone",
    )
    return parser.parse_args(argv)


def report(args: argparse.Namespace) -> int:
    """Raises ReportError, a user error."""
    if args.pictures and not args.html:
        raise ReportError("--pictures shows the page: give the file with --html")
    if args.cost and (args.compare or args.verify):
        raise ReportError("--cost adds columns to tables of results: remove --compare and --verify")
    if args.import_logs:
        count = import_logs(args.folders, say=lambda line: print(line, file=sys.stderr))
        print(f"{count} records imported from logs", file=sys.stderr)
    runs = collect(args.folders)
    if args.runs:  # before the tables, which refuse runs that conflict
        write_text_atomically(args.runs, render_rows(collect(args.folders, split=None)))
    known = sorted({run.protocol for run in runs})
    if args.protocol and args.protocol not in known:
        raise ReportError(f"There is no record of protocol '{args.protocol}'. There are: {', '.join(known)}")
    if args.figures:
        curves = build(runs, "few_shot") if "few_shot" in known else []
        drawn = draw_figures(curves, args.spread, args.figures)
        print(f"{len(drawn)} figures: {args.figures}", file=sys.stderr)
    tables, status = build(runs, args.protocol), 0
    for reason in {files: text for table in tables for files, text in table.conflicts.items()}.values():
        print(f"Left out: {reason}", file=sys.stderr)
    if args.compare:
        tables = compare(tables, *args.compare)
    elif args.verify:
        tables, status = _verified(tables, args.against)
    elif args.cost:
        for table in tables:
            add_cost(table)
    text = render(tables, args.format, args.spread, args.details)
    if args.output:
        write_text_atomically(args.output, text)
    else:
        print(text, end="")
    if args.html:
        shown = build(runs)
        for table in shown if args.cost else ():
            add_cost(table)
        write_text_atomically(args.html, render_page(runs, shown, args.spread, args.mistakes))
        if args.pictures:
            with browser() as opened:
                take(opened, args.html, [table.key["protocol"] for table in shown], args.pictures)
    return status


def _verified(tables: list, source: str | None) -> tuple[list, int]:
    sources = {entry.source for entry in published()}
    if source and source not in sources:
        raise ReportError(f"There is no published source '{source}'. There are: {', '.join(sorted(sources))}")
    found, compared, outside = verify(tables, source)
    if not compared:
        print(
            "Nothing to compare: no published number for these methods, datasets, backbones and shots", file=sys.stderr
        )
        return tables, 1
    print(f"{compared - outside} of {compared} published numbers are reached within tolerance", file=sys.stderr)
    return found, 1 if outside else 0


if __name__ == "__main__":
    sys.exit(main())
