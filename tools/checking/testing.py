"""Checks of what a method scores in tests, and of the ways to compute the same faster; see ``training.py``."""

from contextlib import AbstractContextManager

import torch
from torch import Tensor

from clip_prompts.clip import PromptedCLIP, Seen
from clip_prompts.run.errors import USER_ERRORS

from .bench import Bench, scores, step, test_scores
from .outcome import SAME, Failed, NotApplicable, compare, compare_steps, difference_of, some
from .random_draws import declares_dropout, moved, random_states, restore_torch
from .watched import learned, quiet

HALF = 0.05  # difference of scores in bfloat16 from those in float32, relative to the largest
CHUNK_GB = 1e-9  # memory limit under which every prompt is a chunk of its own


def cache(bench: Bench) -> str:
    """Features from the cache, and those encoded ahead of the steps, give what images give."""
    hint = "has_fixed_features must be False if anything learned reaches the image encoder (image_inputs)"
    learns = bool(bench.built.get_model_names())
    plain = test_scores(bench.deployed if learns else bench.built)
    cached = bench.loaded(FEATURES__CACHE=True) if learns else bench.build(FEATURES__CACHE=True)
    for way in ("encoded for the cache", "read from the cache"):
        compare(test_scores(cached), plain, f"with features {way}, the scores of the test", hint)
    if not learns or not bench.has_steps or "features" not in (batch := bench.whole.watch.batches[0]):
        return "features are cached" if cached.has_fixed_features else "never cached: images are encoded in every test"
    images = {key: value for key, value in batch.items() if key != "features"}
    ahead, direct = bench.build(), bench.build()
    one, other = ((step(trainer, given), learned(trainer)) for trainer, given in ((ahead, batch), (direct, images)))
    compare_steps(one, other, "on features that were encoded ahead", hint)
    return "cached and encoded ahead"


def chunks(bench: Bench) -> str:
    """Prompts encoded one by one give the same step and the same scores as all at once."""
    hint = "A hook must treat each row alone; LOSS_IS_MEAN must be False unless every term is a mean over images"
    limited = bench.build(TRAINER__CLIP__MEMORY_GB=CHUNK_GB)
    compare(scores(limited, bench.images), scores(bench.built, bench.images), "in chunks, the scores", hint)
    if bench.has_steps:
        practice = bench.practice
        if not practice.after_one:
            raise NotApplicable("not checked, because a step fails")
        one = step(limited, practice.batch), learned(limited)
        compare_steps(one, (practice.trainer.watch.metrics[0], practice.after_one), "in chunks", hint)
    return "one prompt at a time" if limited.memory.last[0] else "no prompts are encoded"


def new(bench: Bench) -> str:
    """A method that learned the base classes is tested on the new ones, under their names."""
    bench.require()
    if bench.facts.learns != "prompts" or not bench.facts.takes_part("base2new"):
        raise NotApplicable("not part of it, according to its method.yml")
    hint = "Prompts and features of classes must come from this run's names: save only what is learned"
    try:
        fresh = bench.build(DATASET__SUBSAMPLE_CLASSES="new")
    except USER_ERRORS as error:
        raise NotApplicable(f"not part of it: {error}") from error
    bench.load_into(fresh)
    found, names = scores(fresh, bench.images), list(fresh.dm.dataset.classnames)
    if found.shape != (len(bench.images), len(names)) or not torch.isfinite(found).all():
        raise Failed(f"scores of {len(names)} new classes have the shape {tuple(found.shape)}, or are not finite", hint)
    base = scores(bench.deployed, bench.images)
    if found.shape == base.shape and difference_of(found, base) <= SAME:
        raise Failed("the new classes have the scores of the base classes", hint)
    every = bench.loaded(DATASET__SUBSAMPLE_CLASSES="all")
    columns = [list(every.dm.dataset.classnames).index(name) for name in names]
    compare(found, scores(every, bench.images)[:, columns], "next to the base classes, the scores of the new", hint)
    return f"{base.shape[1]} classes learned, {len(names)} other ones tested"


def test(bench: Bench) -> str:
    """The test scores what training saw, with every learned tensor that training's forward pass takes."""
    bench.require()
    trainer, images = bench.deployed, bench.images
    hint = "Let text_inputs and image_inputs return the same in training and test; change scores only in Learner.scores"
    tested, seen, ignored, used = scores(trainer, images), _training_forward(trainer, images), [], False
    if seen is not None:
        with torch.no_grad():
            expected = trainer.learner.scores(seen)
        compare(tested, expected, "the scores of a test, and those of the training's forward pass,", hint)
    for name, p in learned(trainer).items():
        trained = p.detach().clone()
        p.data += 0.5 * torch.randn(p.shape, generator=torch.Generator().manual_seed(0))
        changed = difference_of(scores(trainer, images), tested) > 0
        moves_logits = seen and difference_of(_training_forward(trainer, images).logits, seen.logits) > 0
        if moves_logits and not changed:
            ignored.append(name)
        used |= changed
        p.data.copy_(trained)
    if ignored or not used:
        raise Failed(f"the test ignores {some(ignored) if ignored else 'all that is learned'}", hint)
    return "test and training's forward pass agree" if seen is not None else "the test uses what is learned"


def batch(bench: Bench) -> str:
    """A permuted batch has permuted scores, and an image scores the same alone."""
    trainer = bench.deployed if bench.built.get_model_names() else bench.built
    images, hint = bench.images, "A score must depend on its own image only: no statistics over the batch"
    together = scores(trainer, images)
    backwards = scores(trainer, images.flip(0)).flip(0)
    compare(backwards, together, "in another order, the scores of the same images", hint)
    alone = torch.cat([scores(trainer, image[None]) for image in images])
    compare(alone, together, "one by one, the scores of the same images", hint)
    return f"{len(images)} images, together, backwards and one by one"


def half(bench: Bench) -> str:
    """In bfloat16, scores are near those of float32, and the loss and what is learned stay finite."""
    learns, key = bool(bench.built.get_model_names()), f"TRAINER__{bench.method.upper()}__PREC"
    if "PREC" not in bench.built.settings:
        raise NotApplicable("no setting PREC")
    hint = "Compute similarities and losses in float32: unit() and similarity() do; no constants below 1e-30"
    low = bench.loaded(**{key: "bf16"}) if learns else bench.build(**{key: "bf16"})
    full = bench.deployed if learns else bench.built
    with _half(low):
        found, expected = scores(low, bench.images), scores(full, bench.images)
        if not torch.isfinite(found).all():
            raise Failed("the scores are not finite in bfloat16", hint)
        difference = difference_of(found, expected)
        if difference > HALF:
            raise Failed(f"the scores differ by {difference:.0%} from those in float32", hint)
        if learns and bench.has_steps:
            try:
                for _ in range(2):
                    step(low, bench.practice.batch)
            except FloatingPointError as error:
                raise Failed(f"in bfloat16: {error}", hint) from error
            if wrong := [name for name, value in learned(low).items() if not torch.isfinite(value).all()]:
                raise Failed(f"{some(wrong)} is not finite after two steps in bfloat16", hint)
    return f"bfloat16 changes the scores by {difference:.1%}"


def draws(bench: Bench) -> str:
    """Nothing is drawn but what is learned, at its start; seeds give the same start."""
    built, steps = bench.built, bool(bench.built.get_model_names()) and bench.has_steps
    start, seed_hint = built.watch.learned, "Draw from torch's default stream, which SEED sets, and from nothing else"
    again = (bench.practice.trainer if steps else bench.build()).watch.learned
    if different := [name for name in start if not torch.equal(start[name], again[name])]:
        raise Failed(f"{some(different)} starts differently under the same seed", seed_hint)
    if built.watch.drawn_from:
        raise Failed(f"building draws from {', '.join(built.watch.drawn_from)}", seed_hint)
    count, drawn = _random_numbers(start, bench.build(seed=2).watch.learned), built.watch.draws.count
    if drawn > count:
        raise Failed(
            f"building draws {drawn:,} numbers, but only {count:,} of what is learned start at random",
            "Draw each start once; torch.nn.utils.skip_init makes a layer without drawing",
        )
    hint = "Draw from a torch.Generator of your own with a seed of its own, or declare dropout by nn.Dropout"
    states = random_states()
    scores(built, bench.images)
    if streams := moved(states, random_states()):
        raise Failed(f"scoring images draws from {', '.join(streams)}", hint)
    states = random_states()
    iter(torch.utils.data.DataLoader([0]))  # draws what every loader draws when it starts
    expected = random_states()
    restore_torch(states)
    test_scores(built)
    if streams := moved(expected, random_states()):
        raise Failed(f"a test draws from {', '.join(streams)}", hint)
    if steps and bench.practice.draws:
        models = [built._models[name] for name in built.get_model_names()]
        if not any(declares_dropout(model) for model in models):
            raise Failed(f"a training step draws from {', '.join(sorted(bench.practice.draws))}", hint)
        return f"{drawn:,} numbers at the start, and dropout"
    return f"{drawn:,} numbers at the start, none later"


def _training_forward(trainer, images: Tensor) -> Seen | None:
    """Images (B, 3, H, W) as training sees them (as a test does with dropout); None without ``PromptedCLIP``."""
    if not isinstance(trainer.model, PromptedCLIP):
        return None
    trainer.set_model_mode("test" if declares_dropout(trainer.learner) else "train")
    with quiet(), torch.no_grad(), trainer.precision.autocast():
        return trainer.model(images)


def _random_numbers(start: dict[str, Tensor], other: dict[str, Tensor]) -> int:
    """Count the learned numbers that start differently with another seed. Copies of a tensor count once."""
    random: list[Tensor] = []
    for name, value in start.items():
        differs = value.shape != other[name].shape or not torch.equal(value, other[name])
        if differs and not any(torch.equal(value, known) for known in random):
            random.append(value)
    return sum(value.numel() for value in random)


def _half(trainer) -> AbstractContextManager:
    """Autocast to bfloat16 where PREC bf16 computes in float32, as on a CPU without bfloat16."""
    return torch.autocast("cpu", dtype=torch.bfloat16, enabled=trainer.precision.name == "fp32")
