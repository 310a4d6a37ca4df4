"""Pictures of a user, from files or memory, to image features: decoded ahead in threads, encoded in batches, kept."""

import glob
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from clip_prompts.common.errors import UserError
from clip_prompts.common.text import one_line
from clip_prompts.data.class_folders import IMAGE_SUFFIXES
from clip_prompts.data.folders.class_folders import image_suffixes
from clip_prompts.features.cache import FeatureFile, feature_folder, feature_key
from clip_prompts.run.errors import USER_ERRORS

BATCH = 32  # pictures that are encoded together
MOST_FILES = 1_000_000
THUMBNAIL = 160  # pixels of the longer side


class Pictures:
    """Turns pictures into the input of an image encoder, (3, S, S) in float32.

    Args:
        transform: PIL image to (3, S, S), that of testing. size: S in pixels.
        read: path or PIL image to PIL image in RGB.
    """

    def __init__(
        self, transform: Callable[[Image.Image], Tensor], size: int, read: Callable[[Any], Image.Image]
    ) -> None:
        self.transform, self.size, self.read = transform, size, read

    def tensor(self, picture: Any) -> Tensor:
        """A picture as the encoder takes it.

        Args:
            picture: a path; a PIL image; an array or tensor of bytes, (H, W, 3), (H, W) or (3, H, W); or a float tensor
                (3, S, S) that ``transform`` has made.

        Raises UserError: the file is no picture, or the array has another shape or type.
        """
        if isinstance(picture, str | os.PathLike):
            return self.transform(self.read(os.fspath(picture)))
        if isinstance(picture, Image.Image):
            return self.transform(self.read(picture))
        if isinstance(picture, Tensor) and picture.is_floating_point():
            if picture.shape != (3, self.size, self.size):
                raise UserError(
                    f"A tensor of floats {tuple(picture.shape)} is taken as transformed already, and then has the "
                    f"shape (3, {self.size}, {self.size}). Give bytes (uint8), a PIL image or a path to be transformed"
                )
            return picture.float().cpu()
        if isinstance(picture, Tensor):
            array = picture.cpu().numpy()
            array = array.transpose(1, 2, 0) if array.ndim == 3 and array.shape[0] == 3 else array
        else:
            array = np.asarray(picture)
        if (
            array.dtype != np.uint8
            or not (array.ndim == 2 or (array.ndim == 3 and array.shape[2] == 3))
            or not array.size
        ):
            raise UserError(
                f"An array of {array.dtype} {array.shape} is not a picture. Give bytes (uint8) of the shape (H, W, 3), "
                "a PIL image or a path"
            )
        return self.transform(Image.fromarray(np.ascontiguousarray(array)).convert("RGB"))


def features_of(
    pictures: Sequence[Any], to_tensor: Callable[[Any], Tensor], encode: Callable[[Tensor], Tensor], width: int,
    file: FeatureFile | None = None, progress: Callable[[int], object] | None = None,
) -> tuple[Tensor, dict[int, str]]:  # fmt: skip
    """Image features (N, D) of pictures in float32 on the CPU, and why those that have none cannot be read.

    While one batch is encoded, threads decode the next ones.

    Args:
        pictures: N of them, see ``Pictures.tensor``. to_tensor: ``Pictures.tensor``.
        encode: (B, 3, S, S) to (B, D). width: D. file: where the features are kept; None: nowhere.
        progress: called with the number of pictures that were done.

    Returns:
        The features, NaN for what cannot be read, and number of the picture to the reason.
    """
    stored = file.read() if file else None
    if stored is not None and stored.shape[1] == width:
        lost = {}
        for i in torch.nonzero(stored[:, 0].isnan()).flatten().tolist():
            lost[i] = _reason(to_tensor, pictures[i])
        if progress:
            progress(len(pictures))
        return stored, lost
    features, lost = torch.full((len(pictures), width), torch.nan), {}
    for numbers, batch, reasons in _decoded(pictures, to_tensor):
        lost |= reasons
        if numbers:
            features[numbers] = encode(torch.stack(batch)).float().cpu()
        if progress:
            progress(len(numbers) + len(reasons))
    if file:
        file.write(features)
    return features, lost


def _decoded(pictures: Sequence[Any], to_tensor: Callable) -> Iterator[tuple[list[int], list[Tensor], dict[int, str]]]:
    """Batches of decoded pictures with their numbers, and the reasons for those that cannot be read."""

    def decode(start: int) -> tuple[list[int], list[Tensor], dict[int, str]]:
        numbers, batch, reasons = [], [], {}
        for i in range(start, min(start + BATCH, len(pictures))):
            try:
                batch.append(to_tensor(pictures[i]))
                numbers.append(i)
            except (*USER_ERRORS, OSError) as error:
                reasons[i] = one_line(str(error), 300)
        return numbers, batch, reasons

    starts = range(0, len(pictures), BATCH)
    threads = max(1, min(4, os.cpu_count() or 1))
    with ThreadPoolExecutor(threads) as pool:
        waiting = [pool.submit(decode, start) for start in starts[: threads + 1]]
        for start in starts:
            batch = waiting.pop(0).result()
            later = start + (threads + 1) * BATCH
            if later < len(pictures):
                waiting.append(pool.submit(decode, later))
            yield batch


def _reason(to_tensor: Callable, picture: Any) -> str:
    try:
        to_tensor(picture)
    except (*USER_ERRORS, OSError) as error:
        return one_line(str(error), 300)
    return "it could not be read before"


class PictureList(NamedTuple):
    """Pictures as ``feature_key`` takes a dataset: items with ``impath`` and ``as_viewed``, and the transform."""

    data_source: list[SimpleNamespace]
    transform: Any


def kept_features(
    paths: Sequence[str], as_viewed: bool, weights: str, precision: str, transform: Any, folder: str
) -> FeatureFile | None:
    """The file that keeps the features of a list of pictures; None if they have no key.

    Args:
        as_viewed, transform: how files are read, and what is done to the pictures.
        weights: what identifies the encoder's weights, and what was learned in it. precision: its description.
        folder: of FEATURES.DIR.
    """
    items = [SimpleNamespace(impath=path, as_viewed=as_viewed) for path in paths]
    key = feature_key(weights, precision, PictureList(items, transform))
    return None if key is None else FeatureFile(feature_folder(folder) / "pictures", key, len(paths))


def thumbnail(image: Image.Image, side: int = THUMBNAIL) -> Image.Image:
    """A small copy of a picture, at most ``side`` pixels wide and high. A smaller picture keeps its size."""
    small = image.copy()
    small.thumbnail((side, side))
    return small


def find_pictures(places: Iterable[str]) -> list[str]:
    """Paths of the pictures that files, folders (with all below them) and patterns name, each once, sorted per place.

    Raises UserError: a place does not exist, or holds no pictures, or there are too many.
    """
    found: dict[str, None] = {}
    suffixes = image_suffixes()
    for place in places:
        path = Path(place).expanduser()
        if path.is_dir():
            inside = sorted(str(p) for p in path.rglob("*") if p.suffix.lower() in suffixes and p.is_file())
        elif path.exists():
            inside = [str(path)]
        else:
            inside = sorted(p for p in glob.glob(str(path), recursive=True) if os.path.isfile(p))
        if not inside:
            kind = f"holds no pictures ({', '.join(IMAGE_SUFFIXES[:4])}, ...)" if path.is_dir() else "does not exist"
            raise UserError(f"'{one_line(place, 200)}' {kind}. Give files, folders or patterns such as 'photos/*.jpg'")
        found |= dict.fromkeys(inside)
        if len(found) > MOST_FILES:
            raise UserError(f"There are more than {MOST_FILES:,} pictures. Give fewer at a time")
    return list(found)
