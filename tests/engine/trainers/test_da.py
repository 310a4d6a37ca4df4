"""Trainers for domain adaptation: they learn a target without labels, and refuse settings that cannot work."""

import math

import pytest
import torch
from dassl.data.datasets import DATASET_REGISTRY
from dassl.engine import da
from dassl.modeling import BACKBONE_REGISTRY, Backbone
from dassl.optim import build_lr_scheduler
from dassl.utils import ConfigError
from torch import nn
from torch.nn import functional as F

from tests.engine.trainers.harness import CHANCE, GAP, Patterns, first_batch

pytestmark = pytest.mark.zoo

SETTINGS = {
    "ADDA": (*GAP, "OPTIM.LR", 0.001, "OPTIM.MAX_EPOCH", 10),
    "AdaBN": (*GAP, "OPTIM.MAX_EPOCH", 1),
    "CDAC": ("DATASET.NAME", "PatternsWithShots", "OPTIM.NAME", "sgd", "OPTIM.LR", 0.003, "OPTIM.MAX_EPOCH", 6,
             "DATALOADER.TRAIN_X.BATCH_SIZE", 12),
    "DAEL": ("OPTIM.MAX_EPOCH", 4),
    "DANN": GAP,
    "M3SDA": ("OPTIM.MAX_EPOCH", 4, "TRAINER.M3SDA.N_STEP_F", 2),
    "MCD": (*GAP, "OPTIM.MAX_EPOCH", 4),
    "MME": GAP,
    "SE": GAP,
    "SourceOnly": (),
}  # fmt: skip


@DATASET_REGISTRY.register()
class PatternsWithShots(Patterns):
    """Three images of each class of the target are labelled too, and come twice as often."""

    def __init__(self, cfg):
        super().__init__(cfg)
        self._train_x = self._train_x + 2 * self.generate_fewshot_dataset(self._train_u, num_shots=3)


def test_there_is_a_gap(source):
    assert source.losses["acc"][-1] > 90 and source.accuracy < CHANCE + 35


@pytest.mark.parametrize("name", da.__all__)
def test_it_learns_the_target(train, source, start, name):
    run = train(name, *SETTINGS[name], *(start if name in ("ADDA", "AdaBN") else ()))
    assert run.accuracy >= CHANCE + 45
    if SETTINGS[name][:4] == GAP:
        assert run.accuracy >= source.accuracy + 20, "adaptation closes the gap"
    assert all(math.isfinite(value) for values in run.losses.values() for value in values)


@pytest.mark.parametrize(
    "name, opts, said",
    [
        ("ADDA", (), ["MODEL.INIT_WEIGHTS", "''", "--trainer SourceOnly"]),
        ("AdaBN", ("MODEL.INIT_WEIGHTS", "no/such.pth"), ["MODEL.INIT_WEIGHTS", "'no/such.pth'", "SourceOnly"]),
        ("SE", ("DATALOADER.K_TRANSFORMS", 1), ["DATALOADER.K_TRANSFORMS", "is 1", "DATALOADER.K_TRANSFORMS 2"]),
        ("SE", ("TRAINER.SE.RAMPUP", 0), ["TRAINER.SE.RAMPUP", "is 0"]),
        ("CDAC", ("DATALOADER.K_TRANSFORMS", 3), ["DATALOADER.K_TRANSFORMS", "is 3"]),
        ("CDAC", ("TRAINER.CDAC.STRONG_TRANSFORMS", ()), ["TRAINER.CDAC.STRONG_TRANSFORMS", "()"]),
        ("CDAC", ("TRAINER.CDAC.RAMPUP_ITRS", 0), ["TRAINER.CDAC.RAMPUP_ITRS", "is 0"]),
        ("CDAC", ("TRAINER.CDAC.TOPK_MATCH", 33), ["TRAINER.CDAC.TOPK_MATCH", "33", "32"]),
        ("M3SDA", ("DATALOADER.TRAIN_X.SAMPLER", "RandomSampler"), ["TRAIN_X.SAMPLER", "RandomDomainSampler"]),
        ("M3SDA", ("DATALOADER.TRAIN_U.SAME_AS_X", True), ["DATALOADER.TRAIN_U.SAME_AS_X", "False"]),
        ("DAEL", ("DATALOADER.TRAIN_X.SAMPLER", "SequentialSampler"), ["TRAIN_X.SAMPLER", "RandomDomainSampler"]),
        ("DAEL", ("DATALOADER.TRAIN_U.SAME_AS_X", True), ["DATALOADER.TRAIN_U.SAME_AS_X", "False"]),
        ("DAEL", ("DATASET.SOURCE_DOMAINS", ("chalk",)), ["DATASET.SOURCE_DOMAINS", "two domains"]),
        ("DAEL", ("DATALOADER.K_TRANSFORMS", 2), ["DATALOADER.K_TRANSFORMS", "is 2"]),
        ("DAEL", ("TRAINER.DAEL.STRONG_TRANSFORMS", ()), ["TRAINER.DAEL.STRONG_TRANSFORMS", "()"]),
    ],
)
def test_a_setting_that_cannot_work_is_named(build, name, opts, said):
    with pytest.raises(ConfigError) as error:
        build(name, *opts)
    line = str(error.value)
    assert "\n" not in line and all(part in line for part in [name, *said])


def test_several_views_are_refused_where_one_is_used(train):
    with pytest.raises(ConfigError, match="DANN takes one view .*K_TRANSFORMS is 2"):
        train("DANN", "DATALOADER.K_TRANSFORMS", 2)


def test_source_only_does_not_look_at_the_target(build):
    trainer = build("SourceOnly")
    image, label, target = first_batch(trainer)
    loss, _ = trainer.loss(image, label, target * float("nan"))
    assert loss.item() == pytest.approx(F.cross_entropy(trainer.model(image), label).item())


def test_staged_rates_hold_for_the_network_and_not_for_what_a_method_adds(build):
    trainer = build("DANN", "OPTIM.STAGED_LR", True, "OPTIM.NEW_LAYERS", ("classifier",), "OPTIM.LR", 0.02)
    rates = {name: [group["lr"] for group in optim.param_groups] for name, optim in trainer._optims.items()}
    assert rates == {"model": [pytest.approx(0.002), 0.02], "critic": [0.02]}
    assert type(trainer._scheds["critic"]) is type(build_lr_scheduler(trainer._optims["critic"], trainer.cfg.OPTIM))


@pytest.mark.parametrize("name", ["CDAC", "DAEL", "M3SDA", "MCD", "MME"])
def test_encoders_start_from_given_weights(build, source, start, name):
    encoder = build(name, *start).F.state_dict()
    trained = source.trainer.model.state_dict()
    assert all(torch.equal(value, trained[key]) for key, value in encoder.items()) and encoder


# AdaBN


@pytest.fixture
def adapted(train, start):
    """AdaBN after one pass over the target, whose images are not augmented, in four batches."""
    plain = ("INPUT.TRANSFORMS", ("normalize",), "TRAIN.COUNT_ITER", "train_u", "OPTIM.MAX_EPOCH", 1)
    return train("AdaBN", *GAP, *start, *plain)


def norms(model):
    return [layer for layer in model.modules() if isinstance(layer, nn.BatchNorm2d)]


def test_adabn_moves_statistics_and_no_weight(adapted, source):
    before, after = source.trainer.model, adapted.trainer.model
    assert all(map(torch.equal, after.parameters(), before.parameters()))
    assert len(norms(after)) == 2
    for new, old in zip(norms(after), norms(before), strict=True):
        assert new.num_batches_tracked == 4 and not torch.allclose(new.running_mean, old.running_mean, rtol=0.1)
    assert not adapted.losses, "there is none"


def test_adabn_statistics_are_averages_over_the_target(adapted):
    convolution, norm = adapted.trainer.model.backbone.layers[:2]
    with torch.no_grad():
        batches = [convolution(batch["img"]) for batch in adapted.trainer.train_loader_u]
    mean = torch.cat(batches).mean(dim=(0, 2, 3))
    assert len(torch.cat(batches)) == 96
    torch.testing.assert_close(norm.running_mean, mean, rtol=1e-4, atol=1e-5)
    # Batches are drawn anew here, so that the mean of their variances differs a little.
    variance = torch.stack([batch.var(dim=(0, 2, 3)) for batch in batches]).mean(dim=0)
    torch.testing.assert_close(norm.running_var, variance, rtol=0.05, atol=1e-5)


def test_adabn_leaves_dropout_off(build, start):
    trainer = build("AdaBN", *start)
    trainer.model.head = nn.Dropout(0.5)
    for mode, training in (("train", {nn.BatchNorm2d}), ("eval", set())):
        trainer.set_model_mode(mode)
        assert {type(layer) for layer in trainer.model.modules() if layer.training} == training


class WithoutNorm(Backbone):
    def __init__(self):
        super().__init__()
        self._out_features = 3

    def forward(self, x):
        return x.mean(dim=(2, 3))


@BACKBONE_REGISTRY.register()
def without_norm(**kwargs):
    return WithoutNorm()


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_adabn_needs_batch_normalisation(build, start):
    with pytest.raises(ConfigError, match="'without_norm' has none.*MODEL.BACKBONE.NAME"):
        build("AdaBN", *start, "MODEL.BACKBONE.NAME", "without_norm")


# SE


def test_the_teacher_of_se_is_the_running_average_of_its_student(build):
    trainer = build("SE", "TRAINER.SE.EMA_ALPHA", 0.7)
    trainer.set_model_mode("train")
    trainer.num_batches, trainer.epoch = 100, 0
    batches = next(iter(trainer.train_loader_x)), next(iter(trainer.train_loader_u))
    average = [p.clone() for p in trainer.model.parameters()]
    for trainer.batch_idx, decay in enumerate((0, 1 / 2, 2 / 3, 0.7, 0.7)):
        trainer.forward_backward(*batches)
        student = [p.detach() for p in trainer.model.parameters()]
        average = [decay * old + (1 - decay) * new for old, new in zip(average, student, strict=True)]
        for teachers, expected in zip(trainer.teacher.parameters(), average, strict=True):
            torch.testing.assert_close(teachers, expected)
    assert not any(p.requires_grad for p in trainer.teacher.parameters())


def test_se_student_and_teacher_see_different_views(build):
    image, label, view1, view2 = first_batch(build("SE", "INPUT.TRANSFORMS", ("gaussian_noise",)))
    assert image.shape == view1.shape == view2.shape and label.shape == (24,)
    assert not torch.equal(view1, view2)


def test_se_is_consistent_where_the_teacher_is_sure(build):
    trainer = build("SE", "TRAINER.SE.CONF_THRE", 0.6)
    _, _, view1, view2 = first_batch(trainer)
    with torch.no_grad():
        trainer.teacher.classifier.weight.mul_(3)
        p, q = trainer.model(view1).softmax(dim=1), trainer.teacher(view2).softmax(dim=1)
    sure = q.amax(dim=1) > 0.6
    assert 0 < sure.sum() < len(q)
    loss = trainer.consistency(view1, view2)
    assert loss.item() == pytest.approx((p - q)[sure].square().sum().item() / len(q), rel=1e-4)
    loss.backward()
    assert trainer.model.classifier.weight.grad.abs().sum() > 0


def test_se_without_threshold_ramps_up(build):
    trainer = build("SE", "TRAINER.SE.CONF_THRE", 0.0, "TRAINER.SE.RAMPUP", 8)
    for step, ramp in ((0, math.exp(-5)), (4, math.exp(-5 / 4)), (8, 1), (50, 1)):
        _, _, view1, view2 = first_batch(trainer, step)
        distance = trainer.model(view1).softmax(dim=1) - trainer.teacher(view2).softmax(dim=1)
        expected = ramp * distance.square().sum(dim=1).mean().item()
        assert trainer.consistency(view1, view2).item() == pytest.approx(expected, rel=1e-3)
