"""Zero-shot accuracy of a CLIP on held-out rendered pictures, on real handwritten digits and on Shapes."""

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from tiny.concepts import COLUMN, CONCEPTS, DIGIT_NAMES, KINDS, VALUES
from tiny.pool import SIDE, Pool
from tiny.training import normalise

PROMPT = "a photo of a {}."


@torch.no_grad()
def class_features(model, names: list[str], prompt: str = PROMPT) -> torch.Tensor:
    """Unit text features (C, D) of the class names in a prompt."""
    from clip import tokenize

    return F.normalize(model.encode_text(tokenize([prompt.format(name) for name in names])).float(), dim=-1)


@torch.no_grad()
def image_features(model, pictures: np.ndarray) -> torch.Tensor:
    """Unit image features (N, D) of bytes (N, 3, 32, 32)."""
    batches = np.array_split(pictures, max(1, len(pictures) // 500))
    parts = [model.encode_image(normalise(torch.from_numpy(batch))).float() for batch in batches]
    return F.normalize(torch.cat(parts), dim=-1)


def accuracy(images: torch.Tensor, texts: torch.Tensor, labels: np.ndarray) -> float:
    """Zero-shot top-1 accuracy in percent."""
    return 100 * (images @ texts.t()).argmax(1).eq(torch.from_numpy(labels.astype(np.int64))).float().mean().item()


def rendered_accuracy(model, pool: Pool) -> dict[str, float]:
    """Accuracy on rendered pictures: within each kind, over all concepts, on the ink colour and colour with shape."""
    images = image_features(model, pool.pictures)
    concept = pool.codes[:, COLUMN["concept"]]
    kind = np.array([KINDS.index(CONCEPTS[c].kind) for c in concept])
    result = {}
    for number, name in enumerate(KINDS):
        members = [i for i, c in enumerate(CONCEPTS) if c.kind == name]
        rows = np.flatnonzero(kind == number)
        texts = class_features(model, [CONCEPTS[i].name for i in members])
        result[f"{name} ({len(members)})"] = accuracy(images[rows], texts, concept[rows] - members[0])
    texts = class_features(model, [c.name for c in CONCEPTS])
    result[f"any concept ({len(CONCEPTS)})"] = accuracy(images, texts, concept)
    colours = VALUES["colour"]
    shapes = [i for i, c in enumerate(CONCEPTS) if c.kind == "shape"]
    rows = np.flatnonzero(kind == KINDS.index("shape"))
    pairs = [f"{colour} {CONCEPTS[i].name}" for i in shapes for colour in colours]
    labels = (concept[rows] - shapes[0]) * len(colours) + pool.codes[rows, COLUMN["colour"]]
    result[f"colour and shape ({len(pairs)})"] = accuracy(images[rows], class_features(model, pairs), labels)
    return result


def digits_accuracy(model, prompt: str) -> float:
    """Zero-shot accuracy in percent on the 1,797 handwritten digits of scikit-learn, which are never trained on."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    pictures = np.empty((len(digits.images), 3, SIDE, SIDE), dtype=np.uint8)
    for row, image in enumerate(digits.images):
        small = Image.fromarray(np.round(image * (255 / 16)).astype(np.uint8))
        pictures[row] = np.asarray(small.resize((SIDE, SIDE), Image.Resampling.BICUBIC))[None]
    return accuracy(image_features(model, pictures), class_features(model, list(DIGIT_NAMES), prompt), digits.target)


def shapes_accuracy(model, variant: str, prompt: str) -> float:
    """Zero-shot accuracy in percent on the test part of Shapes, 42 classes, in one of its variants."""
    from datasets.shapes import CLASSES, draw

    _, labels, pictures = zip(*draw("test", variant), strict=True)
    images = image_features(model, np.stack(pictures).transpose(0, 3, 1, 2))
    return accuracy(images, class_features(model, list(CLASSES), prompt), np.array(labels))
