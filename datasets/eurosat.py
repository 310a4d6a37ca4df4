"""EuroSAT: 10 kinds of land use seen from a satellite, RGB (Helber et al., EuroSAT, IEEE JSTARS 2019)."""

from dassl.data.datasets import DATASET_REGISTRY

from clip_prompts.data.class_folders import ClassFolders

# Upstream's name, which readers written for CoOp import.
NEW_CNAMES = {
    "AnnualCrop": "Annual Crop Land",
    "HerbaceousVegetation": "Herbaceous Vegetation Land",
    "Highway": "Highway or Road",
    "Industrial": "Industrial Buildings",
    "Pasture": "Pasture Land",
    "PermanentCrop": "Permanent Crop Land",
    "Residential": "Residential Buildings",
    "SeaLake": "Sea or Lake",
}


@DATASET_REGISTRY.register()
class EuroSAT(ClassFolders):
    """``2750/<class>/<class>_1.jpg``, 64 x 64 pixels."""

    dataset_dir = "eurosat"
    image_folder = "2750"
    split_file = "split_zhou_EuroSAT.json"
    template = "a centered satellite photo of {}."
    renamed = NEW_CNAMES
    hint = (
        "Unpack EuroSAT.zip (RGB) of https://zenodo.org/records/7711810 into <root>/eurosat; for published numbers "
        "add CoOp's split_zhou_EuroSAT.json."
    )
