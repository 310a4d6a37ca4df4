"""Protocols as lists of jobs, in upstream's output folders.

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
from itertools import product
from pathlib import Path

from clip_prompts.common.dataset_sets import embedded, papers, variants_of
from clip_prompts.common.errors import UserError, unknown
from clip_prompts.common.method_facts import read_facts

from . import defaults
from .job import Job, with_key
from .request import Request

CHECKPOINTS = 10  # a run that is interrupted loses at most a tenth of its epochs
WORDS = "a photo of a"  # 4 tokens
STUDIES = ("context", "init", "capacity", "joint")
PARTS = {"base": "train_base", "new": "test_new", "all": "test_all"}


def jobs_of(request: Request) -> list[Job]:
    """Returns the jobs of a request; each folder once, a run before those that wait for it.

    Raises UserError: unknown protocol, config or dataset; two runs that would share a folder.
    """
    if request.protocol not in PROTOCOLS:
        raise unknown("protocol", request.protocol, PROTOCOLS)
    jobs = unique_jobs(PROTOCOLS[request.protocol](request))
    return [job for job in jobs if not request.part or job.evaluates == (request.part == "test")]


def unique_jobs(jobs: Iterator[Job] | list[Job]) -> list[Job]:
    """Returns jobs without repetition. Raises UserError if two different ones have the same folder."""
    found: dict[str, Job] = {}
    for job in jobs:
        if found.setdefault(job.folder, job).key != job.key:
            raise UserError(f"Two different runs would use the folder {job.folder}. Give them different OUTPUTs")
    return list(found.values())


def few_shot(r: Request) -> Iterator[Job]:
    for dataset, trainer in product(r.datasets, r.trainers):
        if read_facts(trainer).is_zero_shot:
            yield _zeroshot(r, trainer, dataset)
        else:
            yield from (_learn(r, trainer, dataset, k, s) for k in r.shots_of(trainer, dataset) for s in r.seeds)


def zeroshot(r: Request) -> Iterator[Job]:
    yield from (_zeroshot(r, trainer, dataset) for dataset in r.datasets for trainer in r.trainers)


def base2new(r: Request) -> Iterator[Job]:
    for dataset, trainer in product(r.datasets, r.trainers):
        for shots, seed in product(r.shots_of(trainer, dataset), r.seeds):
            yield from _halves(r, trainer, dataset, shots, seed)


def transfer(r: Request) -> Iterator[Job]:
    """Both transfers; a target that has the source's classes counts as domain generalization."""
    from_embedded = any(Path(target).stem in embedded() for target in r.datasets)
    source = r.source or (embedded() if from_embedded else papers()).source
    stem = Path(source).stem
    for target in r.datasets:
        if Path(target).stem == stem:
            raise UserError(f"'{target}' is both source and target. Choose another source (--source, or SOURCE)")
    for trainer in r.trainers:
        if read_facts(trainer).is_zero_shot:
            yield from (_zeroshot(r, trainer, dataset) for dataset in (source, *r.datasets))
            continue
        for shots, seed in product(r.shots_of(trainer, source), r.seeds):
            learned = _learn(r, trainer, source, shots, seed)
            yield learned
            for target in r.datasets:
                label = "domain_generalization" if Path(target).stem in variants_of(stem) else r.protocol
                yield _transferred(r, label, learned, target, shots)


def ablation(r: Request) -> Iterator[Job]:
    """Base-to-new runs with changed settings (CoOp, section 4.3 and 4.4; CoCoOp, section 4.4)."""
    for study in r.studies:
        if study not in STUDIES:
            raise unknown("study", study, STUDIES)
    studies = set(r.studies or STUDIES)
    for dataset, trainer, seed, shots in product(r.datasets, r.trainers, r.seeds, r.shots or [16]):
        facts, run = read_facts(trainer), (r, trainer, dataset, shots, seed)
        if facts.is_zero_shot:
            if "joint" in studies:
                yield _half(*run, "all")
            continue
        lengths = [n for n in (4, 8, 16) if "context" in studies or ("init" in studies and n == 4)]
        lengths += [facts.ablation["capacity"]] if "capacity" in studies and "capacity" in facts.ablation else []
        for length in lengths:
            yield from _halves(*run, facts.context_settings(length, ""))
        if studies & {"init", "capacity", "joint"}:
            words = facts.context_settings(4, WORDS)
            base, new = _halves(*run, words)
            yield from (base, new)
            if "joint" in studies:
                yield _half(*run, "all", words, base)


PROTOCOLS: dict[str, Callable[[Request], Iterator[Job]]] = {
    "few_shot": few_shot,
    "base2new": base2new,
    "cross_dataset": transfer,
    "domain_generalization": transfer,
    "zeroshot": zeroshot,
    "ablation": ablation,
}


def _learn(r: Request, trainer: str, dataset: str, shots: int, seed: int) -> Job:
    """Learn on all classes and test; the request's protocol chooses the config."""
    config, recipe = r.config_of(trainer, dataset, shots)
    changed = [*recipe, *r.settings]
    place = (r.name_of(dataset), trainer, f"{config.stem}_{shots}shots", r.variant_of(changed), f"seed{seed}")
    settings = [*_checkpoints(config, changed), "DATASET.NUM_SHOTS", str(shots), *changed]
    return _job(r, "few_shot", trainer, config, config.stem, dataset, "all", shots, seed, place, settings)


def _zeroshot(r: Request, trainer: str, dataset: str) -> Job:
    config, _ = r.config_of(trainer, dataset, 16)
    place = (trainer, config.stem, r.variant_of(r.settings), r.name_of(dataset))
    return _job(r, "zeroshot", trainer, config, config.stem, dataset, "all", None, None, place, r.settings, True)


def _transferred(r: Request, label: str, learned: Job, target: str, shots: int) -> Job:
    """Test what was learned on another dataset: no shots, because nothing of the target is learned."""
    trainer, seed, source = learned.trainer, learned.seed, Path(learned.flag("--dataset-config-file")).stem
    config = Path(learned.flag("--config-file"))
    # A named config names the folder, although the source may have taken that of its epochs (rn50: rn50_ep50).
    named, _ = r.config_of(trainer, target, shots)
    name = named.stem if r.config else config.stem
    settings = [*r.config_of(trainer, source, shots)[1], *r.settings]
    first = "" if source == papers().source else learned.dataset
    recipe = f"{name}_{shots}shots", r.variant_of(settings)
    place = ("evaluation", first, trainer, *recipe, r.name_of(target), f"seed{seed}")
    return _job(r, label, trainer, config, name, target, "all", shots, seed, place, settings, True, learned)


def _halves(r: Request, trainer: str, dataset: str, shots: int, seed: int, settings=()) -> tuple[Job, Job]:
    base = _half(r, trainer, dataset, shots, seed, "base", settings)
    return base, _half(r, trainer, dataset, shots, seed, "new", settings, base)


def _half(r, trainer, dataset, shots, seed, classes, settings=(), base: Job | None = None) -> Job:
    """Learn and test on the base classes, or test on ``classes`` what the run ``base`` learned."""
    config, recipe = r.config_of(trainer, dataset, shots)
    changed = [*settings, *recipe, *r.settings]
    run = trainer, config.stem, r.variant_of(changed), f"seed{seed}"
    place = ("base2new", PARTS[classes], r.name_of(dataset), f"shots_{shots}", *run)
    evaluates = base is not None or read_facts(trainer).is_zero_shot
    pairs = [*([] if evaluates else _checkpoints(config, changed)), "DATASET.NUM_SHOTS", str(shots), *changed]
    pairs += ["DATASET.SUBSAMPLE_CLASSES", classes]
    return _job(
        r, r.protocol, trainer, config, config.stem, dataset, classes, shots, seed, place, pairs, evaluates, base
    )


def _job(
    r, label, trainer, config, config_name, dataset, classes, shots, seed, place, settings, evaluates=False, source=None
) -> Job:
    """``place``: the names of the output folder and its parents. ``source``: the job that learns the prompts."""
    flags = [*r.common_flags(trainer, dataset, config, seed), "--protocol", label, *["--eval-only"] * evaluates]
    after = source.folder if source and not read_facts(trainer).is_zero_shot else ""
    folder, name = "/".join(filter(None, place)), r.name_of(dataset)
    job = Job(label, trainer, config_name, name, classes, shots, seed, folder, flags, list(settings), after)
    return with_key(job, source)


def _checkpoints(config: Path, settings: list[str]) -> list[str]:
    """Write ``CHECKPOINTS`` checkpoints a run if the number of epochs is known and more than one."""
    given = dict(zip(settings[::2], settings[1::2], strict=True))
    epochs = str(given.get("OPTIM.MAX_EPOCH", defaults.setting(config, "OPTIM.MAX_EPOCH")))
    known = bool(re.fullmatch("[0-9]{1,9}", epochs)) and int(epochs) > 1 and "TRAIN.CHECKPOINT_FREQ" not in given
    return ["TRAIN.CHECKPOINT_FREQ", str(math.ceil(int(epochs) / CHECKPOINTS))] if known else []
