"""Stanford Cars: 196 models of cars (Krause et al., 3D Object Representations, ICCV workshop 2013)."""

import os

from dassl.data.datasets import DATASET_REGISTRY

from clip_prompts.common.errors import UserError
from clip_prompts.data import BenchmarkDataset
from clip_prompts.data.matfiles import mat_number, mat_text, read_mat


@DATASET_REGISTRY.register()
class StanfordCars(BenchmarkDataset):
    """``cars_train/`` and ``cars_test/`` with five-digit names; the lists are .mat files."""

    dataset_dir = "stanford_cars"
    split_file = "split_zhou_StanfordCars.json"
    hint = (
        "The original host is gone: put cars_train/, cars_test/, devkit/ and cars_test_annos_withlabels.mat of a "
        "mirror into <root>/stanford_cars; for published numbers add CoOp's split_zhou_StanfordCars.json."
    )

    def read_raw(self, rng):
        train, val = self.split_trainval(self.read_list("cars_train", "devkit/cars_train_annos.mat"), rng=rng)
        return train, val, self.read_list("cars_test", "cars_test_annos_withlabels.mat")

    def read_list(self, folder: str, name: str) -> list:
        """Read the records ``annotations`` of a .mat file: image name and class from 1."""
        path = os.path.join(self.dataset_dir, name)
        meta = os.path.join(self.dataset_dir, "devkit", "cars_meta.mat")
        models, records = (read_mat(*m, self.missing_hint()) for m in ((meta, "class_names"), (path, "annotations")))
        models = [mat_text(model, f"{meta}: class_names {i}") for i, model in enumerate(models, start=1)]
        if not all(isinstance(record, dict) and {"fname", "class"} <= record.keys() for record in records):
            raise UserError(f"{path}: 'annotations' lacks the field fname or class. {self.missing_hint()}")
        rows = []
        for i, record in enumerate(records, start=1):
            image = mat_text(record["fname"], f"{path}: fname of record {i}")
            number = mat_number(record["class"], f"{path}: class of record {i}")
            if not 1 <= number <= len(models):
                raise UserError(f"{path} gives {image} the class {number}, but {meta} has classes 1 to {len(models)}.")
            rows.append((f"{folder}/{image}", number - 1, "".join(reversed(models[number - 1].rpartition(" ")))))
        return self.items(rows, path)

    def missing_hint(self) -> str:
        for part in ("cars_train", "cars_test"):
            nested = os.path.join(self.dataset_dir, part, part)
            if os.path.isdir(nested):  # as some mirrors pack it
                return f"Move the images of {nested} one folder up, into {os.path.dirname(nested)}."
        return super().missing_hint()
