"""CLIP with learned prompts, the plain way: what the plain implementations of all methods share."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import clip
import torch
from clip.clip import _tokenizer
from clip.model import CLIP
from torch import Tensor
from torch.nn.functional import normalize

TEMPLATES = {  # of the hand-crafted prompt, by the name of the dataset; all others: "a photo of a {}."
    "OxfordPets": "a photo of a {}, a type of pet.",
    "OxfordFlowers": "a photo of a {}, a type of flower.",
    "FGVCAircraft": "a photo of a {}, a type of aircraft.",
    "DescribableTextures": "{} texture.",
    "EuroSAT": "a centered satellite photo of {}.",
    "Food101": "a photo of {}, a type of food.",
    "UCF101": "a photo of a person doing {}.",
}


class Seen(NamedTuple):
    """One batch: B images, C classes, joint width D."""

    image: Tensor  # as given: images (B, 3, H, W), or features (B, D)
    f: Tensor  # image features (B, D)
    t: Tensor  # text features (C, D), or (B, C, D) if they depend on the image
    x: Tensor  # f as unit vectors
    w: Tensor  # t as unit vectors
    logits: Tensor  # s * <x, w>, (B, C)


class Plain:
    """A method the plain way. A subclass says what is learned and computes features and loss terms from it.

    Args:
        clip_model: frozen CLIP of OpenAI's package, C class names, and the settings TRAINER.<NAME> of the method.
        dataset: its name, on which the texts of some methods depend.
        w0: text features of the frozen CLIP (C, D), unit vectors, for methods with such a teacher; None: computed here.

    Attributes:
        learned: what is learned by name, float32, zeros until ``load``. Names are those of the trainer's learner.
    """

    def __init__(
        self, clip_model: CLIP, names: Sequence[str], settings: Any, dataset: str = "", w0: Tensor | None = None
    ) -> None:
        self.clip, self.settings, self.dataset = clip_model, settings, dataset
        self.names = [name.replace("_", " ") for name in names]
        self.device = clip_model.token_embedding.weight.device
        self.text_width, self.joint = clip_model.text_projection.shape
        if w0 is None and (templates := self.teacher_templates()):
            w0 = self.teacher(templates)
        self.w0 = w0
        self.learned = {
            name: torch.zeros(shape, device=self.device, requires_grad=True) for name, shape in self.shapes().items()
        }

    # A method's part

    def teacher_templates(self) -> Sequence[str]:
        """Hand-crafted prompts whose mean feature the method compares with."""
        return ()

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of each learned tensor by name."""
        raise NotImplementedError

    def text_features(self, x: Tensor) -> Tensor:
        """Text features (C, D), or (B, C, D) if they depend on the unit image features x (B, D)."""
        raise NotImplementedError

    def image_features(self, image: Tensor) -> Tensor:
        """Images (B, 3, H, W) to features (B, D)."""
        return self.clip.visual(image.to(self.clip.dtype))

    def terms(self, seen: Seen, label: Tensor) -> dict[str, Tensor]:
        """Terms of the loss, scalars."""
        raise NotImplementedError

    def scores(self, seen: Seen) -> Tensor:
        """Scores (B, C) of a test."""
        return seen.logits

    # What all share

    def load(self, values: Mapping[str, Tensor]) -> None:
        """Copy values by name. Raises KeyError unless names are those of ``learned``; RuntimeError for other shapes."""
        if odd := set(values) ^ set(self.learned):
            raise KeyError(f"learned by one side only: {', '.join(sorted(odd))}")
        with torch.no_grad():
            for name, tensor in self.learned.items():
                if values[name].shape != tensor.shape:
                    raise RuntimeError(f"{name} is {tuple(values[name].shape)}, not {tuple(tensor.shape)}")
                tensor.copy_(values[name])

    def see(self, image: Tensor) -> Seen:
        """Images (B, 3, H, W), or their features (B, D), to what a loss needs."""
        f = image if image.dim() == 2 else self.image_features(image)
        x = unit(f)
        t = self.text_features(x)
        w = unit(t)
        return Seen(image, f, t, x, w, self.similarity(x, w))

    def similarity(self, x: Tensor, w: Tensor) -> Tensor:
        """s * <x, w>: unit vectors (B, D) and (C, D), or (B, C, D), to logits (B, C)."""
        s = self.clip.logit_scale.exp().float()
        return s * x @ w.t() if w.dim() == 2 else s * torch.einsum("bd,bcd->bc", x, w)

    def backward(self, image: Tensor, label: Tensor) -> dict[str, float]:
        """Loss terms of a batch by name; their gradient arrives at ``learned``."""
        terms = self.terms(self.see(image), label)
        self.zero_grad()
        sum(terms.values()).backward()
        return {name: term.item() for name, term in terms.items()}

    def zero_grad(self) -> None:
        for tensor in self.learned.values():
            tensor.grad = None

    @torch.no_grad()
    def teacher(self, templates: Sequence[str]) -> Tensor:
        """Mean of the text features of some templates, as unit vectors (C, D)."""
        texts = [clip.tokenize([template.format(name) for name in self.names]) for template in templates]
        features = [self.clip.encode_text(tokens.to(self.device)).float() for tokens in texts]
        return unit(torch.stack(features).mean(dim=0))

    def template(self, of_method: Mapping[str, str] | None = None) -> str:
        """The hand-crafted prompt for the dataset; of_method: those that a method has in place of the usual ones."""
        return {**TEMPLATES, **(of_method or {})}.get(self.dataset, "a photo of a {}.")


def unit(features: Tensor) -> Tensor:
    """Features (..., D) to unit vectors, float32."""
    return normalize(features.float(), dim=-1)


class Prompts:
    """C prompts at 77 positions, in which the learned context takes the places of words.

    Args:
        clip_model: frozen. texts: C texts; in each, the first n_ctx words stand for the context. n_ctx: M.
        names: C class names, which follow the context. position: of the name: end, middle or front.
    """

    def __init__(
        self, clip_model: CLIP, texts: Sequence[str], n_ctx: int, names: Sequence[str] = (), position: str = "end"
    ) -> None:
        self.clip, self.n_ctx, self.position = clip_model, n_ctx, position
        tokens = clip.tokenize(texts).to(clip_model.token_embedding.weight.device)
        with torch.no_grad():
            self.embedded = clip_model.token_embedding(tokens).to(clip_model.dtype)  # (C, 77, d)
        self.ends = tokens.argmax(dim=1)  # end-of-text has the highest number
        self.name_lengths = [len(_tokenizer.encode(name)) for name in names]

    def features(self, context: Tensor, deep: Mapping[int, Tensor] | None = None) -> Tensor:
        """Contexts (M, d) or (C, M, d), and rows (n, d) or (C, n, d) inside layers, to text features (C, D)."""
        x = self.with_context(context) + self.clip.positional_embedding.to(self.clip.dtype)
        return run_text(self.clip, x, self.ends, deep or {})

    def with_context(self, context: Tensor) -> Tensor:
        """Embeddings (C, 77, d) of the prompts with the context in its places."""
        context = context.to(self.embedded.dtype).expand(len(self.embedded), -1, -1)
        before, behind = self.embedded[:, :1], self.embedded[:, 1 + self.n_ctx :]
        if self.position == "end":
            return torch.cat([before, context, behind], dim=1)
        first = {"middle": self.n_ctx // 2, "front": 0}[self.position]
        prompts = [
            torch.cat([start, ctx[:first], rest[:length], ctx[first:], rest[length:]])
            for start, ctx, rest, length in zip(before, context, behind, self.name_lengths, strict=True)
        ]
        return torch.stack(prompts)


def run_text(clip_model: CLIP, x: Tensor, ends: Tensor, deep: Mapping[int, Tensor]) -> Tensor:
    """Prompts x (C, 77, d) through all layers to features (C, D).

    Args:
        deep: layer to rows (n, d) or (C, n, d) that replace positions 1 to n at its input.
    """
    for layer, block in enumerate(clip_model.transformer.resblocks):
        if (rows := deep.get(layer)) is not None:
            rows = rows.to(x.dtype).expand(len(x), -1, -1)
            x = torch.cat([x[:, :1], rows, x[:, 1 + rows.shape[1] :]], dim=1)
        x = block(x.transpose(0, 1)).transpose(0, 1)  # CLIP's blocks take (77, C, d)
    x = clip_model.ln_final(x).to(clip_model.dtype)
    return x[torch.arange(len(x), device=x.device), ends] @ clip_model.text_projection


def run_image(clip_model: CLIP, image: Tensor, rows: Sequence[Tensor]) -> Tensor:
    """Images (B, 3, H, W) through CLIP's vision transformer, with learned rows, to features (B, D).

    Args:
        rows: (n, v) of layers 0 to J - 1. The first are appended to the patches, the others replace the last n rows.
    """
    visual = clip_model.visual
    x = visual.conv1(image.to(clip_model.dtype)).flatten(2).transpose(1, 2)  # (B, patches, v)
    x = torch.cat([visual.class_embedding.to(x.dtype).expand(len(x), 1, -1), x], dim=1)
    x = x + visual.positional_embedding.to(x.dtype)
    first, *others = [one.to(x.dtype).expand(len(x), -1, -1) for one in rows]
    x = visual.ln_pre(torch.cat([x, first], dim=1))
    for layer, block in enumerate(visual.transformer.resblocks):
        if 1 <= layer <= len(others):
            x = torch.cat([x[:, : -first.shape[1]], others[layer - 1]], dim=1)
        x = block(x.transpose(0, 1)).transpose(0, 1)
    return visual.ln_post(x[:, 0]) @ visual.proj
