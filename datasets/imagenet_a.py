"""ImageNet-A: photos that mislead classifiers (Hendrycks et al., Natural Adversarial Examples, CVPR 2021)."""

from dassl.data.datasets import DATASET_REGISTRY

from clip_prompts.data.wnid_folders import WnidFolders


@DATASET_REGISTRY.register()
class ImageNetA(WnidFolders):
    """Only tested on: ``imagenet-a/<wnid>/*.jpg`` of 200 classes, labelled 0 to 199."""

    dataset_dir = "imagenet-adversarial"
    image_folder = "imagenet-a"
    test_only = True
    all_classes = False
    hint = (
        "Unpack https://people.eecs.berkeley.edu/~hendrycks/imagenet-a.tar into <root>/imagenet-adversarial and put "
        "ImageNet's classnames.txt there."
    )
