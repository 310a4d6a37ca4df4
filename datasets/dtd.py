"""Describable Textures: 47 textures (Cimpoi et al., Describing Textures in the Wild, CVPR 2014)."""

from dassl.data.datasets import DATASET_REGISTRY

from clip_prompts.data.class_folders import ClassFolders


@DATASET_REGISTRY.register()
class DescribableTextures(ClassFolders):
    """``images/<texture>/*.jpg``; the ten official splits in ``labels/`` are not used."""

    dataset_dir = "dtd"
    image_folder = "images"
    split_file = "split_zhou_DescribableTextures.json"
    template = "{} texture."
    hint = (
        "Unpack https://www.robots.ox.ac.uk/~vgg/data/dtd/download/dtd-r1.0.1.tar.gz into <root>; for published "
        "numbers add CoOp's split_zhou_DescribableTextures.json to <root>/dtd."
    )
