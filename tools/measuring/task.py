"""One thing to measure: a method, a backbone's shape, classes, a batch; computed the plain way and ours."""

from collections.abc import Callable

import torch
from clip.model import CLIP, convert_weights
from torch import Tensor
from torchvision.models._meta import _IMAGENET_CATEGORIES

from clip_prompts.clip.model import unit
from clip_prompts.clip.tokens import CONTEXT_LENGTH
from clip_prompts.common.errors import UserError, unknown
from clip_prompts.encoders.memory import peak_bytes
from clip_prompts.run.config import import_plugin
from measuring.plain import twin_of
from measuring.setting import SHAPES, Setting
from measuring.trainers import build_trainer, method_class, random_text_features

_PLAIN_WIDTHS = 20  # numbers that the plain way keeps per position and layer, in units of d
_SHORT = ("CoOp", "CoCoOp")  # measured with 4 context vectors, where their papers have 16


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
    """A method's trainer, its plain twin if it has one, and random inputs. Steps leave what is learned as it is.

    Args:
        clip_model: in place of a new random one; tasks of the same backbone, precision and device may share it.

    Raises UserError: unknown method, backbone, precision or setting, or a number of classes that ImageNet has not.

    Attributes:
        learns_text, learns_images: whether what is learned reaches the text encoder, and the image encoder.
        separate_from: the first text layer at which classes have rows of their own; None if there is none.
    """

    def __init__(self, setting: Setting, with_plain: bool = True, clip_model: CLIP | None = None) -> None:
        if setting.plugin:
            import_plugin(setting.plugin)
        self.setting, names = setting, class_names(setting.classes)
        node = f"TRAINER.{method_class(setting.method).__name__.upper()}"
        n_ctx = setting.n_ctx or 4 * (setting.method in _SHORT)
        clip_model = clip_model or random_clip(setting.backbone, stored=setting.precision != "fp32")
        pairs = [f"{node}.PREC", setting.precision, "TRAINER.CLIP.MEMORY_GB", setting.memory_gb]
        pairs += ["USE_CUDA", setting.device == "cuda", *[f"{node}.N_CTX", n_ctx][: 2 * bool(n_ctx)], *setting.opts]
        self.trainer = trainer = build_trainer(setting.method, clip_model, names, "", pairs, random_teacher=True)
        self.device, self.precision, self.learner = trainer.device, trainer.precision, trainer.learner
        self.encoder, self.image_encoder, self.model = trainer.text_encoder, trainer.image_encoder, trainer.model
        with torch.no_grad():
            given = self.learner.text_inputs(self.features(1) if self.learner.is_conditional else None)
        self.separate_from = min((at for at, rows in given.get("deep", {}).items() if rows.dim() == 3), default=None)
        self.learns_images = bool(self.learner.image_inputs())
        self.learns_text = bool(given)
        self.plain = None
        if with_plain and (twin := twin_of(setting.method)):
            w0 = unit(random_text_features(len(names), self.image_encoder.output_dim)).to(self.device)
            self.plain = twin(clip_model, names, trainer.settings, "", w0)
            self.plain.load(dict(self.learner.named_parameters()))

    @property
    def contexts(self) -> int:
        """Different contexts of a batch: one per image if prompts depend on it, else one altogether."""
        return self.setting.batch if self.learner.is_conditional else 1

    @property
    def positions(self) -> dict[str, int]:
        """Positions that each way computes per batch, at the input of the text encoder."""
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
        size = self.positions["plain"] * shape.layers * _PLAIN_WIDTHS * shape.width * shape.bytes
        return self.learner.is_conditional and size > 0.7 * available

    def step(self, image: Tensor, label: Tensor) -> dict[str, float]:
        """One whole training step, ours: loss terms by name.

        Args:
            image: (B, 3, H, W), or features (B, D), which leave the image encoder out.
        """
        return self.trainer.forward_backward({"img": image, "label": label})

    def plain_step(self, image: Tensor, label: Tensor, separately: bool = False) -> dict[str, float]:
        """The same the plain way, up to the gradients."""
        if separately:
            self.plain.separately = True
        with self.precision.autocast():
            return self.plain.backward(image, label)

    def encode_images(self, images: Tensor, way: str = "ours") -> Tensor:
        """Images (B, 3, H, W) to features (B, D) without prompts, through CLIP's own modules or ours."""
        encoder = self.image_encoder.visual if way == "plain" else self.image_encoder
        with torch.no_grad(), self.precision.autocast():
            return encoder(images.to(self.image_encoder.dtype))

    def prompted_images(self, images: Tensor, way: str = "ours") -> None:
        """One forward and backward pass of the image encoder with what is learned."""
        encode = self.plain.image_features if way == "plain" else self.model.encode_image
        with self.precision.autocast():
            features = encode(images)
        features.backward(torch.ones_like(features))

    def evaluate(self, way: str, x: Tensor) -> Tensor:
        """Scores (B, C) of image features, in batches of 100."""
        with torch.no_grad(), self.precision.autocast():
            if way == "plain":
                return self.plain.scores(self.plain.see(x))
            return torch.cat([self.model.logits(part) for part in x.split(100)])

    def gradients(self, way: str) -> dict[str, Tensor]:
        """Gradients of the last step by name."""
        learned = dict(self.learner.named_parameters()) if way == "ours" else self.plain.learned
        return {name: tensor.grad.clone() for name, tensor in learned.items() if tensor.grad is not None}

    def predicted_bytes(self) -> int:
        """Bytes that ``memory.py`` predicts for our text encoding, without a limit."""
        return peak_bytes(self.encoder.shape, self.positions["ours"], self.learner.prompts.packing().spread)


def relative(ours: Tensor, theirs: Tensor) -> float:
    """Norm of the difference, relative to the second."""
    return ((ours.float() - theirs.float()).norm() / theirs.float().norm().clamp_min(1e-30)).item()


def calls(task: Task, separately: bool) -> dict[str, Callable[[], object]]:
    """Calls that are measured, by name. A whole plain step is more than its parts only if images have prompts."""
    x, label, images = task.features(), task.labels(), task.images()
    found: dict[str, Callable[[], object]] = {}
    if task.learns_text:
        found["text, plain"] = lambda: task.plain_step(x, label, separately)
        found["text, ours"] = lambda: task.step(x, label)
    found["image encoder, plain"] = lambda: task.encode_images(images, "plain")
    found["image encoder"] = lambda: task.encode_images(images)
    if task.learns_images:
        found["prompted images, plain"] = lambda: task.prompted_images(images, "plain")
        found["prompted images"] = lambda: task.prompted_images(images)
        found["step, plain"] = lambda: task.plain_step(images, label)
    found["step, ours"] = lambda: task.step(images, label)
    no_twin = ("text, plain", "prompted images, plain", "step, plain")
    return {name: call for name, call in found.items() if task.plain is not None or name not in no_twin}
