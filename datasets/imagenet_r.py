"""ImageNet-R: art, toys and other renditions (Hendrycks et al., The Many Faces of Robustness, ICCV 2021)."""

from dassl.data.datasets import DATASET_REGISTRY

from clip_prompts.data.wnid_folders import WnidFolders


@DATASET_REGISTRY.register()
class ImageNetR(WnidFolders):
    """Only tested on: ``imagenet-r/<wnid>/*.jpg`` of 200 classes, labelled 0 to 199; not those of ImageNetA."""

    dataset_dir = "imagenet-rendition"
    image_folder = "imagenet-r"
    test_only = True
    all_classes = False
    hint = (
        "Unpack https://people.eecs.berkeley.edu/~hendrycks/imagenet-r.tar into <root>/imagenet-rendition and put "
        "ImageNet's classnames.txt there."
    )
