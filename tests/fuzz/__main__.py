"""Fuzz every file format that is read: ``python -m tests.fuzz --files 2000``; exit status 1 after a failure."""

import argparse
import os
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # a process with threads cannot be forked safely


def main(argv: list[str] | None = None) -> int:
    args = parse(argv)
    with tempfile.TemporaryDirectory(prefix="fuzz-") as work:
        os.environ["XDG_CACHE_HOME"] = os.path.join(work, "cache")
        from tabulate import tabulate
        from tqdm import tqdm

        from .formats import FORMATS
        from .run import fuzz

        if unknown := set(args.formats) - set(FORMATS):
            print(f"Error: unknown format '{min(unknown)}'. Known: {', '.join(FORMATS)}", file=sys.stderr)
            return 2
        names = args.formats or list(FORMATS)
        rows, failed = [], 0
        with tqdm(total=args.files * len(names), unit="file", disable=None) as bar:
            for name in names:
                bar.set_description(name)
                tally = fuzz(name, args.files, args.seed, Path(work), bar.update)
                count = tally.counts
                rows.append([name, sum(count.values()), count["read"], count["refused"], count["failed"]])
                keep(tally.failures, Path(args.failures) / name)
                failed += count["failed"]
                for number, _, text in tally.failures[:3]:
                    tqdm.write(f"{name}, file {number}: {text}", file=sys.stderr)
        print(tabulate(rows, headers=["format", "files", "read", "refused", "failures"], tablefmt="github"))
        if failed:
            print(f"{failed} failures; the files and what went wrong are in {args.failures}", file=sys.stderr)
    return 1 if failed else 0


def keep(failures: list[tuple[int, bytes, str]], folder: Path) -> None:
    """Write files that failed, each with what went wrong beside it."""
    for number, content, text in failures:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number}").write_bytes(content)
        (folder / f"{number}.txt").write_text(text + "\n", encoding="utf-8", errors="backslashreplace")


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    add = parser.add_argument
    add("--files", type=int, default=2000, metavar="N", help="mutated files of each format (default: 2000)")
    add("--seed", type=int, default=1, metavar="N", help="the same seed gives the same files (default: 1)")
    add("--formats", nargs="+", default=[], metavar="NAME", help="only these")
    add(
        "--failures", default="fuzz-failures", metavar="DIR", help="where files that failed go (default: fuzz-failures)"
    )
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
