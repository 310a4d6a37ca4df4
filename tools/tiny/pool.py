"""A pool of rendered pictures with the attributes of what they show."""

import multiprocessing
from dataclasses import dataclass
from functools import partial

import numpy as np
from tqdm import tqdm

from clip_prompts.data.rendering.glyphs import TEXT_FONTS
from tiny.concepts import ATTRIBUTES
from tiny.scenes import paint, sample_scene

SIDE = 32
# Never used for training pictures; the validation pictures use nothing else for digits and letters.
HELD_OUT_FONTS = ("DejaVuSansMono-Bold", "DejaVuSerif-Italic", "STIXGeneral", "cmss10")
TRAIN_FONTS = tuple(font for font in TEXT_FONTS if font not in HELD_OUT_FONTS)
_CHUNK = 500


@dataclass(frozen=True)
class Pool:
    """Pictures uint8 (N, 3, 32, 32) and attributes int16 (N, A)."""

    pictures: np.ndarray
    codes: np.ndarray

    def __len__(self) -> int:
        return len(self.pictures)


def _render_chunk(chunk: tuple, stream: tuple, fonts: tuple) -> tuple[np.ndarray, np.ndarray]:
    first, count = chunk
    pictures = np.empty((count, SIDE, SIDE, 3), dtype=np.uint8)
    codes = np.empty((count, len(ATTRIBUTES)), dtype=np.int16)
    for row in range(count):
        # One generator a picture: the pool does not depend on the number of processes.
        rng = np.random.default_rng([*stream, first + row])
        scene = sample_scene(rng, fonts)
        pictures[row], codes[row] = paint(scene, SIDE, rng), scene.codes()
    return np.ascontiguousarray(pictures.transpose(0, 3, 1, 2)), codes


def render_pool(count: int, seed: int, split: str, processes: int = 2) -> Pool:
    """Renders ``count`` pictures of a split ("train" or "val").

    The splits have different random streams and different fonts for digits and letters.
    """
    stream, fonts = {"train": ((seed, 0), TRAIN_FONTS), "val": ((seed, 1), HELD_OUT_FONTS)}[split]
    chunks = [(first, min(_CHUNK, count - first)) for first in range(0, count, _CHUNK)]
    render = partial(_render_chunk, stream=stream, fonts=fonts)
    with multiprocessing.get_context("spawn").Pool(processes) as workers:
        parts = list(tqdm(workers.imap(render, chunks), total=len(chunks), desc=f"render {split}", unit="chunk"))
    return Pool(*(np.concatenate(column) for column in zip(*parts, strict=True)))
