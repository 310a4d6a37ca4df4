"""The block that is written out equals the one that PyTorch differentiates, and is taken only where it may be."""

import pytest
import torch
from clip.model import LayerNorm, convert_weights
from torch.nn.utils import parametrize

from clip_prompts.clip.learners import PromptLearner
from clip_prompts.clip.precision import Precision
from clip_prompts.clip.tokens import POSITIONS
from clip_prompts.encoders import text_block as module
from clip_prompts.encoders.text_encoder import TextEncoder
from tests.trainers import plain

NAMES = {
    "one class": ["cat"],
    "equal names": ["cat", "cat"],
    "families": [f"{colour} {thing}" for thing in ("cat", "house cat", "dog") for colour in ("red", "red red", "blue")],
    "long": ["cat", " ".join(["cat"] * 60)],
}


@pytest.fixture
def encoder():
    return TextEncoder(plain.small_clip())


def make(encoder, names=("cat", "dog"), **how):
    torch.manual_seed(0)
    return PromptLearner(encoder, names, 4, **how)


def contexts(learner, number):
    """So many different contexts (B, K, d)."""
    noise = torch.randn(number, *learner.text_inputs()["context"].shape[1:], generator=torch.Generator().manual_seed(1))
    return (learner.text_inputs()["context"].detach() + 0.02 * noise).requires_grad_()


def features_and_gradient(encoder, learner, learned):
    features = encoder(learner.prompts, learned)
    weight = torch.randn(features.shape, generator=torch.Generator().manual_seed(2))
    return features, torch.autograd.grad((features * weight).sum(), learned)[0]


def nodes(tensor):
    """Names of the nodes of a tensor's graph."""
    found, todo = [], [tensor.grad_fn]
    while todo:
        node = todo.pop()
        found.append(node.name())
        todo += [after for after, _ in node.next_functions if after is not None]
    return found


def is_written_out(tensor):
    return any("SmallBlock" in name for name in nodes(tensor))


@pytest.mark.parametrize("number", (1, 3))
@pytest.mark.parametrize("names", NAMES.values(), ids=NAMES)
@pytest.mark.parametrize("how", [*({"position": p} for p in POSITIONS), {"class_specific": True}], ids=str)
def test_both_ways_give_the_same(how, names, number, encoder, monkeypatch):
    learner = make(encoder, names, **how)
    learned = contexts(learner, number)
    ours, gradient = features_and_gradient(encoder, learner, learned)
    monkeypatch.setattr(module, "SMALL", 0)
    theirs, expected = features_and_gradient(encoder, learner, learned)
    assert is_written_out(ours) and not is_written_out(theirs)
    assert (ours - theirs).norm() <= 1e-6 * theirs.norm()
    assert (gradient - expected).norm() <= 1e-5 * expected.norm() > 0


def test_what_is_large_is_left_to_pytorch(encoder, monkeypatch):
    learner = make(encoder)
    rows, width = len(learner.prompts.positions), learner.ctx.shape[-1]
    for limit, small in ((4 * rows * width * width + 1, True), (4 * rows * width * width, False)):
        monkeypatch.setattr(module, "SMALL", limit)
        assert is_written_out(encoder(learner.prompts, learner.text_inputs()["context"])) == small


def test_weights_that_learn_get_their_gradients(encoder):
    learner = make(encoder)
    weight = encoder.blocks[0].mlp.c_proj.bias.requires_grad_()
    features = encoder(learner.prompts, learner.text_inputs()["context"])
    assert sum("SmallBlock" in name for name in set(nodes(features))) == 1  # the other block
    features.sum().backward()
    assert weight.grad.norm() > 0


def test_weights_that_are_computed_from_others(encoder):
    class Doubled(torch.nn.Module):
        def forward(self, weight):
            return 2 * weight

    learner = make(encoder)
    for block in encoder.blocks:
        parametrize.register_parametrization(block.mlp.c_fc, "weight", Doubled()).requires_grad_(False)
    assert not is_written_out(encoder(learner.prompts, learner.text_inputs()["context"]))


def test_norms_of_another_kind_or_that_somebody_listens_to(encoder):
    class Doubled(LayerNorm):
        def forward(self, x):
            return 2 * super().forward(x)

    learner, (first, second) = make(encoder), encoder.blocks
    second.ln_2.__class__ = Doubled
    for listen in (first.ln_1.register_forward_hook, first.ln_1.register_forward_pre_hook):
        hook = listen(lambda module, args, *output: None)
        assert not is_written_out(encoder(learner.prompts, learner.text_inputs()["context"]))
        hook.remove()
    assert is_written_out(encoder(learner.prompts, learner.text_inputs()["context"]))


def test_other_precisions(encoder):
    learner = make(encoder)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert not is_written_out(encoder(learner.prompts, learner.text_inputs()["context"]))
    clip_model = plain.small_clip()
    convert_weights(clip_model)
    half = TextEncoder(Precision("bf16", torch.device("cpu")).convert(clip_model))
    assert not is_written_out(half(make(half).prompts, learner.text_inputs()["context"]))


def test_without_the_private_operators(encoder, monkeypatch):
    learner = make(encoder)
    monkeypatch.setattr(module, "_HAS_ATTENTION", False)
    assert not is_written_out(encoder(learner.prompts, learner.text_inputs()["context"]))


def test_a_second_derivative_is_refused(encoder):
    learner = make(encoder)
    features = encoder(learner.prompts, learner.text_inputs()["context"])
    (gradient,) = torch.autograd.grad(features.sum(), learner.ctx, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()


@pytest.mark.parametrize("n_ctx, class_specific, size", [(4, False, 32), (16, False, 48), (4, True, 32)])
def test_blocks_of_attention_have_sizes_that_processors_like(n_ctx, class_specific, size, encoder):
    names = [
        f"{colour} {thing}" for colour in ("red", "blue", "old") for thing in ("cat", "dog", "bird", "fish", "cow")
    ]
    learner = PromptLearner(encoder, names, n_ctx, class_specific=class_specific)
    assert learner.prompts.mask.shape[1:] == (1, size, size)
