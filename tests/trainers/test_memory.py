"""The memory budget: chunks change nothing, fit the limit, and shrink when memory runs out."""

import pytest
import torch
import torch.nn.functional as F

from clip_prompts.clip.learners import PromptLearner
from clip_prompts.clip.model import PromptedCLIP
from clip_prompts.clip.tokens import POSITIONS
from clip_prompts.common.errors import UserError
from clip_prompts.encoders.memory import GB, MemoryBudget, TextShape, is_out_of_memory, peak_bytes
from clip_prompts.encoders.text_encoder import TextEncoder
from tests.trainers import plain
from trainers.cocoop import ConditionalPromptLearner

CLIP = plain.small_clip()
NAMES = ["cat", "yorkshire terrier", "F/A-18", "dog", "a very long name of a very small thing", "ant"]
ViT = TextShape(layers=12, width=512, heads=8, joint=512, bytes=4)


def budget(rows: int) -> MemoryBudget:
    """A budget that encodes at most so many rows at once."""
    made = MemoryBudget()
    made.most_rows = rows
    return made


def coop(memory, position="end", class_specific=False):
    torch.manual_seed(0)
    encoder = TextEncoder(CLIP, memory)
    learner = PromptLearner(encoder, NAMES, 4, class_specific=class_specific, position=position)
    return PromptedCLIP(CLIP, encoder, learner)


def cocoop(memory):
    torch.manual_seed(0)
    encoder = TextEncoder(CLIP, memory)
    learner = ConditionalPromptLearner(encoder, NAMES, 64, n_ctx=4, ctx_init="", dtype=torch.float32)
    return PromptedCLIP(CLIP, encoder, learner)


def loss_and_gradients(model, batch=3):
    image = torch.randn(batch, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    parameters = list(model.prompt_learner.parameters())
    logits = model(image).logits
    loss = F.cross_entropy(logits, logits.argmin(dim=1))
    return loss, torch.autograd.grad(loss, parameters)


def assert_equal(model, other):
    (loss, grads), (expected, theirs) = loss_and_gradients(model), loss_and_gradients(other)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    for one, two in zip(grads, theirs, strict=True):
        assert two.norm() > 0
        assert (one - two).norm() <= 1e-4 * two.norm()


@pytest.mark.parametrize("rows", (1, 20, 40, 10**6))
@pytest.mark.parametrize("class_specific", (False, True), ids=("unified", "class-specific"))
@pytest.mark.parametrize("position", POSITIONS)
def test_chunks_change_nothing_in_coop(position, class_specific, rows):
    assert_equal(coop(budget(rows), position, class_specific), coop(None, position, class_specific))


@pytest.mark.parametrize("rows", (1, 20, 60, 120))  # one prompt; some; one image's; two images'
def test_chunks_change_nothing_in_cocoop(rows):
    assert_equal(cocoop(budget(rows)), cocoop(None))


@pytest.mark.parametrize("rows", (1, 20, 60, 10**6))
def test_chunks_change_nothing_in_evaluation(rows):
    image = torch.randn(5, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        torch.testing.assert_close(cocoop(budget(rows))(image), cocoop(None)(image), rtol=1e-5, atol=1e-5)


def saved_bytes(model) -> int:
    """Bytes that autograd keeps between forward and backward, without parameters."""
    found, weights = {}, {p.untyped_storage().data_ptr() for p in model.parameters()}

    def pack(tensor):
        found[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        kept = loss_and_gradients_inputs(model)
    assert kept.requires_grad
    return sum(size for pointer, size in found.items() if pointer not in weights)


def loss_and_gradients_inputs(model):
    return model.text_encoder(model.prompt_learner.prompts, model.prompt_learner.text_inputs()["context"])


def test_chunks_keep_far_less_for_the_backward_pass():
    assert saved_bytes(coop(budget(20))) < saved_bytes(coop(None)) / 4


def test_prediction_covers_what_autograd_keeps():
    model = coop(None)
    packing = model.prompt_learner.prompts.packing()
    predicted = peak_bytes(model.text_encoder.shape, packing.rows, packing.spread)
    saved = saved_bytes(model)
    assert saved <= predicted <= 4 * saved


def test_prediction_grows_with_rows_layers_and_backward():
    one = peak_bytes(ViT, 1000, 9.0)
    assert peak_bytes(ViT, 2000, 9.0) == pytest.approx(2 * one, rel=1e-6)
    assert peak_bytes(ViT, 1000, 9.0, backward=False) < one / 5
    assert peak_bytes(TextShape(12, 512, 8, 512, 2), 1000, 9.0) < one


@pytest.mark.parametrize("gigabytes", (0.002, 0.0005))
def test_the_limit_gives_chunks_that_are_predicted_to_fit(gigabytes):
    model = coop(MemoryBudget(gigabytes))
    packing, shape = model.prompt_learner.prompts.packing(), model.text_encoder.shape
    rows = model.text_encoder.budget.rows_at_once(shape, packing, 8, gradient=True)
    assert 1 <= rows < 8 * packing.rows
    assert peak_bytes(shape, rows, packing.spread) <= max(gigabytes * GB, peak_bytes(shape, 1, packing.spread))
    assert_equal(model, coop(None))


def test_a_limit_that_everything_fits_into_makes_one_chunk():
    model = coop(MemoryBudget(4.0))
    packing = model.prompt_learner.prompts.packing()
    assert model.text_encoder.budget.rows_at_once(model.text_encoder.shape, packing, 1, True) == packing.rows


def test_chunks_hold_every_prompt_once_and_keep_to_the_number_of_rows():
    prompts = coop(None).prompt_learner.prompts
    chunks = prompts.chunks(30)
    assert sum(len(chunk.order) for chunk in chunks) == len(NAMES)
    assert len(chunks) > 1
    assert all(len(chunk.positions) <= 30 or len(chunk.order) == 1 for chunk in chunks)
    assert [source for chunk in chunks for source in chunk.sources] == prompts.sources
    assert [c for chunk in chunks for c in chunk.order] == prompts.order


@pytest.mark.parametrize("rows", range(12, 40, 4))
def test_chunks_that_part_a_family_of_names_have_its_beginning_each(rows):
    """Rows that are shared with the chunk before are computed again, and counted."""
    names = [f"{a} red {b} {c}" for a in ("cat", "dog") for b in ("house", "cat") for c in ("dog", "cat", "red")]
    encoder = TextEncoder(CLIP)
    prompts = PromptLearner(encoder, names, 4).prompts
    chunks = prompts.chunks(rows)
    assert [source for chunk in chunks for source in chunk.sources] == prompts.sources
    assert all(len(chunk.positions) <= rows or len(chunk.order) == 1 for chunk in chunks)
    encoder.budget.most_rows = rows
    with torch.no_grad():
        features = encoder(prompts, torch.ones(1, 4, 64))
        encoder.budget.most_rows = None
        torch.testing.assert_close(features, encoder(prompts, torch.ones(1, 4, 64)), rtol=1e-5, atol=1e-5)


def test_the_predicted_peak_is_said_once_before_the_first_step(capsys):
    model = coop(MemoryBudget(0.0003))
    capsys.readouterr()
    loss_and_gradients(model)
    said = capsys.readouterr().out
    assert said.count("predicted peak") == 1 and "MEMORY_GB 0.0003" in said
    loss_and_gradients(model)
    assert capsys.readouterr().out == ""


OUT_OF_MEMORY = [
    MemoryError(),
    torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:121] . DefaultCPUAllocator: can't allocate memory: you tried to ..."),
]


@pytest.mark.parametrize("error", OUT_OF_MEMORY, ids=lambda error: type(error).__name__)
def test_running_out_of_memory_halves_the_chunk_and_goes_on(error, capsys):
    model = coop(None)
    encoder, rows = model.text_encoder, len(model.prompt_learner.prompts.positions)
    encode, sizes = encoder._encode, []

    def small_machine(packed, *given):
        sizes.append(len(packed.positions))
        if sizes[-1] > 20:
            raise error
        return encode(packed, *given)

    encoder._encode = small_machine
    loss, grads = encoder.budget.retry(lambda: loss_and_gradients(model))
    said = capsys.readouterr().out
    assert sizes[0] == rows > 20 >= sizes[-1]
    assert f"Out of memory with {rows:,} rows of prompts at once: trying again with {rows // 2:,}" in said
    expected, theirs = loss_and_gradients(coop(None))
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    torch.testing.assert_close(grads, theirs, rtol=1e-3, atol=1e-7)


def test_memory_that_never_suffices_ends_in_one_clear_line():
    model = coop(None)

    def step():
        model.encode_text()
        raise MemoryError

    with pytest.raises(UserError, match="even with one prompt at a time: lower the batch size"):
        model.text_encoder.budget.retry(step)


def test_other_errors_are_not_taken_for_lack_of_memory():
    assert not is_out_of_memory(RuntimeError("shapes cannot be multiplied"))
    with pytest.raises(RuntimeError, match="multiplied"):
        MemoryBudget().retry(lambda: torch.ones(2, 3) @ torch.ones(2, 3))


def test_a_negative_limit_is_refused():
    with pytest.raises(UserError, match=r"MEMORY_GB -1.* is below 0"):
        MemoryBudget(-1.0)


@pytest.mark.parametrize("trainer", ("CoOp", "CoCoOp"))
def test_a_limited_training_run_learns_the_same(run, trainer):
    learned = []
    for limit, out in ((0.0, "unlimited"), (0.0002, "limited")):
        assert run(trainer, out=out, TRAINER__CLIP__MEMORY_GB=limit) == 0
        said = (run.out / "log.txt").read_text() if (run.out / "log.txt").exists() else run.stdout
        assert ("in chunks of" in said) == bool(limit)
        file = next(run.out.glob("prompt_learner/model.pth.tar-*"))
        learned.append(torch.load(file, weights_only=True)["state_dict"]["ctx"].float())
    torch.testing.assert_close(*learned, rtol=1e-4, atol=1e-6)
