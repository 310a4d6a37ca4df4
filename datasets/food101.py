"""Food-101: 101 dishes (Bossard et al., Food-101: Mining Discriminative Components, ECCV 2014)."""

from dassl.data.datasets import DATASET_REGISTRY

from clip_prompts.data.class_folders import ClassFolders


@DATASET_REGISTRY.register()
class Food101(ClassFolders):
    """``images/<dish>/*.jpg``; the official lists in ``meta/`` are not used."""

    dataset_dir = "food-101"
    image_folder = "images"
    split_file = "split_zhou_Food101.json"
    template = "a photo of {}, a type of food."
    hint = (
        "Unpack http://data.vision.ee.ethz.ch/cvl/food-101.tar.gz into <root>; for published numbers add CoOp's "
        "split_zhou_Food101.json to <root>/food-101."
    )
