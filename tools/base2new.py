"""Base-to-new generalization: learn prompts on the base classes, test on base and on new classes, one table.

For every trainer, dataset and seed: train on 16 shots of the first half of the classes, test on that half (base),
then load the learned prompt and test on the other half, which it has never seen (new). H is the harmonic mean.
"Conditional Prompt Learning for Vision-Language Models", CVPR 2022, section 4.1.
"""

import argparse
import fnmatch
import json
import os
import statistics
import sys
from pathlib import Path

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tools.jobs import ROOT, Job, run_jobs  # noqa: E402

CONFIGS = ROOT / "configs"
# The papers' settings for this protocol (CoCoOp, section 4.1), by trainer; ImageNet learns for 50 epochs.
PAPER = {"CoOp": "vit_b16_ctxv1", "CoCoOp": "vit_b16_c4_ep10_batch1_ctxv1", "ZeroshotCLIP": "vit_b16"}
PAPER_IMAGENET = {"CoOp": "vit_b16_ep50_ctxv1"}
EMBEDDED = ("digits", "shapes*")  # these come with the repository, as does their backbone, tiny


def main(argv: list[str] | None = None) -> int:
    args = parse(argv)
    try:
        jobs = [job for t in args.trainers for d in args.datasets for s in args.seeds for job in pair(args, t, d, s)]
    except FileNotFoundError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 2
    failed = run_jobs(jobs, args.jobs)
    print(f"\nBase-to-new, {args.shots} shots, accuracy in %, last epoch, seeds {' '.join(map(str, args.seeds))}")
    print(table(args))
    print(f"Logs, checkpoints and results.json of every run: {args.output}")
    if failed:
        print(
            f"Error: {len(failed)} of {len(jobs)} runs failed; the same command runs what is missing", file=sys.stderr
        )
    return 1 if failed else 0


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("trainers", type=lambda s: s.split(","), help="trainer, or several with commas: ZeroshotCLIP,CoOp,CoCoOp")
    add("datasets", type=lambda s: s.split(","), help="dataset, or several: names in configs/datasets/, or YAML files")
    add("config", nargs="?", help="name in configs/trainers/TRAINER/, or a YAML file (default: the paper's settings)")
    add("--seeds", type=int, nargs="+", default=[1, 2, 3], help="default: 1 2 3")
    add("--shots", type=int, default=16, help="training images of each class (default: 16)")
    add("--root", default="", help="folder of the datasets; the embedded ones need none")
    add("--output", type=Path, default=ROOT / "output" / "base2new", help="default: output/base2new")
    add("--jobs", type=int, default=1, help="runs at a time (default: 1)")
    add("--plugin", action="append", default=[], help="module that registers more trainers or datasets; repeatable")
    add("--set", nargs="+", default=[], metavar="KEY VALUE", help="settings for every run, as pairs")
    args = parser.parse_args(argv)
    args.output = args.output.resolve()
    args.root = os.path.abspath(os.path.expanduser(args.root)) if args.root else ""
    args.plugin = [os.path.abspath(p) if p.endswith(".py") else p for p in args.plugin]
    return args


def config_file(trainer: str, dataset: str, name: str | None) -> Path:
    """The method's YAML. A trainer without a folder of its own takes that of the longest name it begins with.

    Raises:
        FileNotFoundError: no folder, or no such file in it; names what there is.
    """
    if name and name.endswith((".yaml", ".yml")):
        return _existing(name)
    folders = [f for f in (CONFIGS / "trainers").iterdir() if f.is_dir() and trainer.startswith(f.name)]
    if not folders:
        raise FileNotFoundError(f"Trainer '{trainer}' has no configs: make configs/trainers/{trainer}/NAME.yaml")
    folder = max(folders, key=lambda f: len(f.name))
    there = sorted(f.stem for f in folder.glob("*.yaml"))
    if name is None and any(fnmatch.fnmatch(dataset, pattern) for pattern in EMBEDDED):
        name = "tiny"
    elif name is None:
        by_dataset = PAPER_IMAGENET if dataset == "imagenet" else PAPER
        name = by_dataset.get(folder.name) or PAPER.get(folder.name) or (there[0] if len(there) == 1 else None)
    if name not in there:
        wanted = f"no config '{name}'" if name else "several configs, name one"
        raise FileNotFoundError(f"Trainer '{trainer}': {wanted}. In {folder.relative_to(ROOT)}: {', '.join(there)}")
    return folder / f"{name}.yaml"


def dataset_file(name: str) -> Path:
    """The dataset's YAML, from its name in configs/datasets/ or its path.

    Raises:
        FileNotFoundError: no such file; names what there is.
    """
    if name.endswith((".yaml", ".yml")):
        return _existing(name)
    file = CONFIGS / "datasets" / f"{name}.yaml"
    if not file.is_file():
        known = ", ".join(sorted(f.stem for f in file.parent.glob("*.yaml")))
        raise FileNotFoundError(f"No dataset config '{name}'. Known: {known}")
    return file


def root_in(file: Path) -> str:
    """DATASET.ROOT of a dataset's YAML as an absolute path, since runs start in the repository; "" for none."""
    import yaml  # here, since every job imports this module

    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
        root = content["DATASET"]["ROOT"]
    except (yaml.YAMLError, UnicodeDecodeError, LookupError, TypeError):
        return ""  # a broken file is for the run to report
    return os.path.abspath(os.path.expanduser(root)) if isinstance(root, str) and root else ""


def _existing(path: str) -> Path:
    file = Path(path).expanduser().resolve()
    if not file.is_file():
        raise FileNotFoundError(f"No config file '{path}'")
    return file


def folder_of(args, part: str, trainer: str, dataset: str, seed: int) -> Path:
    """Upstream's output folders: <part>/<dataset>/shots_<K>/<trainer>/<config>/seed<S>."""
    config = config_file(trainer, dataset, args.config).stem
    return args.output / part / Path(dataset).stem / f"shots_{args.shots}" / trainer / config / f"seed{seed}"


def pair(args, trainer: str, dataset: str, seed: int) -> tuple[Job, Job]:
    """The two runs of one seed: train and test on base classes, then test on new ones.

    Raises:
        FileNotFoundError: no such dataset or method config.
    """
    base = folder_of(args, "train_base", trainer, dataset, seed)
    new = folder_of(args, "test_new", trainer, dataset, seed)
    common = ["--trainer", trainer, "--seed", str(seed), "--dataset-config-file", str(dataset_file(dataset))]
    common += ["--config-file", str(config_file(trainer, dataset, args.config))]
    root = args.root or root_in(dataset_file(dataset))
    common += ["--root", root] if root else []
    common += [flag for plugin in args.plugin for flag in ("--plugin", plugin)]
    settings = ["DATASET.NUM_SHOTS", str(args.shots), *args.set, "DATASET.SUBSAMPLE_CLASSES"]
    title = f"{trainer} {Path(dataset).stem} seed {seed}"
    train = Job(f"{title} base", [*common, "--output-dir", str(base), *settings, "base"], base)
    load = ["--eval-only", "--model-dir", str(base)]
    return train, Job(f"{title} new", [*common, "--output-dir", str(new), *load, *settings, "new"], new, after=train)


def accuracy(folder: Path) -> float | None:
    """Test accuracy of the newest record in a run's folder, in percent; None where there is none."""
    file = folder / "results.json"
    records = json.loads(file.read_text()) if file.is_file() else []
    return next((r["metrics"]["accuracy"] for r in reversed(records) if r["split"] == "test"), None)


def harmonic_mean(base: float, new: float) -> float:
    """H = 2BN / (B + N)."""
    return 2 * base * new / (base + new) if base + new else 0.0


def table(args) -> str:
    """Mean and population standard deviation over seeds; H is of the mean base and the mean new accuracy."""
    from tabulate import tabulate  # here, since every job imports this module

    rows = []
    for dataset in args.datasets:
        for trainer in args.trainers:
            pairs = [
                tuple(accuracy(folder_of(args, part, trainer, dataset, s)) for part in ("train_base", "test_new"))
                for s in args.seeds
            ]
            whole = [p for p in pairs if None not in p]
            if not whole:
                rows.append([Path(dataset).stem, trainer, "-", "-", "-", 0])
                continue
            base, new = zip(*whole, strict=True)
            h = harmonic_mean(statistics.mean(base), statistics.mean(new))
            spread = statistics.pstdev(harmonic_mean(*p) for p in whole)
            cells = [(statistics.mean(v), statistics.pstdev(v)) for v in (base, new)] + [(h, spread)]
            rows.append([Path(dataset).stem, trainer, *(f"{mean:.2f} ± {std:.2f}" for mean, std in cells), len(whole)])
    return tabulate(rows, headers=["dataset", "trainer", "base", "new", "H", "seeds"], tablefmt="github")


if __name__ == "__main__":
    sys.exit(main())
