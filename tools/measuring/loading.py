"""Measures how long a dataset takes to load: SUN397's size from a split file, ImageNet's from class folders.

Empty files under generated names stand for the images; no reader opens one. Each load runs in its own process: the
reader is built as a run builds it, with few-shot selection. The second load finds the selection that the first one
stored. The system has the folders in memory then, as with any dataset in use.
"""

import argparse
import json
import multiprocessing
import os
import random
import resource
import sys
import tempfile
import time
from contextlib import redirect_stdout
from pathlib import Path

from tabulate import tabulate


def main(argv: list[str] | None = None) -> int:
    args = parse(argv)
    cases = {"SUN397": (make_sun, args.entries), "ImageNet": (make_imagenet, args.train)}
    lines = []
    for name in args.only or cases:
        make, count = cases[name]
        with tempfile.TemporaryDirectory(prefix="loading-", dir=args.dir) as root:
            start = time.perf_counter()
            entries = make(Path(root), count)
            print(f"{name}: made in {time.perf_counter() - start:.0f} s, loading", file=sys.stderr)
            first, second = (load_apart(name, root, args.shots) for _ in range(2))
        if first["used"] != second["used"]:
            print(f"Error: the two loads of {name} differ", file=sys.stderr)
            return 1
        lines.append([name, entries, first["seconds"], second["seconds"], second["megabytes"]])
    headers = ["", "entries", "first load, s", "second load, s", "process, MB"]
    print(tabulate(lines, headers, tablefmt="github", floatfmt=("", "", ".2f", ".2f", ",.0f"), intfmt=","))
    print(f"\n{args.shots} shots, seed 1; seconds without Python's imports.")
    return 0


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="benchmark.py --loading", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=("SUN397", "ImageNet"), help="one of the two (default: both)")
    parser.add_argument("--entries", type=int, default=40000, help="entries of SUN397's split file (default: 40000)")
    parser.add_argument("--train", type=int, default=1281167,
                        help="training images of ImageNet; val comes in proportion (default: 1281167)")  # fmt: skip
    parser.add_argument("--shots", type=int, default=16, help="shots of each class (default: 16)")
    parser.add_argument("--dir", help="where the files are made, such as /dev/shm (default: the system's)")
    args = parser.parse_args(argv)
    for name, least in (("entries", 397 * 10), ("train", 1000), ("shots", 1)):
        if getattr(args, name) < least:
            parser.error(f"--{name} {getattr(args, name)} is not {least} or more")
    if args.dir and not os.path.isdir(args.dir):
        parser.error(f"--dir {args.dir} is no folder")
    return args


def make_sun(root: Path, entries: int) -> int:
    """Entries of 397 classes: a half for training and val, a half for testing, as in SUN397. Returns their number."""
    folder, parts = root / "sun397", {"train": [], "val": [], "test": []}
    for label in range(397):
        scene = f"{'abcdefgh'[label % 8]}/scene_{label:03d}" + ("/outdoor" if label % 3 == 0 else "")
        names = [f"sun_{label:03d}x{i:012d}.jpg" for i in range(entries // 397 + (label < entries % 397))]
        _make_files(folder / "SUN397" / scene, names)
        for i, name in enumerate(names):
            part = "test" if i % 2 else "val" if i % 10 == 0 else "train"
            parts[part].append([f"{scene}/{name}", label, f"scene {label}"])
    (folder / "split_zhou_SUN397.json").write_text(json.dumps(parts, indent=4))
    return entries


def make_imagenet(root: Path, train: int) -> int:
    """1,000 class folders in train/ and val/, and the list of names. Returns the number of images."""
    folder = root / "imagenet"
    wnids = [f"n{1440764 + 13 * i:08d}" for i in range(1000)]
    counts = {"train": train, "val": max(1000, round(train * 50000 / 1281167))}
    for part, count in counts.items():
        for i, wnid in enumerate(wnids):
            numbers = range(count // 1000 + (i < count % 1000))
            _make_files(folder / "images" / part / wnid, [f"{wnid}_{number}.JPEG" for number in numbers])
    (folder / "classnames.txt").write_text("".join(f"{wnid} thing {i}\n" for i, wnid in enumerate(wnids)))
    return sum(counts.values())


def _make_files(folder: Path, names: list[str]) -> None:
    folder.mkdir(parents=True)
    for name in names:
        (folder / name).touch()


def load_apart(name: str, root: str, shots: int) -> dict:
    """Run :func:`load` in a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1) as process:
        return process.apply(load, (name, root, shots))


def load(name: str, root: str, shots: int) -> dict:
    """Build the dataset and report seconds, the process's peak memory, and a hash of the images that are used."""
    from dassl.config import get_cfg_default
    from dassl.data.datasets import build_dataset

    from clip_prompts.data.config import add_config
    from clip_prompts.run.checkout import load_checkout

    load_checkout("datasets")
    cfg = get_cfg_default()
    add_config(cfg)
    cfg.DATASET.NAME, cfg.DATASET.ROOT, cfg.DATASET.NUM_SHOTS, cfg.SEED = name, root, shots, 1
    random.seed(1)
    start = time.perf_counter()
    with redirect_stdout(sys.stderr):
        dataset = build_dataset(cfg)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # Linux counts in KB
    return {"seconds": seconds, "megabytes": peak, "used": dataset.selection_sha256}
