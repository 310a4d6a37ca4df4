"""Digits: 1,797 real handwritten digits, 8 x 8 pixels, from scikit-learn (UCI optdigits, Kaynak 1995)."""

import random
from operator import itemgetter

from dassl.data.datasets import DATASET_REGISTRY

from clip_prompts.data import GeneratedDataset
from clip_prompts.data.split_rules import split_per_class

NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
WHITE = 16  # scikit-learn's pixels are 0 (background) to 16


@DATASET_REGISTRY.register()
class Digits(GeneratedDataset):
    """Written as PNG files on first use, as they are: grey, 0 to 255. Per class 50/20/30 train/val/test."""

    dataset_dir = "digits"
    split_file = "split_Digits.json"
    template = "a photo of the number {}."

    def generate(self, folder):
        from PIL import Image
        from sklearn.datasets import load_digits  # heavy, and needed once

        digits = load_digits()
        rows = []
        for i, (pixels, label) in enumerate(zip(digits.images, digits.target.tolist(), strict=True)):
            name = f"{NAMES[label]}_{i:04d}.png"
            Image.fromarray((pixels * 255 / WHITE).round().astype("uint8")).save(folder / name)
            rows.append((name, label, NAMES[label]))
        rows.sort(key=itemgetter(1))  # classes in the order of their labels, pictures in scikit-learn's order
        parts = split_per_class(rows, rng=random.Random(0), label=itemgetter(1))
        return dict(zip(("train", "val", "test"), parts, strict=True))
