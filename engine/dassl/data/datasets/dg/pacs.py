"""PACS: seven classes as photographs, paintings, cartoons and sketches."""

import os

from ..build import DATASET_REGISTRY
from ..shared.domains import DomainLists

# Named by the released lists; the file is damaged.
DAMAGED = "sketch/dog/n02103406_4068-1.png"


@DATASET_REGISTRY.register()
class PACS(DomainLists):
    """9,991 images; train and crossval lists of the sources, all images of the targets.

    ``pacs/images/<domain>/<class>/`` and ``pacs/splits/<domain>_{train,crossval,test}_kfold.txt``, labels from 1.
    Li et al., "Deeper, Broader and Artier Domain Generalization", ICCV 2017.
    """

    dataset_dir = "pacs"
    domains = ["art_painting", "cartoon", "photo", "sketch"]
    image_folder = "images"
    first_label = 1
    lists = {
        "train": ("splits/{}_train_kfold.txt",),
        "val": ("splits/{}_crossval_kfold.txt",),
        "test": ("splits/{}_train_kfold.txt", "splits/{}_crossval_kfold.txt"),  # together all; as the test list
    }
    where_to_get = (
        "Get the images (into images/) and the lists *_kfold.txt (into splits/) from "
        "https://sketchx.eecs.qmul.ac.uk/downloads/."
    )

    def read(self, domain, part):
        damaged = os.path.join(self.dataset_dir, self.image_folder, *DAMAGED.split("/"))
        return [picture for picture in super().read(domain, part) if picture.path != damaged]
