"""Stanford Cars: 196 models of cars (Krause et al., 3D Object Representations, ICCV workshop 2013)."""

import os

from dassl.data.datasets import DATASET_REGISTRY

from common.errors import UserError

from .core import BenchmarkDataset
from .core.matfiles import read_mat


@DATASET_REGISTRY.register()
class StanfordCars(BenchmarkDataset):
    """``cars_train/`` and ``cars_test/`` with five-digit names; the lists are .mat files."""

    dataset_dir = "stanford_cars"
    split_file = "split_zhou_StanfordCars.json"
    where_to_get = (
        "The original host is gone: put cars_train/, cars_test/, devkit/ and cars_test_annos_withlabels.mat of a "
        "mirror into <root>/stanford_cars; for published numbers add CoOp's split_zhou_StanfordCars.json."
    )

    def read_raw(self, rng):
        train, val = self.split_trainval(self.read_list("cars_train", "devkit/cars_train_annos.mat"), rng=rng)
        return train, val, self.read_list("cars_test", "cars_test_annos_withlabels.mat")

    def read_list(self, folder: str, name: str) -> list:
        """The records ``annotations`` of a .mat file: image name and class from 1."""
        path = os.path.join(self.dataset_dir, name)
        meta = os.path.join(self.dataset_dir, "devkit", "cars_meta.mat")
        models = [str(model.item()) for model in read_mat(meta, "class_names", self.missing_help())]
        records = read_mat(path, "annotations", self.missing_help())
        if not {"fname", "class"} <= set(records.dtype.names or ()):
            raise UserError(f"{path}: 'annotations' lacks the field fname or class. {self.missing_help()}")
        rows = []
        for record in records:
            image, number = str(record["fname"].item()), int(record["class"].item())
            if not 1 <= number <= len(models):
                raise UserError(f"{path} gives {image} the class {number}; {meta} knows 1 to {len(models)}.")
            *model, year = models[number - 1].split(" ")
            rows.append((f"{folder}/{image}", number - 1, " ".join([year, *model])))
        return self.items(rows, path)

    def missing_help(self) -> str:
        for part in ("cars_train", "cars_test"):
            nested = os.path.join(self.dataset_dir, part, part)
            if os.path.isdir(nested):  # as some mirrors pack it
                return f"Move the images of {nested} one folder up, into {os.path.dirname(nested)}."
        return super().missing_help()
