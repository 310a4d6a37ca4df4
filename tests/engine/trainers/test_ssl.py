"""Trainers for semi-supervised learning: they learn from few labels, and their losses are their papers'."""

import math

import pytest
import torch
from dassl.engine import ssl
from dassl.engine.parts.entropy import entropy
from dassl.utils import ConfigError
from torch.nn import functional as F

from tests.engine.trainers.harness import CHANCE, first_batch, mean_of

pytestmark = pytest.mark.zoo

FEW = (
    "DATASET.NAME", "FewPatterns", "DATASET.SOURCE_DOMAINS", ("night",), "DATASET.NUM_LABELED", 16,
    "DATALOADER.TRAIN_X.BATCH_SIZE", 16, "TRAIN.COUNT_ITER", "train_u",
)  # fmt: skip
SETTINGS = {
    "EntMin": ("TRAINER.ENTMIN.LMDA", 0.1),
    "MixMatch": ("TRAINER.MIXMATCH.WEIGHT_U", 10.0, "TRAINER.MIXMATCH.RAMPUP", 30),
    "FixMatch": ("TRAINER.FIXMATCH.CONF_THRE", 0.8),
}


@pytest.mark.parametrize("name", ssl.__all__)
def test_it_learns_from_few_labels(train, name):
    run = train(name, *FEW, *SETTINGS.get(name, ()))
    assert run.accuracy >= CHANCE + 35
    assert all(math.isfinite(value) for values in run.losses.values() for value in values)
    assert run.trainer.get_current_lr() == 0, "end of the cosine"


def test_supbaseline_ignores_unlabelled_images(build):
    trainer = build("SupBaseline", *FEW)
    image, label, unlabelled = first_batch(trainer)
    loss, _ = trainer.loss(image, label, unlabelled * float("nan"))
    assert loss.item() == pytest.approx(F.cross_entropy(trainer.model(image), label).item())


# EntMin


def test_entropy_is_in_nats():
    logits = torch.tensor([[0.0, 0, 0, 0], [100, 0, 0, 0], [50, 50, 0, 0]])
    torch.testing.assert_close(entropy(logits), torch.tensor([math.log(4), 0, math.log(2)]))


def test_entmin_adds_the_mean_entropy_and_lowers_it(build, train):
    trainer = build("EntMin", *FEW, "TRAINER.ENTMIN.LMDA", 0.5)
    image, label, unlabelled = first_batch(trainer)
    loss, _ = trainer.loss(image, label, unlabelled)
    p = trainer.model(unlabelled).softmax(dim=1)
    expected = F.cross_entropy(trainer.model(image), label) - 0.5 * (p * p.log()).sum(dim=1).mean()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-4)

    few = (*FEW, "OPTIM.MAX_EPOCH", 3)
    low, high = (train("EntMin", *few, "TRAINER.ENTMIN.LMDA", weight).losses["loss_u"] for weight in (0.5, 0.0))
    assert mean_of(low, -0.2) < 0.7 * mean_of(high, -0.2)
    assert mean_of(low, -0.2) < mean_of(low, 0.2) / 2


# MeanTeacher


def test_the_teacher_is_the_running_average_of_the_student(build):
    trainer = build("MeanTeacher", *FEW, "TRAINER.MEANTEACHER.EMA_ALPHA", 0.7, "OPTIM.MAX_EPOCH", 2)
    names = [name for name, _ in trainer.model.named_parameters()]
    average = {name: p.detach().clone() for name, p in trainer.teacher.named_parameters()}
    start = {name: p.clone() for name, p in average.items()}
    step, decays = trainer.forward_backward, []

    def followed(*batches):
        numbers = step(*batches)
        decays.append(min(1 - 1 / (len(decays) + 1), 0.7))
        student, teacher = dict(trainer.model.named_parameters()), dict(trainer.teacher.named_parameters())
        for name in names:
            average[name] = decays[-1] * average[name] + (1 - decays[-1]) * student[name].detach()
            torch.testing.assert_close(teacher[name], average[name], rtol=1e-5, atol=1e-7)
        return numbers

    trainer.forward_backward = followed
    trainer.train()
    assert decays[:4] == [0, 0.5, pytest.approx(2 / 3), 0.7] and len(decays) == 12
    assert any(not torch.equal(average[name], start[name]) for name in names)
    assert not any(p.requires_grad or p.grad is not None for p in trainer.teacher.parameters())


def test_meanteacher_pulls_the_student_to_the_teacher_alone(build):
    trainer = build("MeanTeacher", *FEW, "TRAINER.MEANTEACHER.WEIGHT_U", 3.0, "TRAINER.MEANTEACHER.RAMPUP", 4)
    image, label, for_student, for_teacher = first_batch(trainer)
    with torch.no_grad():
        trainer.teacher.classifier.weight[0] += 1.0
    for epoch, ramp in ((0, math.exp(-5)), (2, math.exp(-5 / 4)), (4, 1), (9, 1)):
        trainer.epoch = epoch
        loss, numbers = trainer.loss(image, label, for_student, for_teacher)
        distance = trainer.model(for_student).softmax(dim=1) - trainer.teacher(for_teacher).softmax(dim=1)
        loss_u = distance.square().sum(dim=1).mean().item()
        assert numbers["loss_u"] == pytest.approx(loss_u, rel=1e-3) and loss_u > 0.1
        expected = F.cross_entropy(trainer.model(image), label).item() + 3.0 * ramp * loss_u
        assert loss.item() == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("views, same", [(1, True), (2, False)])
def test_meanteacher_gives_the_teacher_a_view_of_its_own_where_there_are_two(build, views, same):
    noisy = ("INPUT.TRANSFORMS", ("gaussian_noise", "random_flip"))
    _, _, for_student, for_teacher = first_batch(build("MeanTeacher", *FEW, *noisy, "DATALOADER.K_TRANSFORMS", views))
    assert torch.equal(for_student, for_teacher) == same


# MixMatch


def test_mixmatch_guesses_sum_to_one_and_are_sharper_than_the_mean_of_the_views(build):
    trainer = build("MixMatch", *FEW, "DATALOADER.K_TRANSFORMS", 3)
    *_, views = first_batch(trainer)
    assert len(views) == 3
    trainer.set_model_mode("eval")
    guess = trainer.guess(views)
    mean = sum(trainer.model(view).softmax(dim=1) for view in views) / 3
    torch.testing.assert_close(guess.sum(dim=1), torch.ones(len(guess)))
    torch.testing.assert_close(guess, mean**2 / (mean**2).sum(dim=1, keepdim=True))  # TEMP 2
    assert (entropy(guess.log()) < entropy(mean.log())).all()
    assert not guess.requires_grad


def test_mixmatch_blends_all_images_and_keeps_each_the_larger_part_of_its_blend(build):
    trainer = build("MixMatch", *FEW)
    image, label, views = first_batch(trainer)
    sources = torch.cat([image, *views])
    seen = []
    trainer.model.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    trainer.loss(image, label, views)
    blended = seen[-1]  # after the passes that guess
    assert blended.shape == sources.shape and not torch.equal(blended, sources)
    distance = torch.cdist(blended.flatten(1), sources.flatten(1))
    own = distance.diagonal()
    # As l >= 1/2, a blend is no farther from its own image than the two images' half distance.
    assert (own <= torch.cdist(sources.flatten(1), sources.flatten(1)).max(dim=1).values / 2 + 1e-4).all()


def test_mixmatch_loss_and_its_ramp(build):
    settings = ("TRAINER.MIXMATCH.WEIGHT_U", 50.0, "TRAINER.MIXMATCH.RAMPUP", 10)
    trainer = build("MixMatch", *FEW, *settings)
    for step, ramp in ((0, 0.0), (5, 0.5), (10, 1.0), (30, 1.0)):
        loss, numbers = trainer.loss(*first_batch(trainer, step))
        assert loss.item() == pytest.approx(numbers["loss_x"] + 50.0 * ramp * numbers["loss_u"], rel=1e-4)
        assert 0 < numbers["loss_u"] < 0.5


# FixMatch


def test_fixmatch_learns_nothing_from_images_it_is_not_sure_of(build):
    trainer = build("FixMatch", *FEW, "TRAINER.FIXMATCH.CONF_THRE", 0.95)
    torch.nn.init.zeros_(trainer.model.classifier.weight)
    torch.nn.init.zeros_(trainer.model.classifier.bias)  # 1/4 for every class
    loss, numbers = trainer.loss(*first_batch(trainer))
    assert numbers["confident"] == numbers["loss_u"] == 0
    assert loss.item() == pytest.approx(numbers["loss_x"]) == pytest.approx(math.log(4))


def test_fixmatch_teaches_strong_views_the_confident_labels_of_weak_ones(build):
    trainer = build("FixMatch", *FEW, "TRAINER.FIXMATCH.WEIGHT_U", 2.0)
    image, label, weak, strong = first_batch(trainer)
    trainer.set_model_mode("eval")  # predictions then do not depend on the batch
    p = trainer.model(weak).softmax(dim=1)
    threshold = p.max(dim=1).values.median().item()
    trainer.cfg.defrost()
    trainer.cfg.TRAINER.FIXMATCH.CONF_THRE = threshold
    loss, numbers = trainer.loss(image, label, weak, strong)

    sure = p.max(dim=1).values >= threshold
    assert 0 < sure.sum() < len(sure) and numbers["confident"] == pytest.approx(sure.float().mean().item())
    log_p_strong = trainer.model(strong).log_softmax(dim=1)
    terms = [-log_p_strong[i, p[i].argmax()].item() for i in range(len(weak)) if sure[i]]
    assert numbers["loss_u"] == pytest.approx(sum(terms) / len(weak), rel=1e-4)
    assert loss.item() == pytest.approx(numbers["loss_x"] + 2.0 * numbers["loss_u"], rel=1e-5)


def test_fixmatch_loads_weak_and_strong_views(build):
    transforms = ("INPUT.TRANSFORMS", ("normalize",), "TRAINER.FIXMATCH.STRONG_TRANSFORMS", ("random_flip",))
    trainer = build("FixMatch", *FEW, *transforms)
    image, _, weak, strong = first_batch(trainer)
    assert image.min() < 0 and weak.min() < 0 <= strong.min()  # only the weak ones are normalised
    assert list(trainer.lab2cname.values()) == ["horizontal", "vertical", "disk", "ring"]


def test_fixmatch_grows_sure(train):
    losses = train("FixMatch", *FEW, *SETTINGS["FixMatch"], "OPTIM.MAX_EPOCH", 4).losses
    assert mean_of(losses["confident"], -0.2) > mean_of(losses["confident"], 0.2) + 0.3


@pytest.mark.parametrize(
    "name, opts, said",
    [
        (
            "MixMatch",
            ("DATALOADER.K_TRANSFORMS", 1),
            ["DATALOADER.K_TRANSFORMS", "is 1", "Set DATALOADER.K_TRANSFORMS 2"],
        ),
        ("MixMatch", ("TRAINER.MIXMATCH.RAMPUP", 0), ["TRAINER.MIXMATCH.RAMPUP", "is 0"]),
        ("MeanTeacher", ("DATALOADER.K_TRANSFORMS", 3), ["DATALOADER.K_TRANSFORMS", "is 3", "1 or 2"]),
        ("MeanTeacher", ("TRAINER.MEANTEACHER.RAMPUP", 0), ["TRAINER.MEANTEACHER.RAMPUP", "is 0"]),
        ("FixMatch", ("TRAINER.FIXMATCH.STRONG_TRANSFORMS", ()), ["TRAINER.FIXMATCH.STRONG_TRANSFORMS", "()"]),
        ("FixMatch", ("DATALOADER.K_TRANSFORMS", 2), ["DATALOADER.K_TRANSFORMS", "is 2"]),
    ],
)
def test_a_setting_that_cannot_work_is_named(build, name, opts, said):
    with pytest.raises(ConfigError) as error:
        build(name, *FEW, *opts)
    line = str(error.value)
    assert "\n" not in line and all(part in line for part in [name, *said])


@pytest.mark.parametrize("name", ssl.__all__)
def test_a_dataset_without_unlabelled_images_is_refused(build, name):
    trainer = build(name, *FEW)
    trainer.train_loader_u = None
    with pytest.raises(ConfigError, match=f"{name} needs unlabelled images"):
        trainer.train()
