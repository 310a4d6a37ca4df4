"""Losses of domain adaptation: the weights that they change, the direction, and the images that cause it."""

import math

import pytest
import torch
from dassl.engine.da.cdac import are_similar, clustering_loss
from dassl.engine.da.m3sda import moment_distance
from dassl.engine.parts.critic import domain_loss, says
from dassl.engine.parts.discrepancy import discrepancy
from dassl.engine.parts.domains import split_by_domain
from dassl.engine.parts.entropy import entropy
from dassl.engine.parts.prototypes import Prototypes
from torch.nn import functional as F

from tests.engine.trainers.harness import GAP, first_batch

pytestmark = pytest.mark.zoo


def numbers_of(module):
    return [value.clone() for value in module.state_dict().values()]


def is_unchanged(module, before):
    return all(map(torch.equal, module.state_dict().values(), before))


def gradients(loss, module):
    return torch.autograd.grad(loss, list(module.parameters()), retain_graph=True)


def are_close(these, those, factor=1.0):
    return all(torch.allclose(a, factor * b, rtol=1e-3, atol=1e-6) for a, b in zip(these, those, strict=True))


def raw_batches(trainer):
    """Return the first batches as ``forward_backward`` gets them; the trainer is at the start of its run."""
    first_batch(trainer)
    trainer.set_model_mode("train")
    return next(iter(trainer.train_loader_x)), next(iter(trainer.train_loader_u))


# DANN


def test_domain_loss_is_the_cross_entropy_of_both_domains():
    def critic(feature):
        return feature[:, 0]

    of_source, of_target = torch.tensor([[0.0], [0.0]]), torch.tensor([[100.0], [0.0], [0.0], [0.0]])
    assert domain_loss(critic, of_source, of_target).item() == pytest.approx(math.log(2) + (100 + 3 * math.log(2)) / 4)


@pytest.mark.parametrize("share, lmda", [(0, 0.0), (0.25, 0.848284), (0.5, 0.986614)])
def test_dann_reverses_the_critics_gradient_for_the_features_and_not_for_the_critic(build, share, lmda):
    trainer = build("DANN", "OPTIM.MAX_EPOCH", 4)
    image_x, _, image_u = first_batch(trainer, step=round(4 * 8 * share))
    with torch.no_grad():
        features = [trainer.model(image, return_feature=True)[1] for image in (image_x, image_u)]
    features = [feature.requires_grad_() for feature in features]
    reversed_loss, plain_loss = trainer.domain_loss(*features), domain_loss(trainer.critic, *features)
    assert reversed_loss.item() == pytest.approx(plain_loss.item())
    reversed_gradients, plain_gradients = (torch.autograd.grad(loss, features, retain_graph=True)
                                           for loss in (reversed_loss, plain_loss))  # fmt: skip
    assert are_close(reversed_gradients, plain_gradients, -lmda) and plain_gradients[0].abs().max() > 1e-4
    assert are_close(gradients(reversed_loss, trainer.critic), gradients(plain_loss, trainer.critic))


def test_dann_adds_the_label_loss_of_the_source(build):
    trainer = build("DANN")
    image_x, label, image_u = first_batch(trainer)
    loss, reported = trainer.loss(image_x, label, image_u)
    assert reported["loss_y"] == pytest.approx(F.cross_entropy(trainer.model(image_x), label).item())
    assert loss.item() == pytest.approx(reported["loss_y"] + reported["loss_d"])


# ADDA


def test_adda_moves_the_targets_encoder_and_the_critic_alone(train, start, source_weights):
    trainer = train("ADDA", *GAP, *start, "OPTIM.MAX_EPOCH", 1).trainer
    encoder, frozen = trainer.model.backbone, trainer.source_model
    assert not any(map(torch.equal, encoder.parameters(), frozen.backbone.parameters()))
    assert is_unchanged(trainer.model.classifier, frozen.classifier.state_dict().values())
    weights = torch.load(source_weights, weights_only=True)["state_dict"]
    assert is_unchanged(frozen, weights.values()), "statistics of batch normalisation included"


def test_adda_the_critic_learns_to_tell_and_the_encoder_to_confuse(build, start):
    trainer = build("ADDA", *GAP, *start, "OPTIM.LR", 0.003)
    batches = raw_batches(trainer)

    def train_only(name, steps=15):
        for other in ("model", "critic"):
            trainer._optims[other].param_groups[0]["lr"] = 0.003 if other == name else 0.0
        return [trainer.forward_backward(*batches) for _ in range(steps)]

    told = train_only("critic")
    assert told[-1]["loss_d"] < 0.8 * told[0]["loss_d"] and told[-1]["loss_f"] > told[0]["loss_f"]
    confused = train_only("model")
    assert confused[-1]["loss_f"] < 0.8 * confused[0]["loss_f"] and confused[-1]["loss_d"] > confused[0]["loss_d"]


def test_inverted_labels():
    logit = torch.tensor([2.0, -1.0])
    assert says(logit, source=True).item() == pytest.approx(-torch.sigmoid(logit).log().mean().item())
    assert says(logit, source=False).item() == pytest.approx(-torch.sigmoid(-logit).log().mean().item())


# MCD


def test_discrepancy_is_zero_for_equal_and_at_most_two_over_c_for_opposite_classifiers():
    logit = torch.randn(5, 4)
    assert discrepancy(logit, logit).item() == 0
    opposite = discrepancy(torch.tensor([[100.0, 0, 0, 0]]), torch.tensor([[0, 0, 100.0, 0]]))
    assert opposite.item() == pytest.approx(2 / 4)


@pytest.mark.parametrize("name, classifiers", [("MCD", ("C1", "C2")), ("M3SDA", ("C",))])
def test_step_b_raises_the_discrepancy_and_step_c_lowers_it(build, name, classifiers):
    trainer = build(name)
    parsed = first_batch(trainer)
    image_u = parsed[-1]
    # Its running statistics move in any case; the features of a batch do not depend on them.
    encoder = list(trainer.F.parameters())

    def disagreement():
        with torch.no_grad():
            feature = trainer.F(image_u)
            if name == "MCD":
                return discrepancy(trainer.C1(feature), trainer.C2(feature)).item()
            return trainer.discrepancy(parsed[0], feature).item()

    for _ in range(10):  # both learn the source, and come to agree
        trainer.step_a(*(parsed if name == "M3SDA" else parsed[:2]))
    first, before = disagreement(), [p.clone() for p in encoder]
    for _ in range(15):
        trainer.step_b(*parsed)
    risen = disagreement()
    assert risen > 1.5 * first and all(map(torch.equal, encoder, before))

    before = [numbers_of(trainer._models[part]) for part in classifiers]
    for _ in range(15):
        trainer.step_c(*(parsed if name == "M3SDA" else [image_u]))
    assert disagreement() < 0.7 * risen
    assert all(is_unchanged(trainer._models[part], old) for part, old in zip(classifiers, before, strict=True))


@pytest.mark.parametrize("name", ["MCD", "M3SDA"])
def test_the_encoder_takes_n_steps_against_the_discrepancy(build, name):
    trainer = build(name, f"TRAINER.{name}.N_STEP_F", 3)
    steps = []
    for model, optim in trainer._optims.items():
        optim.register_step_pre_hook(lambda *_, model=model: steps.append(model))
    batches = raw_batches(trainer)
    trainer.forward_backward(*batches)
    classifiers = ["C1", "C2"] if name == "MCD" else ["C"]
    assert steps == ["F", *classifiers, *classifiers, "F", "F", "F"]


def test_mcd_step_a_learns_the_source_with_both_classifiers_and_the_first_predicts(build):
    trainer = build("MCD")
    image_x, label, _ = first_batch(trainer)
    losses = [trainer.step_a(image_x, label).item() for _ in range(10)]
    assert losses[-1] < losses[0] / 2
    feature = trainer.F(image_x)
    both = F.cross_entropy(trainer.C1(feature), label) + F.cross_entropy(trainer.C2(feature), label)
    assert trainer.source_loss(feature, label).item() == pytest.approx(both.item())
    torch.testing.assert_close(trainer.model_inference(image_x), trainer.C1(feature))


# MME


def test_mme_the_classifier_raises_and_the_encoder_lowers_the_entropy(build):
    trainer = build("MME", "TRAINER.MME.LMDA", 0.3)
    image_x, label, image_u = first_batch(trainer)
    loss, reported = trainer.loss(image_x, label, image_u)
    label_loss = F.cross_entropy(trainer.C(trainer.F(image_x)), label)
    h = entropy(trainer.C(trainer.F(image_u))).mean()
    assert loss.item() == pytest.approx(label_loss.item() - 0.3 * h.item(), rel=1e-4)
    assert reported["entropy_u"] == pytest.approx(h.item(), rel=1e-4)
    for part, sign in ((trainer.C, -1), (trainer.F, 1)):
        of_label, of_h = gradients(label_loss, part), gradients(h, part)
        assert are_close(gradients(loss, part), [a + sign * 0.3 * b for a, b in zip(of_label, of_h, strict=True)])


def test_prototypes_see_the_direction_of_a_feature():
    classifier = Prototypes(8, 3)
    feature = torch.randn(5, 8)
    expected = feature @ classifier.prototypes.weight.T / feature.norm(dim=1, keepdim=True) / 0.05
    torch.testing.assert_close(classifier(feature), expected)
    torch.testing.assert_close(classifier(7 * feature), expected)


# M3SDA


def test_moment_distance():
    same = torch.randn(6, 4)
    assert moment_distance([same, same.flip(0)], same).item() == pytest.approx(0, abs=1e-5)
    # First moments (1, 0), (0, 0), (0, 2); second ones (1, 0), (4, 0), (0, 4).
    one, two, target = torch.tensor([[1.0, 0]] * 2), torch.tensor([[2.0, 0], [-2, 0]]), torch.tensor([[0.0, 2]])
    first = (math.sqrt(5) + 2) / 2 + 1
    second = (math.sqrt(17) + math.sqrt(32)) / 2 + 3
    assert moment_distance([one, two], target).item() == pytest.approx(first + second)
    assert moment_distance([one], target).item() == pytest.approx(math.sqrt(5) + math.sqrt(17))


def test_m3sda_brings_the_moments_together(build):
    trainer = build("M3SDA", "TRAINER.M3SDA.LMDA", 1.0)
    sources, image_u = first_batch(trainer)
    distances = [trainer.step_a(sources, image_u)[1].item() for _ in range(15)]
    assert distances[-1] < distances[0] / 2


def test_m3sda_each_pair_learns_from_its_own_source_and_all_predict(build):
    trainer = build("M3SDA", "TRAINER.M3SDA.LMDA", 0.0)
    sources, image_u = first_batch(trainer)
    assert list(sources) == [0, 1] and all(len(image) == len(label) == 12 for image, label in sources.values())
    before = [numbers_of(pair) for pair in trainer.C.pairs]
    trainer.step_a({1: sources[1]}, image_u)
    assert is_unchanged(trainer.C.pairs[0], before[0]) and not is_unchanged(trainer.C.pairs[1], before[1])
    trainer.set_model_mode("eval")
    feature = trainer.F(image_u)
    mean = sum(classifier(feature).softmax(dim=1) for pair in trainer.C.pairs for classifier in pair) / 4
    torch.testing.assert_close(trainer.model_inference(image_u), mean)


def test_batches_are_split_by_domain():
    domain, values = torch.tensor([3, 0, 3]), torch.arange(3)
    parts = split_by_domain(domain, values, values * 10)
    assert {number: [t.tolist() for t in tensors] for number, tensors in parts.items()} == {
        0: [[1], [10]], 3: [[0, 2], [0, 20]],
    }  # fmt: skip


# DAEL


@pytest.fixture
def dael(build):
    """A DAEL in eval mode, whose settings may change, and weak and strong views of the same target images."""
    trainer = build("DAEL")
    trainer.cfg.defrost()
    *_, weak, strong = first_batch(trainer)
    trainer.set_model_mode("eval")
    return trainer, weak, strong


def test_dael_is_consistent_where_the_surest_expert_is_sure(dael):
    trainer, weak, strong = dael
    with torch.no_grad():
        each = trainer.E.probabilities(trainer.F(weak))  # (K, B, C)
        ensemble = trainer.E.ensemble(trainer.F(strong))
    trainer.cfg.TRAINER.DAEL.CONF_THRE = each.amax(dim=(0, 2)).median().item()
    surest = each.amax(dim=2).argmax(dim=0)  # (B,)
    assert 0 < surest.sum() < len(surest), "both experts are the surest of some image"
    expected = 0.0
    for image, expert in enumerate(surest):
        confidence, guess = each[expert, image].max(dim=0)
        if confidence >= trainer.cfg.TRAINER.DAEL.CONF_THRE:
            expected -= ensemble[image, guess].log().item() / len(surest)
    assert trainer.target_loss(weak, strong).item() == pytest.approx(expected, rel=1e-4) and expected > 0


def test_dael_unsure_images_and_weak_views_teach_nothing(dael):
    trainer, weak, strong = dael
    trainer.cfg.TRAINER.DAEL.CONF_THRE = 1.1
    assert trainer.target_loss(weak, strong).item() == 0
    trainer.cfg.TRAINER.DAEL.CONF_THRE = 0.0
    weak = weak.clone().requires_grad_()
    loss = trainer.target_loss(weak, strong)
    assert loss.item() > 0 and torch.autograd.grad(loss, weak, allow_unused=True) == (None,)


def test_dael_adds_the_losses_of_sources_and_target(build):
    trainer = build("DAEL", "TRAINER.DAEL.WEIGHT_U", 0.25, "TRAINER.DAEL.CONF_THRE", 0.0)
    parsed = first_batch(trainer)
    trainer.set_model_mode("eval")
    loss, reported = trainer.loss(*parsed)
    assert loss.item() == pytest.approx(reported["loss_x"] + reported["loss_cr"] + 0.25 * reported["loss_u"], rel=1e-4)
    assert all(reported[name] > 0 for name in ("loss_x", "loss_cr", "loss_u"))


# CDAC


def test_similar_images_share_their_largest_features_in_any_order():
    feature = torch.tensor([[5.0, 4, 0, 1], [4, 5, 1, 0], [5, 0, 4, 1]])
    yes, no = True, False
    assert are_similar(feature, 2).tolist() == [[yes, yes, no], [yes, yes, no], [no, no, yes]]
    assert are_similar(feature, 1).tolist() == [[yes, no, yes], [no, yes, no], [yes, no, yes]]


def test_clustering_loss_draws_similar_images_into_one_class_and_others_apart():
    similar = torch.tensor([[True, True, False], [True, True, False], [False, False, True]])
    clustered, mixed = torch.tensor([0, 0, 1]), torch.tensor([0, 1, 1])
    p, q = (0.9 * F.one_hot(classes, 2) + 0.05 for classes in (clustered, mixed))
    assert clustering_loss(p, p, similar) < clustering_loss(q, q, similar)
    agree = 0.95**2 + 0.05**2  # also what 1 - p.q is for images of different classes
    assert clustering_loss(p, p, similar).item() == pytest.approx(-math.log(agree), rel=1e-4)
    certain = F.one_hot(mixed, 2).float()
    assert math.isfinite(clustering_loss(certain, certain, similar).item())


@pytest.fixture
def cdac(build):
    trainer = build("CDAC", "TRAINER.CDAC.TOPK_MATCH", 1)
    parsed = first_batch(trainer)
    return trainer, *parsed


def test_cdac_the_classifier_raises_and_the_encoder_lowers_the_clustering_loss(cdac):
    trainer, _, _, weak, strong, _ = cdac
    feature, feature1 = trainer.F(weak), trainer.F(strong)
    p, q = trainer.C(feature).softmax(dim=1), trainer.C(feature1).softmax(dim=1)
    plain = clustering_loss(p, q, are_similar(feature, 1))
    used = trainer.adversarial_clustering(feature, feature1)
    assert used.item() == pytest.approx(plain.item(), rel=1e-4)
    # The total holds minus this loss: minus for the prototypes, and reversed once more for the encoder.
    assert are_close(gradients(-used, trainer.C), gradients(plain, trainer.C), -1)
    assert are_close(gradients(-used, trainer.F), gradients(plain, trainer.F), 1)
    assert gradients(plain, trainer.F)[0].abs().max() > 1e-5


def test_cdac_labels_what_it_is_sure_of_and_learns_it_on_the_second_strong_view(cdac):
    trainer, _, _, weak, _, strong = cdac
    feature, feature2 = trainer.F(weak), trainer.F(strong)
    confidence, guess = trainer.C(feature).softmax(dim=1).max(dim=1)
    trainer.cfg.defrost()
    for threshold in (0.0, confidence.median().item(), 1.1):
        trainer.cfg.TRAINER.CDAC.P_THRESH = threshold
        sure = confidence >= threshold
        expected = F.cross_entropy(trainer.C(feature2)[sure], guess[sure], reduction="sum") / len(weak)
        assert trainer.pseudo_label_loss(feature, feature2).item() == pytest.approx(expected.item(), rel=1e-4)
    trainer.cfg.TRAINER.CDAC.P_THRESH = 0.0
    loss = trainer.pseudo_label_loss(feature, feature2)
    assert torch.autograd.grad(loss, feature, allow_unused=True) == (None,), "a label is a constant"


@pytest.mark.parametrize("step, ramp", [(0, math.exp(-5)), (2, math.exp(-5 / 4)), (4, 1.0)])
def test_cdac_total_loss(build, step, ramp):
    trainer = build("CDAC", "TRAINER.CDAC.RAMPUP_ITRS", 4, "TRAINER.CDAC.P_THRESH", 0.3)
    batches = raw_batches(trainer)
    trainer.epoch, trainer.batch_idx, trainer.num_batches = 0, step, 8
    totals = []
    update = trainer.model_backward_and_update
    trainer.model_backward_and_update = lambda loss: (totals.append(loss.item()), update(loss))
    parts = trainer.forward_backward(*batches)
    expected = parts["loss_x"] - parts["loss_aac"] + parts["loss_pl"] + 30 * ramp * parts["loss_con"]
    assert totals == [pytest.approx(expected, rel=1e-3)] and parts["loss_pl"] > 0


def test_cdac_rates_fall_every_step_also_where_the_target_counts_the_steps(train):
    run = train("CDAC", "TRAIN.COUNT_ITER", "train_u", "OPTIM.MAX_EPOCH", 1, "OPTIM.LR", 0.001)
    steps = len(run.losses["loss_x"])
    assert steps == len(run.trainer.train_loader_u) == 4 != len(run.trainer.train_loader_x)
    for name, factor in (("F", 1), ("C", 10)):
        assert run.trainer.get_current_lr(name) == pytest.approx(factor * 0.001 * (1 + 1e-4 * steps) ** -0.75)
