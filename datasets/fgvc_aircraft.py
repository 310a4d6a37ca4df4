"""FGVC-Aircraft: 100 variants of aircraft (Maji et al., Fine-Grained Visual Classification of Aircraft, 2013)."""

import os

from dassl.data.datasets import DATASET_REGISTRY

from clip_prompts.data import BenchmarkDataset
from clip_prompts.data.annotations import class_label, class_labels, read_lines


@DATASET_REGISTRY.register()
class FGVCAircraft(BenchmarkDataset):
    """``images/<id>.jpg`` with the official three lists ``images_variant_{train,val,test}.txt``."""

    dataset_dir = "fgvc_aircraft"
    image_folder = "images"
    template = "a photo of a {}, a type of aircraft."
    hint = (
        "Unpack https://www.robots.ox.ac.uk/~vgg/data/fgvc-aircraft/archives/fgvc-aircraft-2013b.tar.gz and move its "
        "folder data/ to <root>/fgvc_aircraft."
    )

    def read_raw(self, rng):
        path = os.path.join(self.dataset_dir, "variants.txt")
        labels = class_labels(enumerate(read_lines(path, self.missing_hint())), path)
        return tuple(self.read_list(f"images_variant_{part}.txt", labels) for part in ("train", "val", "test"))

    def read_list(self, name: str, labels: dict) -> list:
        """Read lines ``0481847 Cessna 172``: image, variant."""
        path = os.path.join(self.dataset_dir, name)
        rows = []
        for line in read_lines(path, self.missing_hint()):
            image, _, variant = line.partition(" ")
            rows.append((f"{image}.jpg", class_label(labels, variant, path, line), variant))
        return self.items(rows, path)
