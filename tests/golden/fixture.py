"""Small dataset and small CLIP of the golden numbers, made again each time, always the same."""

import json
from pathlib import Path

import clip
import numpy as np
import torch
from clip.model import CLIP
from PIL import Image

CLASSES = (
    "Abyssinian american_bulldog Bengal beagle Egyptian_Mau "
    "great_pyrenees Sphynx wheaten_terrier yorkshire_terrier Ragdoll"
).split()
TRAIN, TRAINVAL, TOTAL = 24, 30, 50  # images of a class: 24 train, 6 val, 20 test


def write_pets(root: Path) -> None:
    """Ten classes of 50 noisy waves, 48 x 40 pixels, in OxfordPets' layout, with split file and annotations."""
    random = np.random.RandomState(7)
    folder = root / "oxford_pets"
    for name in ("images", "annotations"):
        (folder / name).mkdir(parents=True)
    diagonal = np.add.outer(np.arange(48), np.arange(40))
    lists: dict[str, list] = {"train": [], "val": [], "test": []}
    annotated: dict[str, list] = {"trainval": [], "test": []}
    for label, breed in enumerate(CLASSES):
        colour = random.rand(3) * 255
        frequency = random.randint(1, 6)
        for number in range(TOTAL):
            wave = 60 * np.sin(diagonal * frequency / 7 + random.rand() * 6)
            pixels = colour + wave[:, :, None] + random.randn(48, 40, 3) * 30
            name = f"{breed}_{number + 1}"
            image = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
            image.save(folder / "images" / f"{name}.jpg", quality=95)
            part = "train" if number < TRAIN else "val" if number < TRAINVAL else "test"
            lists[part].append([f"{name}.jpg", label, breed.lower()])
            annotated["test" if part == "test" else "trainval"].append(f"{name} {label + 1} 1 1\n")
    for part, lines in annotated.items():
        (folder / "annotations" / f"{part}.txt").write_text("".join(lines))
    (folder / "split_zhou_OxfordPets.json").write_text(json.dumps(lists))


def write_clip(path: Path) -> None:
    """A CLIP of 2 + 2 layers, width 64, 32 x 32 pixels, with random weights, as a state dict in OpenAI's naming."""
    with torch.random.fork_rng():
        torch.manual_seed(123)
        model = CLIP(
            embed_dim=64, image_resolution=32, vision_layers=2, vision_width=64, vision_patch_size=8,
            context_length=77, vocab_size=49408, transformer_width=64, transformer_heads=1, transformer_layers=2,
        )  # fmt: skip
    torch.save(model.float().state_dict(), path)


def write_deep_clip(path: Path, pets: Path) -> None:
    """A CLIP of 12 + 12 layers for methods that reach into the layers.

    The mean feature of the classes, and that of one image per class, is projected out, so that predictions differ.
    """
    with torch.random.fork_rng():
        torch.manual_seed(321)
        model = CLIP(
            embed_dim=96, image_resolution=32, vision_layers=12, vision_width=128, vision_patch_size=8,
            context_length=77, vocab_size=49408, transformer_width=64, transformer_heads=1, transformer_layers=12,
        ).float()  # fmt: skip
    mean, std = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
    images = [np.asarray(Image.open(pets / "images" / f"{breed}_1.jpg"))[8:40, 4:36] for breed in CLASSES]
    pixels = torch.tensor(np.stack(images) / 255).permute(0, 3, 1, 2).float()
    texts = [f"a photo of a {breed.lower().replace('_', ' ')}." for breed in CLASSES]
    with torch.no_grad():
        pixels = (pixels - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)
        _project_out(model.encode_image(pixels), model.visual.proj)
        _project_out(model.encode_text(clip.tokenize(texts)), model.text_projection)
    torch.save(model.state_dict(), path)


def _project_out(features: torch.Tensor, projection: torch.Tensor) -> None:
    """Take the direction of the mean unit feature (D,) out of a projection (width, D)."""
    mean = torch.nn.functional.normalize(features, dim=-1).mean(dim=0)
    direction = mean / mean.norm()
    projection -= (projection @ direction)[:, None] * direction
