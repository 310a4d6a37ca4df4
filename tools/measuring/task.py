"""One thing to measure: a method, a backbone's shape, classes, a batch; computed the plain way and ours."""

from collections.abc import Callable
from types import SimpleNamespace

import torch
from clip.model import CLIP, convert_weights
from torch import Tensor
from torch.nn.functional import cross_entropy
from torchvision.models._meta import _IMAGENET_CATEGORIES

from clip_prompts.clip.learners import PromptLearner
from clip_prompts.clip.model import PromptedCLIP, unit
from clip_prompts.clip.precision import Precision
from clip_prompts.clip.tokens import CONTEXT_LENGTH
from clip_prompts.common.errors import UserError, unknown
from clip_prompts.encoders.image_encoder import ImageEncoder
from clip_prompts.encoders.memory import MemoryBudget, peak_bytes
from clip_prompts.encoders.text_encoder import TextEncoder
from clip_prompts.run.checkout import load_checkout
from measuring.plain import twin_of
from measuring.setting import SHAPES, Setting

load_checkout("trainers")

from trainers.cocoop import ConditionalPromptLearner  # noqa: E402

_PLAIN_WIDTHS = 20  # numbers that the plain way keeps per position and layer, in units of d


def random_clip(name: str, stored: bool = False) -> CLIP:
    """A frozen CLIP with random weights, fp32, or in OpenAI's stored precision (half where they have half).

    Raises UserError for an unknown backbone.
    """
    if name not in SHAPES:
        raise unknown("backbone", name, SHAPES)
    joint, size, layers, width, patch, text_width, heads, text_layers = SHAPES[name]
    torch.manual_seed(0)
    model = CLIP(joint, size, layers, width, patch, CONTEXT_LENGTH, 49408, text_width, heads, text_layers)
    if stored:
        convert_weights(model)
    return model.eval().requires_grad_(False)


def class_names(count: int) -> list[str]:
    """``count`` names of ImageNet's classes, evenly spread. Raises UserError unless it is from 1 to 1,000."""
    names = list(_IMAGENET_CATEGORIES)
    if not 1 <= count <= len(names):
        raise UserError(f"--classes {count} is not between 1 and {len(names)}, the number of ImageNet's classes")
    return [names[i * len(names) // count] for i in range(count)]


class Task:
    """Models and inputs of a setting; what is learned starts at random.

    Raises UserError: unknown backbone or precision, or a number of classes that ImageNet has not.
    """

    def __init__(self, setting: Setting, with_plain: bool = True) -> None:
        self.setting = setting
        self.device = torch.device(setting.device)
        self.precision = Precision(setting.precision, self.device)
        clip_model = random_clip(setting.backbone, stored=setting.precision != "fp32")
        clip_model = self.precision.convert(clip_model)
        names = class_names(setting.classes)
        self.encoder = encoder = TextEncoder(clip_model, MemoryBudget(setting.memory_gb))
        self.image_encoder = ImageEncoder(clip_model.visual)
        if setting.method == "CoCoOp":
            width = clip_model.visual.output_dim
            learner = ConditionalPromptLearner(encoder, names, width, setting.n_ctx, "", torch.float32)
        else:
            learner = PromptLearner(encoder, names, setting.n_ctx)
        self.model = PromptedCLIP(clip_model, encoder, learner, self.image_encoder)
        self.learner = learner
        self.model.to(self.device)
        self.plain = None
        if with_plain:
            settings = SimpleNamespace(N_CTX=setting.n_ctx)
            self.plain = twin_of(setting.method)(clip_model, names, settings)
            self.plain.load(dict(learner.named_parameters()))
        self.optimizer = torch.optim.SGD(learner.parameters(), lr=0.002)

    @property
    def contexts(self) -> int:
        """Different contexts of a batch: one per image for CoCoOp, one altogether for CoOp."""
        return self.setting.batch if self.setting.method == "CoCoOp" else 1

    @property
    def positions(self) -> dict[str, int]:
        """Positions that each way computes per batch."""
        prompts = {"plain": self.setting.classes * CONTEXT_LENGTH, "ours": len(self.learner.prompts.positions)}
        return {way: self.contexts * count for way, count in prompts.items()}

    def images(self, count: int | None = None) -> Tensor:
        """Random pictures, a batch or ``count`` of them."""
        size = self.image_encoder.input_resolution
        return torch.randn(count or self.setting.batch, 3, size, size, device=self.device)

    def features(self, count: int | None = None) -> Tensor:
        """Random unit vectors (B, D) in place of image features."""
        shape = (count or self.setting.batch, self.image_encoder.output_dim)
        return unit(torch.randn(shape, device=self.device))

    def labels(self, count: int | None = None) -> Tensor:
        return torch.randint(self.setting.classes, (count or self.setting.batch,), device=self.device)

    def plain_separately(self, available: int) -> bool:
        """Whether the plain way must go backward after every image, because the batch does not fit ``available``."""
        shape = self.encoder.shape
        return self.positions["plain"] * shape.layers * _PLAIN_WIDTHS * shape.width * shape.bytes > 0.7 * available

    def backward(self, way: str, x: Tensor, label: Tensor, separately: bool = False) -> Tensor:
        """Loss of image features (B, D) and labels (B,); gradients arrive at what is learned."""
        if way == "plain":
            self.plain.separately = separately
            with self.precision.autocast():
                return torch.tensor(sum(self.plain.backward(x, label).values()))
        self.learner.zero_grad()
        with self.precision.autocast():
            loss = cross_entropy(self.model(x).logits, label)
        loss.backward()
        return loss.detach()

    def encode_images(self, images: Tensor, way: str = "ours") -> Tensor:
        """Images (B, 3, H, W) to features (B, D), through CLIP's own modules or ours."""
        encoder = self.image_encoder.visual if way == "plain" else self.image_encoder
        with torch.no_grad(), self.precision.autocast():
            return encoder(images.to(self.image_encoder.dtype))

    def step(self, images: Tensor, label: Tensor) -> None:
        """One whole training step, ours: image encoder, text encoder, backward, optimiser."""
        self.optimizer.zero_grad()
        with self.precision.autocast():
            loss = cross_entropy(self.model(images).logits, label)
        loss.backward()
        self.optimizer.step()

    def evaluate(self, way: str, x: Tensor) -> Tensor:
        """Logits (B, C) of image features, in batches of 100."""
        with torch.no_grad(), self.precision.autocast():
            if way == "plain":
                return self.plain.see(x).logits
            return torch.cat([self.model.logits(part) for part in x.split(100)])

    def gradients(self, way: str) -> list[Tensor]:
        learned = dict(self.learner.named_parameters()) if way == "ours" else self.plain.learned
        return [learned[name].grad.clone() for name in sorted(learned)]

    def predicted_bytes(self) -> int:
        """Bytes that ``memory.py`` predicts for our text encoding, without a limit."""
        return peak_bytes(self.encoder.shape, self.positions["ours"], self.learner.prompts.packing().spread)


def relative(ours: Tensor, theirs: Tensor) -> float:
    """Norm of the difference, relative to the second."""
    return ((ours.float() - theirs.float()).norm() / theirs.float().norm().clamp_min(1e-30)).item()


def calls(task: Task, separately: bool) -> dict[str, Callable[[], object]]:
    """Calls whose memory is measured, by name."""
    x, label, images = task.features(), task.labels(), task.images()
    return {
        "text, plain": lambda: task.backward("plain", x, label, separately),
        "text, ours": lambda: task.backward("ours", x, label),
        "image encoder, plain": lambda: task.encode_images(images, "plain"),
        "image encoder": lambda: task.encode_images(images),
        "step, ours": lambda: task.step(images, label),
    }
