"""The text encoder with learned rows and hooks equals a plain one at 77 positions; in one go and in chunks."""

import gc
import weakref

import pytest
import torch
from clip.model import convert_weights

from clip_prompts.clip import precision
from clip_prompts.clip.learners import PromptLearner
from clip_prompts.clip.precision import Precision
from clip_prompts.clip.tokens import POSITIONS
from clip_prompts.common.errors import UserError
from clip_prompts.encoders import prompt_set
from clip_prompts.encoders.memory import MemoryBudget
from clip_prompts.encoders.text_encoder import MOST_PLANS, TextEncoder
from tests.trainers import plain
from tests.trainers.test_image_encoder import Adapter, LowRank, compare, rows

LAYERS = 4
CLIP = plain.small_clip(text_layers=LAYERS)
NAMES = ["red dog", "cat", "red house cat", "yorkshire terrier", "blue cat"]  # not in packed order
DEPTHS = {"depth 1": (), "depth 2": (1,), "one later layer": (2,), "full": (1, 2, 3)}
CHUNKS = {"in one go": None, "several contexts": 80, "several prompts": 20, "one prompt": 1}


def learner_and_contexts(encoder, batch=1, **how):
    torch.manual_seed(0)
    learner = PromptLearner(encoder, NAMES, 4, **how)
    context = learner.text_inputs()["context"].detach()
    noise = torch.randn(batch, *context.shape[1:], generator=torch.Generator().manual_seed(1))
    return learner, (context + 0.02 * noise).requires_grad_()


def per_class(count, seed):
    return rows(len(NAMES) * count, seed).detach().unflatten(0, (len(NAMES), count)).requires_grad_()


def plain_features(context, position="end", deep=None, inserted=None, hooks=None):
    """Contexts (B, K, d) to features (B, C, D), one prompt at a time."""
    features = []
    for own in context.unflatten(1, (-1, 4)):
        for c, name in enumerate(NAMES):
            embeddings, eot = plain.prompt(CLIP, own[c % len(own)], name, position)
            rows_of_class = {layer: r[c] if r.dim() == 3 else r for layer, r in (deep or {}).items()}
            features.append(plain.prompted_feature(CLIP, embeddings, eot, rows_of_class, inserted, hooks))
    return torch.stack(features).unflatten(0, (len(context), -1))


def check(context_rows=1, most_rows=None, position="end", class_specific=False, learned=(), **given):
    encoder = TextEncoder(CLIP)
    encoder.budget.most_rows = most_rows
    learner, context = learner_and_contexts(encoder, context_rows, position=position, class_specific=class_specific)
    ours = encoder(learner.prompts, context, **given)
    theirs = plain_features(context, position, **given)
    compare(None, [context, *learned], ours, theirs)


@pytest.mark.parametrize("batch, most_rows", [(1, None), (4, None), (4, 80), (4, 20), (1, 1)])
@pytest.mark.parametrize("shared", (True, False), ids=("shared", "per class"))
@pytest.mark.parametrize("layers", DEPTHS.values(), ids=DEPTHS)
def test_deep_rows(layers, shared, batch, most_rows):
    deep = {layer: rows(4, layer) if shared else per_class(4, layer) for layer in layers}
    check(batch, most_rows, learned=deep.values(), deep=deep)


@pytest.mark.parametrize("class_specific", (False, True), ids=("unified", "class-specific"))
@pytest.mark.parametrize("position", POSITIONS)
@pytest.mark.parametrize("count", (1, 2, 6))
def test_deep_rows_are_at_the_first_positions_whatever_is_there(count, position, class_specific):
    """Also words of a class name, and up to the end of a prompt that has fewer."""
    deep = {1: rows(count, 1), 2: per_class(count, 2), 3: rows(count, 3)}
    check(2, None, position, class_specific, deep.values(), deep=deep)


@pytest.mark.parametrize("batch, most_rows", [(1, None), (4, None), (4, 80), (4, 20), (1, 1)])
@pytest.mark.parametrize("layers", ((0,), (0, 1, 2, 3), (2, 3), (1,)), ids=str)
def test_inserted_rows(layers, batch, most_rows):
    inserted = {layer: rows(5, layer) for layer in layers}
    check(batch, most_rows, learned=inserted.values(), inserted=inserted)


@pytest.mark.parametrize("shared", (True, False), ids=("shared", "per class"))
@pytest.mark.parametrize("position", ("end", "front"))
def test_deep_and_inserted_rows_together(position, shared):
    """Deep rows keep to the positions of the prompt, behind the inserted ones."""
    encoder = TextEncoder(CLIP)
    learner, context = learner_and_contexts(encoder, 2, position=position)
    inserted = {2: rows(3, 5), 3: rows(3, 6)}
    deep = {1: rows(2, 1) if shared else per_class(2, 1)}
    ours = encoder(learner.prompts, context, deep, inserted)
    compare(
        None, [context, *deep.values(), *inserted.values()], ours, plain_features(context, position, deep, inserted)
    )
    late = {3: per_class(2, 3)}
    ours = encoder(learner.prompts, context, late, inserted)
    both = {3: torch.cat([inserted[3].expand(len(NAMES), -1, -1), late[3]], dim=1)}  # as deep rows at positions 1 to 5
    theirs = plain_features(context, position, both, {2: inserted[2]})
    compare(None, [context, *late.values(), *inserted.values()], ours, theirs)


@pytest.mark.parametrize("most_rows", (None, 80, 20))
@pytest.mark.parametrize("kind", (LowRank, Adapter))
@pytest.mark.parametrize("layers", ((0,), (2,), (0, 1, 2, 3)), ids=str)
def test_hooks(layers, kind, most_rows):
    hooks = {layer: kind() for layer in layers}
    check(3, most_rows, learned=[t for hook in hooks.values() for t in hook.learned], hooks=hooks)


def test_rows_of_frozen_prompts_learn_in_chunks_and_in_one_go():
    """Prompts without context vectors: what is learned is in deep rows, or in hooks."""
    words = CLIP.token_embedding(torch.tensor(plain._tokenizer.encode("a photo of a")))[None]
    prompts = PromptLearner(TextEncoder(CLIP), NAMES, ctx_init="a photo of a")._tokens
    for most_rows in (None, 20):
        encoder = TextEncoder(CLIP)
        encoder.budget.most_rows = most_rows
        deep, hooks = {2: rows(2, 1)}, {1: LowRank()}
        for given, learned in (({"deep": deep}, [*deep.values()]), ({"hooks": hooks}, hooks[1].learned)):
            ours = encoder(prompt_set.PromptSet(prompts, encoder.embed), **given)
            compare(None, learned, ours, plain_features(words, **given))


@pytest.mark.parametrize("most_rows", CHUNKS.values(), ids=CHUNKS)
def test_empty_arguments_change_no_bit(most_rows):
    encoder = TextEncoder(CLIP)
    encoder.budget.most_rows = most_rows
    learner, context = learner_and_contexts(encoder, 3)
    expected = encoder(learner.prompts, context)
    assert torch.equal(encoder(learner.prompts, context, {}, {}, {}), expected)
    assert torch.equal(encoder(learner.prompts, context, None, None, None), expected)


def test_rows_stay_shared_until_they_differ():
    encoder = TextEncoder(CLIP)
    prompts = learner_and_contexts(encoder)[0].prompts
    shared, each = prompts.packing().rows, 1 + sum(len(prompt) - 1 for prompt in prompts.sources)  # position 0 once
    lengths = []

    class Count(LowRank):
        def queries_keys_values(self, normed, qkv):
            lengths.append(len(normed))
            return qkv

    hooks = {layer: Count() for layer in range(LAYERS)}
    context = torch.zeros(2, 4, 64)
    encoder(prompts, context, {1: rows(4), 2: per_class(4, 1)}, hooks=hooks)
    assert lengths == [2 * shared, 2 * shared, 2 * each, 2 * each]
    lengths.clear()
    encoder(prompts, context, inserted={2: rows(3)}, hooks=hooks)
    assert lengths == [2 * shared, 2 * shared, 2 * (shared + 3), 2 * (shared + 3)]


def test_a_steady_step_plans_nothing(monkeypatch):
    encoder = TextEncoder(CLIP, MemoryBudget(0.002))
    learner, context = learner_and_contexts(encoder, 2)
    first = encoder(learner.prompts, context)
    for name in ("packing", "chunks", "packed", "attention_for"):
        monkeypatch.setattr(prompt_set.PromptSet, name, lambda *args: pytest.fail("planned again"))
    monkeypatch.setattr(MemoryBudget, "rows_at_once", lambda *args: pytest.fail("planned again"))
    assert torch.equal(encoder(learner.prompts, context), first)


def test_plans_go_with_their_prompts_and_are_few():
    encoder = TextEncoder(CLIP)
    learner, context = learner_and_contexts(encoder)
    for batch in range(1, MOST_PLANS + 4):
        encoder(learner.prompts, context.expand(batch, -1, -1))
    assert len(encoder._plans[learner.prompts]) <= MOST_PLANS
    there = weakref.ref(learner.prompts)
    del learner
    gc.collect()
    assert there() is None and len(encoder._plans) == 0


def test_weights_that_learn_get_their_gradients():
    encoder = TextEncoder(plain.small_clip())
    learner, context = learner_and_contexts(encoder)
    weight = encoder.blocks[0].mlp.c_proj.bias.requires_grad_()
    encoder(learner.prompts, context).sum().backward()
    assert weight.grad.norm() > 0


def test_precisions_cast_what_is_learned(monkeypatch):
    monkeypatch.setattr(precision, "has_native_bf16", lambda: True)
    given = {"deep": {1: rows(4), 2: per_class(4, 1)}, "inserted": {3: rows(2)}}
    clip_model = plain.small_clip(text_layers=LAYERS)
    convert_weights(clip_model)
    half = TextEncoder(Precision("bf16", torch.device("cpu")).convert(clip_model))
    learner, context = learner_and_contexts(half)
    features = half(learner.prompts, context, **given)
    assert features.dtype == torch.bfloat16 and features.requires_grad
    whole = TextEncoder(CLIP)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        whole(learner_and_contexts(whole)[0].prompts, context, **given).sum().backward()
    assert given["deep"][1].grad.norm() > 0


def test_what_does_not_fit_is_refused():
    encoder = TextEncoder(CLIP)
    learner, context = learner_and_contexts(encoder)
    for kind in ("deep", "inserted", "hooks"):
        with pytest.raises(
            UserError, match=r"The text encoder accepts .* at layers [01] to 3, but got them for layer 4"
        ):
            encoder(learner.prompts, context, **{kind: {4: rows(2)}})
    with pytest.raises(UserError, match="but got them for layer 0"):
        encoder(learner.prompts, context, {0: rows(2)})
    with pytest.raises(ValueError, match="for all 5 classes"):
        encoder(learner.prompts, context, {1: per_class(2, 0)[:3]})
    with pytest.raises(ValueError, match="must be the same at all layers"):
        encoder(learner.prompts, context, inserted={0: rows(2), 1: rows(3)})
    with pytest.raises(ValueError, match="none are given"):
        encoder(learner.prompts)


@pytest.mark.parametrize("n_ctx, class_specific, size", [(4, False, 32), (16, False, 48), (4, True, 32)])
def test_blocks_of_attention_have_sizes_that_processors_like(n_ctx, class_specific, size):
    names = [
        f"{colour} {thing}" for colour in ("red", "blue", "old") for thing in ("cat", "dog", "bird", "fish", "cow")
    ]
    learner = PromptLearner(TextEncoder(CLIP), names, n_ctx, class_specific=class_specific)
    assert learner.prompts.packing().mask.shape[1:] == (1, size, size)
