"""Prompts that depend on the image go forward and backward in parts of a batch: the same step, less memory."""

import pytest
import torch

from clip_prompts.clip import Learner
from clip_prompts.clip.model import PromptedCLIP
from clip_prompts.clip.trainer import CLIPTrainer
from clip_prompts.encoders import memory
from clip_prompts.encoders.memory import MemoryBudget, TextShape
from clip_prompts.encoders.text_encoder import TextEncoder
from tests.trainers import plain
from tests.trainers.test_twins import assert_equal_steps, batch_of, build, pair
from trainers.cocoop import CoCoOp

CASES = (("CoCoOp", {"N_CTX": 4}, ""), ("DePT", {"BASE": "CoCoOp", "N_CTX": 4}, ""))
BATCH = 4


def rows_of(trainer) -> int:
    return trainer.learner.prompts.packing().rows


@pytest.fixture
def encoded(monkeypatch):
    """Rows of prompts of every forward pass, those of recomputed ones too."""
    found, encode = [], TextEncoder._encode

    def counting(self, packed, *given):
        found.append(len(packed.layers[0].layout.scatter))
        return encode(self, packed, *given)

    monkeypatch.setattr(TextEncoder, "_encode", counting)
    return found


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[0])
@pytest.mark.parametrize("sizes", ((1, 1, 1, 1), (2, 2), (3, 1), (4,)), ids=str)
def test_a_step_in_parts_equals_the_plain_one_and_computes_nothing_twice(sizes, case, encoded):
    trainer, twin = pair(case)
    rows = rows_of(trainer)
    trainer.memory.most_rows = sizes[0] * rows + 1
    assert_equal_steps(trainer, twin, batch_of(BATCH))
    assert encoded == [size * rows for size in sizes]


def test_memory_that_runs_out_in_a_later_part_restarts_the_step(monkeypatch, capsys):
    trainer, twin = pair(CASES[0])
    trainer.memory.most_rows = 2 * rows_of(trainer)
    encode, calls = TextEncoder._encode, []

    def small_machine(self, packed, *given):
        calls.append(1)
        if len(calls) == 2:
            raise MemoryError
        return encode(self, packed, *given)

    monkeypatch.setattr(TextEncoder, "_encode", small_machine)
    assert_equal_steps(trainer, twin, batch_of(BATCH))
    assert len(calls) == 2 + BATCH and "Out of memory" in capsys.readouterr().out


def most_kept(trainer, batch) -> int:
    """Most bytes that autograd keeps for the backward pass at any time of a step, without parameters."""
    weights = {p.untyped_storage().data_ptr() for p in trainer.model.parameters()}
    kept = {"now": 0, "most": 0}

    class Kept:
        def __init__(self, tensor):
            self.tensor = tensor
            self.bytes = 0 if tensor.untyped_storage().data_ptr() in weights else tensor.nbytes
            kept["now"] += self.bytes
            kept["most"] = max(kept.values())

        def __del__(self):
            kept["now"] -= self.bytes

    with torch.autograd.graph.saved_tensors_hooks(Kept, lambda one: one.tensor):
        trainer.forward_backward(batch)
    return kept["most"]


def test_memory_is_that_of_one_part():
    found = {}
    for size in (1, 8):
        trainer = build(*CASES[0])
        trainer.memory.most_rows = size * rows_of(trainer)
        found[size] = most_kept(trainer, batch_of(8))
    assert 0 < found[1] < 1.1 * found[8] / 8


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[0])
def test_parts_are_in_all_what_is_logged(case):
    shown = []
    for size in (1, BATCH):
        trainer = build(*case)
        trainer.memory.most_rows = size * rows_of(trainer)
        shown.append(trainer.forward_backward(batch_of(BATCH)))
    assert shown[0] == pytest.approx(shown[1], rel=1e-5)


def test_a_subclass_with_another_loss_says_again_that_it_is_a_mean():
    class Same(CoCoOp):
        pass

    class OtherLoss(CoCoOp):
        def loss_terms(self, seen, label):
            return {"coupled": seen.logits.std()}

    class OtherUpdate(CoCoOp):
        def update(self, terms):
            pass

    class Mean(OtherLoss):
        LOSS_IS_MEAN = True

    kinds = (CLIPTrainer, CoCoOp, Same, OtherLoss, OtherUpdate, Mean)
    assert [kind.LOSS_IS_MEAN for kind in kinds] == [False, True, True, False, False, True]


def test_a_loss_that_couples_images_sees_the_whole_batch(monkeypatch, encoded):
    trainer = build(*CASES[0])
    monkeypatch.setattr(type(trainer), "LOSS_IS_MEAN", False)
    trainer.memory.most_rows = rows_of(trainer)
    trainer.forward_backward(batch_of(2))
    assert encoded == [rows_of(trainer)] * 4  # each image again in the backward pass


class Conditional(Learner):
    is_conditional = True

    def __init__(self, prompts, given):
        super().__init__()
        self.prompts, self.given = prompts, given

    def image_inputs(self):
        return self.given


@pytest.mark.parametrize("learned", (False, True), ids=("fixed features", "learned image rows"))
def test_a_part_has_features_where_they_are_fixed(learned):
    model, batch = plain.small_clip(), batch_of(3)
    given = {"rows": torch.ones(2, 64, requires_grad=True)} if learned else {}
    encoder = TextEncoder(model, MemoryBudget())
    encoder.budget.most_rows = 1
    learner = Conditional(build(*CASES[0]).learner.prompts, given)
    parts = PromptedCLIP(model, encoder, learner).parts(batch["img"], batch["label"])
    assert [(len(label), share) for _, label, share in parts] == [(1, 1 / 3)] * 3
    assert torch.equal(torch.cat([label for _, label, _ in parts]), batch["label"])
    assert {tuple(image.shape) for image, _, _ in parts} == {(1, 3, 32, 32) if learned else (1, 64)}


class PackingOf198Rows:
    rows, spread, paths = 198, 1.3, [[0]] * 50


@pytest.mark.parametrize(
    ("device", "gigabytes", "count"), (("cpu", 0, 1), ("cpu", 0.01, 1), ("cuda", 0, 8), ("cuda", 0.3, 3))
)
def test_parts_fit_the_limit_and_a_cpu_takes_no_more_than_it_needs(device, gigabytes, count):
    """198 rows of 50 prompts in ViT-B/16's text encoder: 79 MB for an image."""
    packing = PackingOf198Rows()
    shape = TextShape(layers=12, width=512, heads=8, joint=512, bytes=4, device=device)
    assert MemoryBudget(gigabytes).contexts_per_part(shape, packing, 8) == count


def test_a_small_encoder_takes_a_whole_batch(monkeypatch):
    features, label = torch.ones(8, 64), torch.zeros(8)
    assert len(build(*CASES[0]).model.parts(features, label)) == 1
    monkeypatch.setattr(memory, "PART_GB", {"cpu": 1e-9})
    assert len(build(*CASES[0]).model.parts(features, label)) == 8
