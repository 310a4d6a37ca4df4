"""Folders of the user's own pictures, in every layout of ImageFolder.

Pictures of one pixel, all with different contents; those of ``draw`` show something.
"""

import csv
import json
import os
from pathlib import Path

import numpy as np
from PIL import Image

KEYS = ("Great_auk", "black_cat", "dog", "red_fox")  # in the order of their labels: capitals first
NAMES = ["Great auk", "black cat", "dog", "red fox"]
COUNTS = {"train": 6, "val": 2, "test": 4}


def touch(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"P6 1 1 255\n123" + os.fsencode(path))


def write_classes(folder: Path, n: int = 10, keys=KEYS) -> None:
    for key in keys:
        for i in range(n):
            touch(folder / key / f"{i}.jpg")


def write_parts(folder: Path, parts=tuple(COUNTS)) -> None:
    for part in parts:
        write_classes(folder / part, COUNTS[part])


def write_domains(folder: Path) -> None:
    for domain in ("photo", "sketch", "toy"):
        write_classes(folder / domain)


def records(parts=tuple(COUNTS), domains=("photo",)) -> list[dict]:
    """One a picture, with all columns; the files are those of ``touch_all``."""
    return [
        {"path": f"{domain}/{part}/{key}-{i}.jpg", "label": label, "classname": NAMES[label], "split": part,
         "domain": domain}
        for domain in domains for part in parts for label, key in enumerate(KEYS) for i in range(COUNTS[part])
    ]  # fmt: skip


def write_csv(folder: Path, rows: list[dict], columns, name: str = "annotations.csv") -> None:
    for row in rows:
        touch(folder / row["path"])
    with open(folder / name, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)


def write_json_lines(folder: Path, rows: list[dict], columns, name: str = "annotations.jsonl") -> None:
    for row in rows:
        touch(folder / row["path"])
    lines = [json.dumps({column: row[column] for column in columns}) for row in rows]
    (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_split_json(folder: Path, image_folder: str = "", name: str = "split_mine.json") -> None:
    split = {part: [] for part in COUNTS}
    for row in records():
        touch(folder / image_folder / row["path"])
        split[row["split"]].append([row["path"], row["label"], row["classname"]])
    (folder / name).write_text(json.dumps(split), encoding="utf-8")


COLOURS = {
    "blue_box": (30, 30, 200), "green_leaf": (30, 180, 30), "red_ball": (200, 30, 30), "yellow_sun": (220, 220, 30),
}  # fmt: skip


def draw(folder: Path, n: int, seed: int, noise: float = 40) -> None:
    """``n`` pictures a class, 36 x 24 pixels: a colour and noise."""
    rng = np.random.default_rng(seed)
    for name, colour in COLOURS.items():
        (folder / name).mkdir(parents=True)
        for i in range(n):
            pixels = np.clip(rng.normal(colour, noise, (24, 36, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{i}.png")
