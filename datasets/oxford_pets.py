"""Oxford-IIIT Pets: 37 breeds of cats and dogs (Parkhi et al., Cats and Dogs, CVPR 2012)."""

import os

from dassl.data.datasets import DATASET_REGISTRY

from clip_prompts.data import BenchmarkDataset
from clip_prompts.data.annotations import read_fields


@DATASET_REGISTRY.register()
class OxfordPets(BenchmarkDataset):
    """``images/*.jpg`` with CoOp's split file, or with ``annotations/{trainval,test}.txt`` to make it from."""

    dataset_dir = "oxford_pets"
    image_folder = "images"
    split_file = "split_zhou_OxfordPets.json"
    template = "a photo of a {}, a type of pet."
    hint = (
        "Unpack images.tar.gz and annotations.tar.gz of https://www.robots.ox.ac.uk/~vgg/data/pets/ into "
        "<root>/oxford_pets; for published numbers add CoOp's split_zhou_OxfordPets.json."
    )

    def read_raw(self, rng):
        train, val = self.split_trainval(self.read_annotations("trainval.txt"), rng=rng)
        return train, val, self.read_annotations("test.txt")

    def read_annotations(self, name: str) -> list:
        """Read lines ``american_bulldog_100 2 2 1``: image name, class from 1, species, breed in the species."""
        path = os.path.join(self.dataset_dir, "annotations", name)
        rows = []
        for image, class_id, _, _ in read_fields(path, n=4, numbers=[1], hint=self.missing_hint()):
            breed = image.rsplit("_", 1)[0].lower()
            rows.append((f"{image}.jpg", class_id - 1, breed))
        return self.items(rows, path)
