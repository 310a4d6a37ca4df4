"""Checks of what a method learns, one function per line of the table.

A check returns a note for its line, or raises ``Failed`` (reason and next step) or ``NotApplicable``.
"""

import torch

from .bench import Bench, other_methods, test_scores
from .outcome import Failed, NotApplicable, compare, shown, some
from .watched import fixed_tensors, learned, tensors_of


def trains(bench: Bench) -> str:
    """The method builds, trains for some epochs, and is tested."""
    if not bench.built.get_model_names():
        test_scores(bench.built)
        return "nothing is learned; a test runs"
    bench.whole  # noqa: B018  (raises what training raises)
    tensors = learned(bench.built).values()
    return f"{sum(p.numel() for p in tensors):,} numbers are learned in {len(tensors)} tensors"


def loss(bench: Bench) -> str:
    """The loss of one batch falls while the method trains on it."""
    bench.require(steps=True)
    practice = bench.practice
    if practice.error:
        raise practice.error
    name, *_ = practice.trainer.watch.metrics[0]
    found = [step[name] for step in practice.trainer.watch.metrics]
    line = f"{name} {found[0]:.4g} -> {found[-1]:.4g} in {len(found)} steps on one batch"
    if not found[-1] < found[0]:
        raise Failed(line, "Check the sign of each term, and that update() steps the optimizer; or lower OPTIM.LR")
    return line


def gradients(bench: Bench) -> str:
    """Every learned tensor gets a gradient, and is changed by the optimizer."""
    bench.require()
    if bench.has_steps:
        practice = bench.practice
        if practice.error and not practice.gradients:
            raise practice.error
        if without := sorted(learned(practice.trainer).keys() - practice.gradients):
            raise Failed(
                f"no gradient reaches {some(without)}",
                "Hand it to an encoder (text_inputs, image_inputs), use it in loss_terms, or set requires_grad_(False)",
            )
        before, trainer = practice.before, practice.trainer
    else:
        before, trainer = bench.whole.watch.learned, bench.whole
    still = [name for name, value in learned(trainer).items() if torch.equal(value, before[name])]
    if still:
        raise Failed(f"{some(still)} never changes", "parameter_groups() must list every parameter that is learned")
    return ", ".join(before) if len(before) < 4 else f"all {len(before)} tensors"


def settings(bench: Bench) -> str:
    """Every setting that is a decimal number (weights, temperatures) changes the run: no term has been lost."""
    bench.require()
    names = [name for name, value in bench.built.settings.items() if isinstance(value, float)]
    if bench.facts.base:  # it has the settings of all methods that it is put on, which one of them does not read
        names = [name for name in names if not any(name in other.CONFIG for other in other_methods(bench.method))]
    if not names:
        raise NotApplicable("no setting is a decimal number")
    without = []
    for name in names:
        value = bench.built.settings[name]
        other = bench.trained(**{f"TRAINER__{bench.method.upper()}__{name}": value / 2 or 1.0})
        ends, same_steps = learned(other), other.watch.metrics == bench.whole.watch.metrics
        if same_steps and all(torch.equal(value, ends[key]) for key, value in learned(bench.whole).items()):
            without.append(name)
    if without:
        raise Failed(f"{some(without)} has no effect", "Use it in loss_terms or update, or take it out of CONFIG")
    return f"{some(names)} change{'s' * (len(names) == 1)} the run"


def clip(bench: Bench) -> str:
    """CLIP's weights stay as they were loaded, and none of them is learned or saved."""
    trainer = bench.whole if bench.built.get_model_names() else bench.built
    model, hint = trainer.watch.clip_model, "hand what is learned to the encoders (text_inputs, image_inputs)"
    registered = [trainer._models[name] for name in trainer.get_model_names()]
    own = {id(p) for part in registered for p in part.parameters()}
    if names := [name for name, p in model.named_parameters() if p.requires_grad or id(p) in own]:
        raise Failed(f"{some(names)} of CLIP is learned or saved", f"Keep CLIP frozen and out of the learner: {hint}")
    now, loaded = tensors_of(model), trainer.watch.clip
    if changed := [name for name in now | loaded if name not in now or not torch.equal(now[name], loaded[name])]:
        raise Failed(f"{some(changed)} of CLIP changed", f"Do not write to CLIP: {hint}")
    return f"{len(now)} tensors are as loaded"


def teacher(bench: Bench) -> str:
    """Teachers and fixed features stay the same from the first step to the last."""
    bench.require()
    before, now = bench.whole.watch.fixed, fixed_tensors(bench.whole)
    changed = [name for name in before if name in now and not torch.equal(before[name], now[name])]
    if changed:
        raise Failed(
            f"{some(changed)} changed in training",
            "Detach a teacher and do not write to it. State that should change belongs into STATE or a saved buffer",
        )
    return f"{len(before)} fixed tensors stay"


def load(bench: Bench) -> str:
    """A trainer with another seed scores the same after loading what was saved."""
    bench.require()
    saved, own = learned(bench.whole), learned(bench.deployed)
    different = [name for name in saved if name not in own or not torch.equal(saved[name], own[name])]
    if different:
        raise Failed(f"{some(different)} is not what was saved", "Do not overwrite it after or while loading")
    compare(
        test_scores(bench.deployed), test_scores(bench.whole), "after loading, the scores of the test",
        "Something that scores depend on is not saved (make it a parameter or buffer of the learner), or is older than "
        "the training",
    )  # fmt: skip
    return "the same, loaded under another seed"


def resume(bench: Bench) -> str:
    """A run that is resumed after its first epoch ends as the whole one."""
    bench.require()
    if bench.whole.max_epoch == 1:
        raise NotApplicable("a run has one epoch")
    resumed, whole = bench.resumed(), bench.whole
    losses = whole.watch.metrics[-len(resumed.watch.metrics) :]
    hint = "Name what changes during a run in STATE, or make it a buffer of the learner: both are saved"
    if len(resumed.watch.metrics) * whole.max_epoch != len(whole.watch.metrics) * (whole.max_epoch - 1):
        raise Failed("a resumed run has another number of steps", "Leave run_epoch and before_train to the engine")
    for step, (one, other) in enumerate(zip(resumed.watch.metrics, losses, strict=True)):
        if one != other:
            raise Failed(f"step {step + 1} after resuming has {shown(one)}, without a stop {shown(other)}", hint)
    ends = learned(resumed)
    different = [name for name, value in learned(whole).items() if not torch.equal(value, ends[name])]
    if different:
        raise Failed(f"{some(different)} ends differently after resuming", hint)
    return f"the same {len(losses)} losses and the same end"
