"""Print mean and deviation over seeds from log files, as upstream's parse_test_res.py does.

DIRECTORY holds one folder per seed, each with a log.txt; with --multi-exp it holds several such folders. It reads our
logs and upstream's, old and new ("Finished training", "Finish training"). If a folder has several logs (log.txt,
log.txt-<time>), it takes the newest with a result; upstream takes the oldest. If some seeds have no result, the summary
gives the number of seeds: (n=1 of 2). Logs hold rounded numbers; tools/report.py prints the exact ones.

examples:
  python parse_test_res.py output/oxford_pets/CoOp/rn50_16shots/nctx16_cscFalse_ctpend
  python parse_test_res.py output/evaluation/CoOp/rn50_16shots/imagenetv2 --test-log --ci95
  python parse_test_res.py output/oxford_pets/CoOp/rn50_16shots --multi-exp --keyword macro_f1
"""

import argparse
import statistics
import sys
from pathlib import Path

from clip_prompts.report.reading import ReportError
from clip_prompts.report.upstream_logs import END, RESULT, logs_of, result


def main(argv: list[str] | None = None) -> int:
    args = parse(argv)
    markers = (RESULT,) if args.test_log else END
    directory = Path(args.directory)
    try:
        if not args.multi_exp:
            summarize(directory, args.keyword, markers, args.ci95)
            return 0
        means = [summarize(folder, args.keyword, markers, args.ci95) for folder in folders_in(directory)]
    except (ReportError, OSError) as error:
        print(f"Error: {error}", file=sys.stderr)
        return 2
    print("Average performance")
    print(f"* {args.keyword}: {statistics.mean(means):.2f}%")
    return 0


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("directory", help="folder that holds one folder per seed")
    add(
        "--ci95",
        action="store_true",
        help="±: 1.96 std / sqrt(n) in place of the population standard deviation",
    )
    add("--test-log", action="store_true", help="read logs of --eval-only runs")
    add("--multi-exp", action="store_true", help="the folder holds several experiments")
    add("--keyword", default="accuracy", help="metric: accuracy (default), error or macro_f1")
    return parser.parse_args(argv)


def folders_in(directory: Path) -> list[Path]:
    """Returns the folders in a folder, sorted by name, without hidden ones. Raises ReportError if there is none."""
    if not directory.is_dir():
        raise ReportError(f"There is no folder '{directory}'. Give the folder that holds the folders of the seeds")
    found = sorted(f for f in directory.iterdir() if f.is_dir() and not f.name.startswith("."))
    if not found:
        raise ReportError(f"Nothing found in {directory}. It must hold one folder per seed")
    return found


def summarize(directory: Path, keyword: str, markers: tuple[str, ...], ci95: bool) -> float:
    """Print one experiment and return its mean. Raises ReportError if there is no log, or none with a result."""
    print(f"Parsing files in {directory}")
    found, folders = [], folders_in(directory)
    if not any(logs_of(folder) for folder in folders):
        raise ReportError(
            f"There is no log.txt in {folders[0]}. Run the experiment, or give the parent folder with --multi-exp"
        )
    for folder in folders:
        outcome = result(folder, keyword, markers)
        if outcome is None:
            print(f"Note: no result in {folder}: the run did not end, skipped", file=sys.stderr)
            continue
        file, value = outcome
        print(f"file: {file}. {keyword}: {value:.2f}%. ")
        found.append(value)
    if not found:
        hint = "" if markers == (RESULT,) else "; for logs of evaluations add --test-log"
        raise ReportError(f"Nothing found in {directory}. The runs have not ended, or have no '{keyword}'{hint}")
    mean, std = statistics.mean(found), statistics.pstdev(found)
    spread = 1.96 * std / len(found) ** 0.5 if ci95 else std
    print("===")
    print(f"Summary of directory: {directory}")
    over = f" (n={len(found)} of {len(folders)})" if len(found) < len(folders) else ""
    print(f"* {keyword}: {mean:.2f}% +- {spread:.2f}%{over}")
    print("===")
    return mean
