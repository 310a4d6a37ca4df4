"""Releases that are one folder per class: Caltech101, Food101, DescribableTextures, EuroSAT."""

from . import PER_CLASS, Replica, touch


def class_folders(folder, classes: dict, image: str) -> Replica:
    """``classes``: folder name -> class name, in label order; 10, 11, 12, ... images; with stray files."""
    replica = Replica(PER_CLASS, list(classes.values()))
    for label, name in enumerate(classes):
        for i in range(10 + label % 4, 0, -1):
            touch(folder / name / image.format(name=name, i=i))
        replica.rows += [(f"{name}/{file}", label, "") for file in sorted(p.name for p in (folder / name).iterdir())]
        touch(folder / name / ".DS_Store")
        touch(folder / name / "._hidden.jpg")
    touch(folder / ".DS_Store")
    touch(folder / "README.txt")
    touch(folder / ".ipynb_checkpoints" / "image_0001.jpg")
    return replica


def caltech101(root):
    folder = root / "caltech-101" / "101_ObjectCategories"
    classes = {
        "Faces": "face", "Leopards": "leopard", "Motorbikes": "motorbike", "accordion": "accordion",
        "airplanes": "airplane", "car_side": "car_side", "yin_yang": "yin_yang",
    }  # fmt: skip
    replica = class_folders(folder, classes, "image_{i:04d}.jpg")
    touch(folder / "BACKGROUND_Google" / "image_0001.jpg")
    touch(folder / "BACKGROUND_Google" / "tmp")
    touch(folder / "Faces_easy" / "image_0001.jpg")
    return replica


def food101(root):
    names = ["apple_pie", "baby_back_ribs", "crème_brûlée", "waffles"]
    replica = class_folders(root / "food-101" / "images", {n: n for n in names}, "{i}00023.jpg")
    touch(root / "food-101" / "meta" / "train.txt")
    return replica


def textures(root):
    names = ["banded", "blotchy", "polka-dotted", "zigzagged"]
    replica = class_folders(root / "dtd" / "images", {n: n for n in names}, "{name}_{i:04d}.jpg")
    touch(root / "dtd" / "labels" / "train1.txt")
    touch(root / "dtd" / "imdb" / "imdb.mat")
    return replica


def eurosat(root):
    classes = {
        "AnnualCrop": "Annual Crop Land",
        "Forest": "Forest",
        "HerbaceousVegetation": "Herbaceous Vegetation Land",
        "Highway": "Highway or Road",
        "Industrial": "Industrial Buildings",
        "Pasture": "Pasture Land",
        "PermanentCrop": "Permanent Crop Land",
        "Residential": "Residential Buildings",
        "River": "River",
        "SeaLake": "Sea or Lake",
    }
    return class_folders(root / "eurosat" / "2750", classes, "{name}_{i}.jpg")


REPLICAS = {"Caltech101": caltech101, "Food101": food101, "DescribableTextures": textures, "EuroSAT": eurosat}
