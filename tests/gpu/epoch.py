"""One epoch of CoCoOp by ``train.py`` on generated images: 1,000 classes with 16 images each, one image a step."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torchvision.models._meta import _IMAGENET_CATEGORIES

from measuring.task import random_clip
from tests.conftest import ROOT

_LINE = re.compile(r"^epoch \[1/1\] batch \[(\d+)/(\d+)\] time \S+ \((\S+)\) data \S+ \((\S+)\)", re.M)
TO_STOP = 15.0  # seconds


def epoch(folder: Path, device: str, small: bool, left: float) -> dict:
    """Time of a step, and of the epoch; if ``left`` seconds are not enough, the time that all of it would take.

    Raises RuntimeError: ``train.py`` fails, or has not done 5 steps when the time is over.
    """
    classes, shots, size = (4, 2, 40) if small else (1000, 16, 256)
    pictures, output = folder / "pictures", folder / "epoch"
    write_pictures(pictures, classes, shots, size)
    backbone, config, every = "tiny", "tiny", "1"
    if not small:
        backbone, config, every = str(folder / "random.pt"), "vit_b16_c4_ep10_batch1_ctxv1", "50"
        torch.save(random_clip("ViT-B/16", stored=True).state_dict(), backbone)
    command = [
        sys.executable, "-W", "ignore", str(ROOT / "train.py"), "--trainer", "CoCoOp", "--seed", "1",
        "--root", str(pictures), "--output-dir", str(output), "--backbone", backbone,
        "--config-file", str(ROOT / f"configs/trainers/CoCoOp/{config}.yaml"),
        "--dataset-config-file", str(ROOT / "configs/datasets/image_folder.yaml"),
        "DATASET.NUM_SHOTS", str(shots), "OPTIM.MAX_EPOCH", "1", "TRAIN.PRINT_FREQ", every,
        "FEATURES.DIR", str(folder / "features"), "USE_CUDA", str(device == "cuda"),
    ]  # fmt: skip
    with open(folder / "console.txt", "w") as console:
        process = subprocess.Popen(
            command, stdout=console, stderr=subprocess.STDOUT, env={**os.environ, "PYTHONUNBUFFERED": "1"}
        )
        try:
            status = process.wait(max(0.0, left - TO_STOP))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGTERM)
            status = process.wait()
    text = (folder / "console.txt").read_text()
    if status not in (0, 128 + signal.SIGTERM, -signal.SIGTERM):  # the last one during its imports
        raise RuntimeError((text.strip().splitlines() or ["no output"])[-1])
    return times(text)


def times(log: str) -> dict:
    """Numbers of the log of an epoch. Raises RuntimeError if it has less than 5 steps."""
    found = _LINE.findall(log)
    if not found or int(found[-1][0]) < 5:
        raise RuntimeError(f"the time was over after {found[-1][0] if found else 'no'} steps")
    done, steps, step, data = found[-1]
    return {
        "ms a step": 1e3 * float(step), "of which waiting for images": 1e3 * float(data), "steps": float(steps),
        "steps done": float(done), "s an epoch": float(step) * int(steps),
    }  # fmt: skip


def write_pictures(folder: Path, classes: int, shots: int, size: int) -> None:
    """``train/CLASS/`` with ``shots`` JPEG files and ``test/CLASS/`` with one, of ImageNet's classes.

    The files are links to 64 pictures of noise, which take as long to read as 64 others.
    """
    random, folder = np.random.default_rng(0), Path(folder)
    (folder / "noise").mkdir(parents=True)
    noise = [folder / f"noise/{i}.jpg" for i in range(64)]
    for file in noise:
        coarse = random.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((size, size), Image.BICUBIC).save(file, quality=90)
    names = list(dict.fromkeys(_IMAGENET_CATEGORIES))  # two names occur twice
    names += [f"{name} again" for name in names[: 1000 - len(names)]]
    for c, name in enumerate(names[:: 1000 // classes][:classes]):
        for part, count in (("train", shots), ("test", 1)):
            own = folder / part / name.replace("/", " ")
            own.mkdir(parents=True)
            for i in range(count):
                os.link(noise[(c + i) % 64], own / f"{i}.jpg")
    for file in noise:
        file.unlink()
    (folder / "noise").rmdir()
