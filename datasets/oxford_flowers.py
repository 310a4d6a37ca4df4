"""Oxford Flowers: 102 kinds of flowers (Nilsback and Zisserman, Automated Flower Classification, ICVGIP 2008)."""

import os

from dassl.data.datasets import DATASET_REGISTRY

from clip_prompts.common.errors import UserError
from clip_prompts.data import BenchmarkDataset
from clip_prompts.data.annotations import read_names
from clip_prompts.data.matfiles import mat_number, read_mat
from clip_prompts.data.split_rules import split_per_class


@DATASET_REGISTRY.register()
class OxfordFlowers(BenchmarkDataset):
    """``jpg/image_00001.jpg`` with ``imagelabels.mat``; the official ``setid.mat`` is not used."""

    dataset_dir = "oxford_flowers"
    image_folder = "jpg"
    split_file = "split_zhou_OxfordFlowers.json"
    template = "a photo of a {}, a type of flower."
    hint = (
        "Unpack 102flowers.tgz of https://www.robots.ox.ac.uk/~vgg/data/flowers/102/ into <root>/oxford_flowers and "
        "put its imagelabels.mat and CoOp's cat_to_name.json there; for published numbers add CoOp's "
        "split_zhou_OxfordFlowers.json."
    )

    def read_raw(self, rng):
        path = os.path.join(self.dataset_dir, "imagelabels.mat")
        names_path = os.path.join(self.dataset_dir, "cat_to_name.json")
        names = read_names(names_path, self.missing_hint())
        rows = []
        for number, value in enumerate(read_mat(path, "labels", self.missing_hint()), start=1):
            label = mat_number(value, f"{path}: label {number}")
            if str(label) not in names:
                raise UserError(f"{path} gives image {number} the label {label}, which {names_path} does not name.")
            rows.append((f"image_{number:05d}.jpg", label - 1, names[str(label)]))
        return split_per_class(self.items(rows, path), rng=rng, label=lambda item: item.classname)
