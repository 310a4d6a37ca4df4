"""Every method equals its plain implementation: fp32 loss within 1e-5, gradients within 1e-4, relative."""

import functools

import pytest
import torch
from clip.model import CLIP

from clip_prompts.clip.templates import SIXTY
from measuring.plain import twin_of
from measuring.plain.promptsrc import aggregated
from measuring.trainers import build_trainer

LAYERS = 4
NAMES = ["great pyrenees", "cat", "great_dane", "F/A-18", "great dane puppy"]
DEPTHS = (1, 2, LAYERS)


def ivlp(n_text, n_image, text, image):
    return {"N_CTX_TEXT": n_text, "N_CTX_VISION": n_image, "PROMPT_DEPTH_TEXT": text, "PROMPT_DEPTH_VISION": image}


RANDOM = {"CTX_INIT": ""}
CSC = RANDOM | {"CSC": True}
# Method, settings, and the dataset whose texts it takes.
CASES = [
    ("CoOp", {"N_CTX": 3, "CLASS_TOKEN_POSITION": "middle"}, ""),
    ("CoOp", CSC, ""),
    ("CoCoOp", {"N_CTX": 4}, ""),
    ("KgCoOp", {}, "DescribableTextures"),
    ("KgCoOp", CSC, "EuroSAT"),
    ("ProGrad", {"LAMBDA": 0.8, "T": 2.0}, "OxfordFlowers"),
    ("ProGrad", RANDOM | {"N_CTX": 3, "CLASS_TOKEN_POSITION": "front"}, ""),
    ("ProGrad", CSC, ""),
    *(("MaPLe", {"PROMPT_DEPTH": depth}, "") for depth in DEPTHS),
    ("MaPLe", {"PROMPT_DEPTH": 2, "N_CTX": 6}, ""),
    *(("IVLP", ivlp(2, 3, depth, depth), "") for depth in DEPTHS),
    ("IVLP", ivlp(4, 2, 1, LAYERS), ""),
    ("IVLP", ivlp(4, 0, LAYERS, 0), ""),
    *(("VPT", {"N_CTX_VISION": 3, "PROMPT_DEPTH_VISION": depth}, "Food101") for depth in DEPTHS),
    *(("PromptSRC", ivlp(4, 4, depth, depth), "") for depth in DEPTHS),
    *(("TCP", {"LAYER": layer}, name) for layer, name in ((1, "OxfordPets"), (2, "UCF101"), (3, "StanfordCars"))),
    ("DePT", {"BASE": "CoOp"}, ""),
    ("DePT", {"BASE": "CoOp"} | CSC, ""),
    ("DePT", {"BASE": "CoCoOp", "N_CTX": 4}, ""),
    ("DePT", {"BASE": "KgCoOp", "CTX_INIT": "a photo of a"}, "FGVCAircraft"),
    *(("DePT", {"BASE": "MaPLe", "N_CTX": 2, "PROMPT_DEPTH": depth}, "") for depth in DEPTHS),
]


def name_of(case) -> str:
    method, settings, dataset = case
    return "-".join([method, *(f"{key}={value}" for key, value in settings.items()), dataset])


@functools.cache
def clip_model() -> CLIP:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = CLIP(64, 32, LAYERS, 128, 8, 77, 49408, 64, 1, LAYERS)
    return model.float().eval().requires_grad_(False)


@functools.cache
def mean_of_sixty() -> torch.Tensor:
    return twin_of("CoOp")(clip_model(), NAMES, build("CoOp", {}, "").settings).teacher(SIXTY)


def build(method, settings, dataset, *pairs):
    pairs = [*(x for key, value in settings.items() for x in (f"TRAINER.{method.upper()}.{key}", value)), *pairs]
    torch.manual_seed(0)
    trainer = build_trainer(method, clip_model(), NAMES, dataset, pairs)
    noise = torch.Generator().manual_seed(1)
    with torch.no_grad():  # away from starts that are zero, one, or equal
        for p in trainer.learner.parameters():
            p += 0.05 * torch.randn(p.shape, generator=noise)
    return trainer


def pair(case):
    """A trainer and its plain twin, which have learned the same."""
    method, settings, dataset = case
    trainer = build(method, settings, dataset)
    w0 = mean_of_sixty() if method == "PromptSRC" else None
    twin = twin_of(method)(clip_model(), NAMES, trainer.settings, dataset, w0)
    twin.load(dict(trainer.learner.named_parameters()))
    return trainer, twin


def batch_of(count: int) -> dict:
    draw = torch.Generator().manual_seed(count)
    label = torch.randint(len(NAMES), (count,), generator=draw)
    return {"img": torch.randn(count, 3, 32, 32, generator=draw), "label": label}


def assert_equal_steps(trainer, twin, batch) -> None:
    """One training step of both: each term of the loss, and the gradient of each learned tensor."""
    found = trainer.forward_backward(batch)
    expected = twin.backward(batch["img"], batch["label"])
    of_terms = {name: found[name] for name in expected} if len(expected) > 1 else {"ce": found["loss"]}
    for name, value in expected.items():
        assert of_terms[name] == pytest.approx(value, rel=1e-5, abs=1e-6), name
    gradients = {name: p.grad for name, p in trainer.learner.named_parameters()}
    assert gradients.keys() == twin.learned.keys()
    for name, tensor in twin.learned.items():
        assert tensor.grad.norm() > 0, name
        assert (gradients[name] - tensor.grad).norm() <= 1e-4 * tensor.grad.norm(), name


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_a_step_equals_that_of_the_plain_implementation(case):
    trainer, twin = pair(case)
    for count in (1, 4):
        for most_rows in (None, 12):
            trainer.memory.most_rows = most_rows  # as after memory ran out
            assert_equal_steps(trainer, twin, batch_of(count))
    image = batch_of(4)["img"]
    with torch.no_grad():
        scores = twin.scores(twin.see(image))
        torch.testing.assert_close(trainer.model_inference(image), scores, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("conflict", (True, False))
def test_prograd_with_and_without_a_conflict(conflict):
    """Labels differ in whether their gradient g points against that of the zero-shot classifier, k."""
    trainer, twin = pair(("ProGrad", {}, "OxfordFlowers"))
    batch, ctx = batch_of(1), twin.learned["ctx"]
    for batch["label"] in torch.arange(len(NAMES)).split(1):
        terms = twin.terms(twin.see(batch["img"]), batch["label"])
        g, k = (torch.autograd.grad(term, ctx, retain_graph=True)[0] for term in terms.values())
        if ((g * k).sum() < 0) == conflict:
            break
    else:
        pytest.fail("no such label")
    assert_equal_steps(trainer, twin, batch)
    is_g = (trainer.learner.ctx.grad - g).norm() < 1e-4 * g.norm()
    assert is_g != conflict


def test_promptsrc_ends_with_the_weighted_sum_of_its_epochs(tmp_path):
    settings = ivlp(2, 2, 2, 2) | {"GPA_MEAN": 2.0, "GPA_STD": 0.7}
    pairs = ("OPTIM.MAX_EPOCH", 3, "TEST.NO_TEST", True, "OUTPUT_DIR", tmp_path)
    trainer, draw, epochs = build("PromptSRC", settings, "", *pairs), torch.Generator().manual_seed(2), []
    for trainer.epoch in range(3):
        with torch.no_grad():
            for p in trainer.learner.parameters():
                p += torch.randn(p.shape, generator=draw)
        epochs.append({name: p.detach().clone() for name, p in trainer.learner.named_parameters()})
        trainer.after_epoch()
    for name, expected in aggregated(epochs, 2.0, 0.7).items():
        torch.testing.assert_close(trainer.learner.get_parameter(name).detach(), expected)


def test_memory_that_ran_out_makes_chunks():
    """Else the tests above would compare one way of encoding twice."""
    trainer, _ = pair(("MaPLe", {"PROMPT_DEPTH": LAYERS}, ""))
    rows = []
    for trainer.memory.most_rows in (None, 12):
        trainer.forward_backward(batch_of(1))
        rows.append(trainer.memory.last[0])
    assert rows[0] > 12 == rows[1]
