"""ImageNet-Sketch: drawings of ImageNet's classes (Wang et al., Learning Robust Global Representations, 2019)."""

from dassl.data.datasets import DATASET_REGISTRY

from clip_prompts.data.wnid_folders import WnidFolders


@DATASET_REGISTRY.register()
class ImageNetSketch(WnidFolders):
    """Only tested on: ``images/<wnid>/*.JPEG``."""

    dataset_dir = "imagenet-sketch"
    image_folder = "images"
    test_only = True
    hint = (
        "Unpack the archive of https://github.com/HaohanWang/ImageNet-Sketch, rename its folder sketch to "
        "<root>/imagenet-sketch/images and put ImageNet's classnames.txt into <root>/imagenet-sketch."
    )
