"""ImageNetV2: new photos of ImageNet's classes (Recht et al., Do ImageNet Classifiers Generalize?, ICML 2019)."""

from dassl.data.datasets import DATASET_REGISTRY

from clip_prompts.data.wnid_folders import WnidFolders


@DATASET_REGISTRY.register()
class ImageNetV2(WnidFolders):
    """Only tested on. The folders 0 to 999 are labels: positions in ``classnames.txt``."""

    dataset_dir = "imagenetv2"
    image_folder = "imagenetv2-matched-frequency-format-val"
    test_only = True
    hint = (
        "Unpack https://s3-us-west-2.amazonaws.com/imagenetv2public/imagenetv2-matched-frequency.tar.gz into "
        "<root>/imagenetv2 and put ImageNet's classnames.txt there."
    )

    def classes(self):
        return {str(label): name for label, name in enumerate(self.names().values())}
