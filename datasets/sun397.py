"""SUN397: 397 kinds of scenes (Xiao et al., SUN Database: Large-scale Scene Recognition, CVPR 2010)."""

import os

from dassl.data.datasets import DATASET_REGISTRY

from clip_prompts.data import BenchmarkDataset
from clip_prompts.data.annotations import class_label, class_labels, read_lines


@DATASET_REGISTRY.register()
class SUN397(BenchmarkDataset):
    """``SUN397/<letter>/<class>[/<kind>]/sun_*.jpg`` with partition 01; ``a/bakery/shop`` is named "shop bakery"."""

    dataset_dir = "sun397"
    image_folder = "SUN397"
    split_file = "split_zhou_SUN397.json"
    hint = (
        "The original host is gone: unpack SUN397.tar.gz and Partitions.zip of a mirror into <root>/sun397; for "
        "published numbers add CoOp's split_zhou_SUN397.json."
    )

    def read_raw(self, rng):
        path = os.path.join(self.dataset_dir, "ClassName.txt")
        scenes = [line.lstrip("/") for line in read_lines(path, self.missing_hint())]
        labels = class_labels(enumerate(scenes), path)
        train, val = self.split_trainval(self.read_list("Training_01.txt", labels), rng=rng)
        return train, val, self.read_list("Testing_01.txt", labels)

    def read_list(self, name: str, labels: dict) -> list:
        """Read lines ``/a/abbey/sun_aaa.jpg``: the folder is the class."""
        path = os.path.join(self.dataset_dir, name)
        rows = []
        for line in read_lines(path, self.missing_hint()):
            image = line.lstrip("/")
            scene = image.rpartition("/")[0]
            words = reversed(scene.split("/")[1:])  # without the letter
            rows.append((image, class_label(labels, scene, path, line), " ".join(words)))
        return self.items(rows, path)
