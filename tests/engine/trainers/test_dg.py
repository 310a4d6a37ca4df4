"""Trainers for domain generalization: they learn for a domain they never saw, and their losses are their papers'."""

import math

import pytest
import torch
from dassl.engine import dg
from dassl.engine.dg.crossgrad import uphill
from dassl.engine.dg.domain_mix import partners
from dassl.utils import ConfigError
from torch.nn import functional as F

from tests.engine.trainers.harness import CHANCE, first_batch

pytestmark = pytest.mark.zoo

UNSEEN = ("DATASET.SOURCE_DOMAINS", ("night", "paper"), "DATASET.TARGET_DOMAINS", ("chalk",))


@pytest.mark.parametrize("name", dg.__all__)
def test_it_learns_for_an_unseen_domain(train, name):
    run = train(name, *UNSEEN, "OPTIM.MAX_EPOCH", 4)
    assert run.accuracy >= CHANCE + 35
    assert all(math.isfinite(value) for values in run.losses.values() for value in values)
    assert all(run.trainer.get_current_lr(model) == 0 for model in run.trainer.get_model_names()), "end of the cosine"


def test_vanilla_minimises_cross_entropy(build):
    trainer = build("Vanilla")
    image, label, domain = first_batch(trainer)
    loss, numbers = trainer.loss(image, label, domain)
    assert loss.item() == pytest.approx(F.cross_entropy(trainer.model(image), label).item())
    assert numbers["loss"] == loss.item()


# DomainMix


def test_domainmix_partners_are_of_another_domain():
    domain = torch.tensor([0, 0, 1, 2, 2, 2] * 20)
    drawn = partners(domain, across=True)
    assert (domain[drawn] != domain).all() and len(set(drawn.tolist())) > 20
    assert sorted(partners(domain, across=False).tolist()) == list(range(len(domain)))


def test_domainmix_takes_any_partner_in_a_batch_of_one_domain():
    drawn = partners(torch.zeros(50, dtype=torch.long), across=True)
    assert 0 <= drawn.min() and drawn.max() < 50 and len(set(drawn.tolist())) > 10


def test_domainmix_loss_is_the_cross_entropy_of_blended_images_with_blended_labels(build):
    trainer = build("DomainMix", "TRAINER.DOMAINMIX.ALPHA", 2.0, "TRAINER.DOMAINMIX.BETA", 0.5)
    image, label, domain = first_batch(trainer)
    seen = []
    trainer.model.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    torch.manual_seed(3)
    loss, _ = trainer.loss(image, label, domain)

    torch.manual_seed(3)
    partner = partners(domain, across=True)
    share = torch.distributions.Beta(2.0, 0.5).sample().item()
    torch.testing.assert_close(seen[0], share * image + (1 - share) * image[partner])
    one_hot = torch.eye(4)
    target = share * one_hot[label] + (1 - share) * one_hot[label[partner]]
    expected = -(target * trainer.model(seen[0]).log_softmax(dim=1)).sum(dim=1).mean()
    assert 0 < share < 1 and loss.item() == pytest.approx(expected.item(), rel=1e-4)


# CrossGrad


def test_crossgrad_moves_images_to_where_the_other_loss_is_higher(train):
    trainer = train("CrossGrad", *UNSEEN, "OPTIM.MAX_EPOCH", 1).trainer
    image, label, domain = first_batch(trainer)
    trainer.set_model_mode("eval")
    image.requires_grad_()
    for net, truth in ((trainer.F, label), (trainer.D, domain)):
        loss = F.cross_entropy(net(image), truth)
        moved = uphill(image, loss, 0.5)
        assert not moved.requires_grad and moved.shape == image.shape
        assert F.cross_entropy(net(moved), truth) > loss
        assert torch.equal(uphill(image, loss, 0.0), image)


def test_crossgrad_moves_an_image_by_its_own_gradient_whatever_the_batch(build):
    trainer = build("CrossGrad")
    image, label, _ = first_batch(trainer)
    trainer.set_model_mode("eval")
    moved = []
    for count in (1, 8):
        part = image[:count].clone().requires_grad_()
        moved.append(uphill(part, F.cross_entropy(trainer.F(part), label[:count]), 2.0)[0])
    torch.testing.assert_close(*moved)


def test_crossgrad_trains_each_network_on_what_misleads_the_other(build):
    trainer = build(
        "CrossGrad", "TRAINER.CROSSGRAD.ALPHA_F", 1.0, "TRAINER.CROSSGRAD.ALPHA_D", 1.0, "TRAINER.CROSSGRAD.EPS_F", 2.0
    )
    seen = {"F": [], "D": []}
    for name, inputs in seen.items():
        trainer._models[name].register_forward_pre_hook(lambda module, args, inputs=inputs: inputs.append(args[0]))
    batch = next(iter(trainer.train_loader_x))
    trainer.set_model_mode("train")
    trainer.num_batches, trainer.batch_idx = 2, 0
    numbers = trainer.forward_backward(batch)

    image = batch["img"]
    assert torch.equal(seen["F"][0], image) and torch.equal(seen["D"][0], image)
    trainer = build("CrossGrad")  # as it was before that step
    trainer.set_model_mode("train")
    x = image.clone().requires_grad_()
    up_d = torch.autograd.grad(F.cross_entropy(trainer.D(x), batch["domain"], reduction="sum"), x)[0]
    up_f = torch.autograd.grad(F.cross_entropy(trainer.F(x), batch["label"], reduction="sum"), x)[0]
    torch.testing.assert_close(seen["F"][1], image + 2.0 * up_d, rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(seen["D"][1], image + 1.0 * up_f, rtol=1e-3, atol=1e-5)
    expected = F.cross_entropy(trainer.F(seen["F"][1]), batch["label"]).item()
    assert numbers["loss_f"] == pytest.approx(expected, rel=1e-3)  # ALPHA_F 1: nothing but the moved images


# DAELDG


def test_daeldg_experts_learn_from_their_own_domain_and_the_others_from_them(build):
    trainer = build(
        "DAELDG", "DATASET.SOURCE_DOMAINS", ("chalk", "paper", "night"), "DATALOADER.TRAIN_X.BATCH_SIZE", 24
    )
    weak, strong, label, domain = first_batch(trainer)
    assert torch.bincount(domain).tolist() == [8, 8, 8]
    own = domain == 1
    trainer.set_model_mode("eval")  # so that features of one domain do not depend on the rest of the batch
    loss, numbers = trainer.loss(weak[own], strong[own], label[own], domain[own])
    gradients = torch.autograd.grad(loss, [c.weight for c in trainer.E.classifiers])

    expert = trainer.E(1, trainer.F(weak[own]))
    loss_x = F.cross_entropy(expert, label[own])
    features = trainer.F(strong[own])
    others = (trainer.E(0, features).softmax(dim=1) + trainer.E(2, features).softmax(dim=1)) / 2
    loss_cr = ((expert.softmax(dim=1).detach() - others) ** 2).sum(dim=1).mean()
    assert numbers["loss_x"] == pytest.approx(loss_x.item(), rel=1e-4)
    assert numbers["loss_cr"] == pytest.approx(loss_cr.item(), rel=1e-4)
    (own_gradient,) = torch.autograd.grad(loss_x, [trainer.E.classifiers[1].weight])
    torch.testing.assert_close(gradients[1], own_gradient)
    for number in (0, 2):
        (gradient,) = torch.autograd.grad(loss_cr, [trainer.E.classifiers[number].weight], retain_graph=True)
        assert gradient.abs().max() > 0
        torch.testing.assert_close(gradients[number], gradient)


def test_daeldg_weighs_the_domains_of_a_batch_equally(build):
    trainer = build("DAELDG")
    weak, strong, label, domain = first_batch(trainer)
    trainer.set_model_mode("eval")
    parts = [trainer.loss(weak[d], strong[d], label[d], domain[d])[0] for d in (domain == 0, domain == 1)]
    uneven = torch.cat([torch.where(domain == 0)[0], torch.where(domain == 1)[0][:3]])
    parts[1] = trainer.loss(weak[uneven[-3:]], strong[uneven[-3:]], label[uneven[-3:]], domain[uneven[-3:]])[0]
    loss, _ = trainer.loss(weak[uneven], strong[uneven], label[uneven], domain[uneven])
    assert loss.item() == pytest.approx(sum(parts).item() / 2, rel=1e-4)


def test_daeldg_sees_two_views_and_predicts_with_all_experts(build):
    trainer = build("DAELDG", "INPUT.TRANSFORMS", ("normalize",), "TRAINER.DAELDG.STRONG_TRANSFORMS", ("random_flip",))
    weak, strong, _, _ = first_batch(trainer)
    assert weak.min() < 0 <= strong.min()  # only the weak one is normalised
    assert trainer.lab2cname == dict(enumerate(("horizontal", "vertical", "disk", "ring")))
    trainer.set_model_mode("eval")
    features = trainer.F(weak)
    mean = sum(trainer.E(k, features).softmax(dim=1) for k in range(2)) / 2
    torch.testing.assert_close(trainer.model_inference(weak), mean)


# DDAIG


def test_ddaig_generator_raises_the_domain_loss_and_keeps_the_label_loss(build):
    trainer = build("DDAIG", "TRAINER.DDAIG.LMDA", 0.5)
    image, label, domain = first_batch(trainer)
    batch = {"img": image, "label": label, "domain": domain}

    @torch.no_grad()
    def losses():
        changed = trainer.change(image)
        return F.cross_entropy(trainer.D(changed), domain).item(), F.cross_entropy(trainer.F(changed), label).item()

    trainer.set_model_mode("train")
    for _ in range(5):
        trainer.forward_backward(batch)
    for name in ("F", "D"):  # from here on only the generator learns
        trainer._optims[name].param_groups[0]["lr"] = 0.0
    domain_before, label_before = losses()
    for _ in range(25):
        trainer.forward_backward(batch)
    domain_after, label_after = losses()
    assert domain_after > 2 * domain_before
    assert label_after <= label_before + 0.01


def test_ddaig_changes_only_the_network_whose_turn_it_is(build):
    trainer = build("DDAIG")
    batch = next(iter(trainer.train_loader_x))
    trainer.set_model_mode("train")
    trainer.num_batches, trainer.batch_idx = 2, 0
    order = []
    for name in ("F", "D", "G"):
        trainer._optims[name].register_step_pre_hook(lambda *_, name=name: order.append(name))
    trainer.forward_backward(batch)
    assert order == ["G", "F", "D"]


def test_ddaig_warms_up_on_unchanged_images(build):
    trainer = build("DDAIG", "TRAINER.DDAIG.WARMUP", 1, "TRAINER.DDAIG.ALPHA", 1.0)
    image, label, _ = first_batch(trainer)
    seen = []
    trainer.F.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    batch = next(iter(trainer.train_loader_x))
    for epoch, expected in ((0, 2), (1, 3)):  # for G's loss, on the images, and on the changed ones
        seen.clear()
        trainer.epoch = epoch
        trainer.forward_backward(batch)
        assert len(seen) == expected and torch.equal(seen[1], batch["img"])


def test_ddaig_clamps_if_told(build):
    limits = ("TRAINER.DDAIG.CLAMP", True, "TRAINER.DDAIG.CLAMP_MIN", -0.5, "TRAINER.DDAIG.CLAMP_MAX", 0.25)
    trainer = build("DDAIG", *limits)
    changed = trainer.change(first_batch(trainer)[0])
    assert changed.min() == -0.5 and changed.max() == 0.25


@pytest.mark.parametrize(
    "name, opts, said",
    [
        ("CrossGrad", ("DATASET.SOURCE_DOMAINS", ("chalk",)), ["DATASET.SOURCE_DOMAINS", "chalk", "two domains"]),
        ("DDAIG", ("DATASET.SOURCE_DOMAINS", ("chalk",)), ["DDAIG", "DATASET.SOURCE_DOMAINS"]),
        ("DDAIG", ("TRAINER.DDAIG.G_ARCH", ""), ["TRAINER.DDAIG.G_ARCH", "''", "fcn_3x32_gctx"]),
        ("DDAIG", ("TRAINER.DDAIG.G_ARCH", "fcn"), ["TRAINER.DDAIG.G_ARCH", "'fcn'", "fcn_3x32_gctx"]),
        (
            "DomainMix",
            ("TRAINER.DOMAINMIX.TYPE", "cross"),
            ["TRAINER.DOMAINMIX.TYPE", "'cross'", "crossdomain or random"],
        ),
        ("DAELDG", ("DATALOADER.TRAIN_X.SAMPLER", "RandomSampler"), ["TRAIN_X.SAMPLER", "RandomDomainSampler"]),
        ("DAELDG", ("DATALOADER.K_TRANSFORMS", 2), ["DATALOADER.K_TRANSFORMS", "is 2"]),
        ("DAELDG", ("TRAINER.DAELDG.STRONG_TRANSFORMS", ()), ["TRAINER.DAELDG.STRONG_TRANSFORMS", "()"]),
    ],
)
def test_a_setting_that_cannot_work_is_named(build, name, opts, said):
    with pytest.raises(ConfigError) as error:
        build(name, *opts)
    line = str(error.value)
    assert "\n" not in line and all(part in line for part in [name, *said])


def test_several_views_are_refused_where_one_is_used(train):
    with pytest.raises(ConfigError, match="Vanilla takes one view .*K_TRANSFORMS is 2"):
        train("Vanilla", "DATALOADER.K_TRANSFORMS", 2)
