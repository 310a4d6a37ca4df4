"""UCF101: 101 human actions, the middle frame of each video (Soomro et al., UCF101, CRCV-TR-12-01, 2012)."""

import os
import re

from dassl.data.datasets import DATASET_REGISTRY

from clip_prompts.data import BenchmarkDataset
from clip_prompts.data.annotations import class_label, class_labels, read_fields, read_lines


@DATASET_REGISTRY.register()
class UCF101(BenchmarkDataset):
    """``UCF-101-midframes/Apply_Eye_Makeup/v_*.jpg`` with list 01 of ``ucfTrainTestlist/``."""

    dataset_dir = "ucf101"
    image_folder = "UCF-101-midframes"
    split_file = "split_zhou_UCF101.json"
    template = "a photo of a person doing {}."
    hint = (
        "Unpack CoOp's UCF-101-midframes.zip into <root>/ucf101, and ucfTrainTestlist of "
        "https://www.crcv.ucf.edu/data/UCF101.php or, for published numbers, CoOp's split_zhou_UCF101.json."
    )

    def read_raw(self, rng):
        path = os.path.join(self.dataset_dir, "ucfTrainTestlist", "classInd.txt")
        listed = read_fields(path, 2, numbers=[0], hint=self.missing_hint())
        labels = class_labels(((n - 1, action) for n, action in listed), path)
        train, val = self.split_trainval(self.read_list("trainlist01.txt", labels), rng=rng)
        return train, val, self.read_list("testlist01.txt", labels)

    def read_list(self, name: str, labels: dict) -> list:
        """Read lines ``TaiChi/v_TaiChi_g01_c01.avi``, in the training list with the number of the class after it."""
        path = os.path.join(self.dataset_dir, "ucfTrainTestlist", name)
        rows = []
        for line in read_lines(path, self.missing_hint()):
            action, _, video = line.split()[0].partition("/")
            label = class_label(labels, action, path, line)
            classname = "_".join(re.findall("[A-Z][^A-Z]*", action))
            rows.append((f"{classname}/{video.removesuffix('.avi')}.jpg", label, classname))
        return self.items(rows, path)
