"""ImageNet: 1,000 kinds of things (Deng et al., ImageNet: A Large-Scale Hierarchical Image Database, CVPR 2009)."""

from dassl.data.datasets import DATASET_REGISTRY

from clip_prompts.data.wnid_folders import WnidFolders


@DATASET_REGISTRY.register()
class ImageNet(WnidFolders):
    """``images/{train,val}/<wnid>/*.JPEG``; val is also the test list, and shots are drawn from train only."""

    dataset_dir = "imagenet"
    image_folder = "images"
    hint = (
        "Register at https://image-net.org, unpack ILSVRC2012_img_train.tar and ILSVRC2012_img_val.tar into "
        "<root>/imagenet/images/{train,val}/<wnid>/ and put CoOp's classnames.txt into <root>/imagenet."
    )

    def read_raw(self, rng):
        train, test = self.read_folders("train", "val")
        return train, test, test

    def draw_shots(self, train, val, num_shots, seed):
        train, _ = super().draw_shots(train, [], num_shots, seed)
        return train, val
