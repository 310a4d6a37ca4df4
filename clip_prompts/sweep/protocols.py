"""Every protocol as the jobs that it takes, in upstream's output folders.

few_shot                learn on K images of each class, test on the same dataset (CoOp, section 4.1)
base2new                learn on the first half of the classes; test on it and on the other half (CoCoOp, section 4.1)
cross_dataset           learn on one dataset, test on others (CoCoOp, section 4.2)
domain_generalization   learn on one dataset, test on the same classes in other pictures (CoCoOp, section 4.3)
zeroshot                hand-crafted prompts, nothing learned
ablation                context length, initialisation, capacity, joint test: base-to-new runs with settings changed

CoOp: "Learning to Prompt for Vision-Language Models", IJCV 2022. CoCoOp: "Conditional Prompt Learning for
Vision-Language Models", CVPR 2022.
"""

import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from . import defaults
from .errors import SweepError, unknown
from .job import Job, seal
from .request import Request, variant_of

CHECKPOINTS = 10  # a run that is interrupted loses at most a tenth of its epochs
WORDS = "a photo of a"  # 4 tokens
STUDIES = ("context", "init", "capacity", "joint")


def jobs_of(request: Request) -> list[Job]:
    """The jobs of a request; each folder once, a run before those that wait for it.

    Raises:
        SweepError: unknown protocol, config or dataset; two runs that would share a folder.
    """
    if request.protocol not in PROTOCOLS:
        raise unknown("protocol", request.protocol, PROTOCOLS)
    return [
        job
        for job in merged(PROTOCOLS[request.protocol](request))
        if not request.part or job.evaluates == (request.part == "test")
    ]


def merged(jobs: Iterator[Job] | list[Job]) -> list[Job]:
    """Jobs without repetition. Raises SweepError where two different ones have the same folder."""
    found: dict[str, Job] = {}
    for job in jobs:
        if found.setdefault(job.folder, job).key != job.key:
            raise SweepError(
                f"Two different runs would share the folder {job.folder}: plan them with different OUTPUTs"
            )
    return list(found.values())


def few_shot(r: Request) -> Iterator[Job]:
    for dataset in r.datasets:
        for trainer in r.trainers:
            if defaults.learns_nothing(trainer):
                yield _zeroshot(r, "few_shot", trainer, dataset)
                continue
            yield from (_learn(r, "few_shot", trainer, dataset, k, s) for k in r.shots for s in r.seeds)


def zeroshot(r: Request) -> Iterator[Job]:
    yield from (_zeroshot(r, "zeroshot", trainer, dataset) for dataset in r.datasets for trainer in r.trainers)


def base2new(r: Request) -> Iterator[Job]:
    for dataset in r.datasets:
        for trainer in r.trainers:
            for shots in r.shots:
                for seed in r.seeds:
                    yield from _halves(r, "base2new", trainer, dataset, shots, seed)


def transfer(r: Request) -> Iterator[Job]:
    """Both transfers; a target that has the source's classes counts as domain generalization."""
    source = r.source or defaults.source_of(r.datasets)
    stem = Path(source).stem
    for target in r.datasets:
        if Path(target).stem == stem:
            raise SweepError(f"'{target}' is both source and target; name another source (--source, or SOURCE)")
    for trainer in r.trainers:
        if defaults.learns_nothing(trainer):
            yield from (_zeroshot(r, r.protocol, trainer, dataset) for dataset in (source, *r.datasets))
            continue
        for shots in r.shots:
            for seed in r.seeds:
                learned = _learn(r, r.protocol, trainer, source, shots, seed)
                yield learned
                for target in r.datasets:
                    variants = defaults.VARIANTS.get(stem, ())
                    label = "domain_generalization" if Path(target).stem in variants else r.protocol
                    yield _transferred(r, label, learned, target, shots)


def ablation(r: Request) -> Iterator[Job]:
    """Base-to-new runs with changed settings (CoOp, section 4.3 and 4.4; CoCoOp, section 4.4)."""
    for study in r.studies:
        if study not in STUDIES:
            raise unknown("study", study, STUDIES)
    studies = r.studies or STUDIES
    for dataset in r.datasets:
        for trainer in r.trainers:
            for seed in r.seeds:
                for shots in r.shots:
                    if defaults.learns_nothing(trainer):
                        if "joint" in studies:
                            yield _half(r, "ablation", trainer, dataset, shots, seed, "all")
                        continue
                    lengths = [n for n in (4, 8, 16) if "context" in studies or ("init" in studies and n == 4)]
                    if "capacity" in studies and trainer == "CoOp":
                        lengths.append(60)  # 60 x 512 numbers, about as many as CoCoOp learns
                    for length in lengths:
                        settings = _context(trainer, length, "")
                        yield from _halves(r, "ablation", trainer, dataset, shots, seed, settings)
                    if {"init", "capacity", "joint"} & set(studies):
                        settings = _context(trainer, 4, WORDS)
                        base, new = _halves(r, "ablation", trainer, dataset, shots, seed, settings)
                        yield from (base, new)
                        if "joint" in studies:
                            yield _half(r, "ablation", trainer, dataset, shots, seed, "all", settings, base)


PROTOCOLS: dict[str, Callable[[Request], Iterator[Job]]] = {
    "few_shot": few_shot,
    "base2new": base2new,
    "cross_dataset": transfer,
    "domain_generalization": transfer,
    "zeroshot": zeroshot,
    "ablation": ablation,
}
PARTS = {"base": "train_base", "new": "test_new", "all": "test_all"}


def _context(trainer: str, length: int, words: str) -> list[str]:
    node = f"TRAINER.{trainer.upper()}"
    return [f"{node}.N_CTX", str(length), f"{node}.CTX_INIT", words]


def _learn(r: Request, protocol: str, trainer: str, dataset: str, shots: int, seed: int) -> Job:
    """Learn on all classes and test; ``protocol`` chooses the config."""
    config, recipe = defaults.config_of(protocol, trainer, Path(dataset).stem, shots, r.config)
    settings = [*recipe, *r.settings]
    name = r.name_of(dataset)
    folder = _join(name, trainer, f"{config.stem}_{shots}shots", _variant(r, settings), f"seed{seed}")
    flags = [*r.common_flags(trainer, dataset, config, seed), "--protocol", "few_shot"]
    settings = [*_checkpoints(config, settings), "DATASET.NUM_SHOTS", str(shots), *settings]
    return seal(Job("few_shot", trainer, config.stem, name, "all", shots, seed, folder, flags, settings))


def _zeroshot(r: Request, protocol: str, trainer: str, dataset: str) -> Job:
    config, _ = defaults.config_of(protocol, trainer, Path(dataset).stem, 16, r.config)
    name = r.name_of(dataset)
    folder = _join(trainer, config.stem, _variant(r, r.settings), name)
    flags = [*r.common_flags(trainer, dataset, config, None), "--protocol", "zeroshot", "--eval-only"]
    return seal(Job("zeroshot", trainer, config.stem, name, "all", None, None, folder, flags, list(r.settings)))


def _transferred(r: Request, protocol: str, learned: Job, target: str, shots: int) -> Job:
    """Test what was learned on another dataset: no shots, since nothing of the target is learned."""
    dataset, source = r.name_of(target), _stem(learned)
    named, _ = defaults.config_of(r.protocol, learned.trainer, Path(target).stem, shots, r.config)
    config = Path(learned.flags[learned.flags.index("--config-file") + 1])
    # A named config names the folder, although the source may have taken that of its epochs (rn50: rn50_ep50).
    name = named.stem if r.config else config.stem
    recipe = defaults.config_of(r.protocol, learned.trainer, source, shots, r.config)[1]
    settings = [*recipe, *r.settings]
    first = () if source == "imagenet" else (learned.dataset,)
    folder = _join(
        "evaluation",
        *first,
        learned.trainer,
        f"{name}_{shots}shots",
        _variant(r, settings),
        dataset,
        f"seed{learned.seed}",
    )
    flags = [*r.common_flags(learned.trainer, target, config, learned.seed), "--protocol", protocol, "--eval-only"]
    job = Job(
        protocol, learned.trainer, name, dataset, "all", shots, learned.seed, folder, flags, settings, learned.folder
    )
    return seal(job, learned)


def _stem(job: Job) -> str:
    """The stem of the dataset's YAML."""
    return Path(job.flags[job.flags.index("--dataset-config-file") + 1]).stem


def _halves(r, protocol, trainer, dataset, shots, seed, settings=()) -> tuple[Job, Job]:
    base = _half(r, protocol, trainer, dataset, shots, seed, "base", settings)
    return base, _half(r, protocol, trainer, dataset, shots, seed, "new", settings, base)


def _half(r, protocol, trainer, dataset, shots, seed, classes, settings=(), base: Job | None = None) -> Job:
    """Learn and test on the base classes, or test on ``classes`` what the run ``base`` learned."""
    config, recipe = defaults.config_of("base2new", trainer, Path(dataset).stem, shots, r.config)
    name = r.name_of(dataset)
    changed = [*settings, *recipe, *r.settings]
    folder = _join(
        "base2new", PARTS[classes], name, f"shots_{shots}", trainer, config.stem, _variant(r, changed), f"seed{seed}"
    )
    evaluates = base is not None or defaults.learns_nothing(trainer)
    flags = [*r.common_flags(trainer, dataset, config, seed), "--protocol", protocol]
    pairs = [*([] if evaluates else _checkpoints(config, changed)), "DATASET.NUM_SHOTS", str(shots), *changed]
    return seal(
        Job(
            protocol, trainer, config.stem, name, classes, shots, seed, folder,
            flags + ["--eval-only"] * evaluates, [*pairs, "DATASET.SUBSAMPLE_CLASSES", classes],
            base.folder if base and not defaults.learns_nothing(trainer) else "",
        ),
        base,
    )  # fmt: skip


def _checkpoints(config: Path, settings: list[str]) -> list[str]:
    """Write ``CHECKPOINTS`` checkpoints a run, where the number of epochs is known and more than one."""
    given = dict(zip(settings[::2], settings[1::2], strict=True))
    epochs = str(given.get("OPTIM.MAX_EPOCH", defaults.setting(config, "OPTIM.MAX_EPOCH")))
    known = bool(re.fullmatch("[0-9]{1,9}", epochs)) and int(epochs) > 1 and "TRAIN.CHECKPOINT_FREQ" not in given
    return ["TRAIN.CHECKPOINT_FREQ", str(math.ceil(int(epochs) / CHECKPOINTS))] if known else []


def _variant(r: Request, settings: list[str]) -> str:
    return variant_of(settings) if r.variant is None else r.variant


def _join(*parts: str) -> str:
    return "/".join(part for part in parts if part)
