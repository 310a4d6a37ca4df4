"""Caltech-101: 100 object categories (Fei-Fei et al., Learning Generative Visual Models, CVPR workshop 2004)."""

from dassl.data.datasets import DATASET_REGISTRY

from clip_prompts.data.class_folders import ClassFolders

# Upstream's names, which readers written for CoOp import.
IGNORED = ("BACKGROUND_Google", "Faces_easy")
NEW_CNAMES = {"airplanes": "airplane", "Faces": "face", "Leopards": "leopard", "Motorbikes": "motorbike"}


@DATASET_REGISTRY.register()
class Caltech101(ClassFolders):
    """``101_ObjectCategories/<class>/image_0001.jpg``; the background and the easy faces are no class."""

    dataset_dir = "caltech-101"
    image_folder = "101_ObjectCategories"
    split_file = "split_zhou_Caltech101.json"
    ignored = IGNORED
    renamed = NEW_CNAMES
    hint = (
        "Unpack caltech-101.zip of https://data.caltech.edu/records/mzrjq-6wc02 and the 101_ObjectCategories.tar.gz "
        "in it into <root>/caltech-101; for published numbers add CoOp's split_zhou_Caltech101.json."
    )
