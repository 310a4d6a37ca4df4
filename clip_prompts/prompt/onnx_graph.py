"""A prompt as one ONNX graph, preprocessed images to scores: image encoder, learned rows, class matrix, scale."""

import importlib.util
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import redirect_stdout
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from clip_prompts.artifact import VERSION
from clip_prompts.clip import CLIPTrainer
from clip_prompts.common.errors import UserError
from clip_prompts.common.text import one_line

from .pictures import BATCH
from .prompt import Prompt

PACKAGES = ("onnx", "onnxscript", "onnxruntime")  # an extra, imported only here
SUFFIX = ".onnx"
MOST = 2 * 10**9  # bytes of weights; a file in the format of Protocol Buffers ends at 2 GiB
ABSOLUTE, RELATIVE = 1e-3, 1e-4  # tolerance of a logit
RANDOM = (1, 5)  # images in the random batches of the comparison


class Graph(NamedTuple):
    """An ONNX graph that was compared with PyTorch."""

    content: bytes  # of the file
    opset: int
    images: int  # that were compared
    difference: float  # the largest of any logit


class Scores(nn.Module):
    """Images (B, 3, S, S) to the scores (B, C) of a trained method, through the functions that a test calls.

    What is learned in the image encoder is computed here, once. The text features are those that the trainer keeps.
    """

    def __init__(self, trainer: CLIPTrainer) -> None:
        super().__init__()
        self.image_encoder, self._trainer = trainer.image_encoder, trainer
        self._given = trainer.learner.image_inputs()

    def forward(self, image: Tensor) -> Tensor:
        return self._trainer.model_inference(self.image_encoder(image, **self._given)).float()


@torch.no_grad()
def onnx_graph(prompt: Prompt, pictures: Sequence[Any] = ()) -> Graph:
    """Export a prompt, in float32, with its classes as they are, and compare it with PyTorch under onnxruntime.

    Input ``image`` (B, 3, S, S), float32, as ``prompt.transform`` gives it; output ``logits`` (B, C). The metadata hold
    ``classes``, ``preprocess`` (both JSON), ``method``, ``backbone`` and ``clip_prompt``, the version of the format.

    Args:
        prompt: loaded with ``device="cpu", precision="fp32"``.
        pictures: to compare in addition to random images; see ``Prompt.predict``.

    Raises UserError: packages are missing; the text features depend on the image; the graph is too large, cannot be
    traced, or gives other logits than PyTorch does (``ABSOLUTE``, ``RELATIVE``).
    """
    trainer, size = prompt.trainer, prompt.trainer.cfg.INPUT.SIZE[0]
    if missing := [name for name in PACKAGES if importlib.util.find_spec(name) is None]:
        raise UserError(f"ONNX needs {', '.join(missing)}: pip install {' '.join(PACKAGES)}")
    if (trainer.device.type, trainer.precision.name) != ("cpu", "fp32"):
        raise UserError(
            'The graph can only be exported in float32. Load the prompt with device="cpu", precision="fp32"'
        )
    if trainer.learner.is_conditional:
        raise UserError(
            f"{prompt.method} makes its text features from each image, so they are no matrix that fits into a graph "
            "next to the image encoder. Use predict"
        )
    weights = sum(p.numel() * p.element_size() for p in trainer.image_encoder.parameters())
    if weights > MOST:
        raise UserError(
            f"The image encoder has {weights / 1e9:.1f} GB, but one ONNX file holds at most 2 GB. Use a smaller "
            "backbone"
        )
    scores = Scores(trainer).eval()
    image = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0))
    scores(image)  # the trainer computes its text features, and keeps them
    try:
        with redirect_stdout(io.StringIO()):
            program: Any = torch.onnx.export(
                scores, (image,), dynamo=True, verbose=False, input_names=["image"], output_names=["logits"],
                dynamic_shapes=({0: torch.export.Dim("batch")},),
            )  # fmt: skip
    except (RuntimeError, TypeError) as error:  # TypeError: an old version has other arguments
        reason = one_line(str(error), 200)
        raise UserError(f"PyTorch {torch.__version__} cannot export {prompt.method} to ONNX: {reason}") from error
    config = prompt.config
    program.model.metadata_props.update(
        classes=json.dumps(prompt.classes, ensure_ascii=False),
        preprocess=json.dumps(config["preprocess"]),
        method=prompt.method,
        backbone=config["base_model"]["name"],
        clip_prompt=VERSION,
    )
    content = program.model_proto.SerializeToString()
    images, difference = _compare(content, scores, [*_random(size), *_batches(prompt, pictures)])
    return Graph(content, program.model.opset_imports[""], images, difference)


def _random(size: int) -> Iterator[Tensor]:
    draw = torch.Generator().manual_seed(1)
    return (torch.randn(count, 3, size, size, generator=draw) for count in RANDOM)


def _batches(prompt: Prompt, pictures: Sequence[Any]) -> Iterator[Tensor]:
    return (prompt.inputs(pictures[start : start + BATCH]) for start in range(0, len(pictures), BATCH))


def _compare(content: bytes, scores: Scores, batches: Iterable[Tensor]) -> tuple[int, float]:
    """The number of images, and the largest difference of a logit. Raises UserError: a difference is too large."""
    import onnxruntime

    images, largest = 0, 0.0
    try:
        session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
        pairs = [(torch.from_numpy(session.run(None, {"image": x.numpy()})[0]), scores(x)) for x in batches]
    except UserError:
        raise
    except Exception as error:  # the errors of onnxruntime have no other class in common
        raise UserError(f"onnxruntime cannot run the exported graph: {one_line(str(error), 200)}") from error
    for found, expected in pairs:
        difference = (found - expected).abs()
        images, largest = images + len(found), max(largest, float(difference.max()))
        if not (difference <= ABSOLUTE + RELATIVE * expected.abs()).all():  # NaN too
            raise UserError(
                f"The exported graph and PyTorch differ, in a logit by {float(difference.max()):.3g}. Nothing is "
                "written"
            )
    return images, largest
