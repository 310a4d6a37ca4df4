"""Releases with MATLAB files: StanfordCars, OxfordFlowers."""

import json

import numpy as np
from scipy.io import savemat

from . import PER_CLASS, TRAINVAL, Replica, touch


def annotations(rows):
    """A 1 x n struct array with the fields of the release; ``rows``: (image, class from 1)."""
    fields = ["bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2", "class", "fname"]
    records = np.empty((1, len(rows)), dtype=[(name, object) for name in fields])
    for i, (image, number) in enumerate(rows):
        records[0, i] = (*(np.uint16([[b]]) for b in (1, 2, 30, 40)), np.uint8([[number]]), image)
    return {"annotations": records}


def stanford_cars(root):
    folder = root / "stanford_cars"
    names = ["AM General Hummer SUV 2000", "Acura RL Sedan 2012", "Ram C/V Cargo Van Minivan 2012", "BMW X6 SUV 2012"]
    replica = Replica(
        TRAINVAL,
        ["2000 AM General Hummer SUV", "2012 Acura RL Sedan", "2012 Ram C/V Cargo Van Minivan", "2012 BMW X6 SUV"],
    )
    (folder / "devkit").mkdir(parents=True)
    savemat(folder / "devkit" / "cars_meta.mat", {"class_names": np.array([names], dtype=object)})
    lists = {"train": folder / "devkit" / "cars_train_annos.mat", "test": folder / "cars_test_annos_withlabels.mat"}
    for part, path in lists.items():
        rows = [(f"{i + 1:05d}.jpg", (i * 3) % 4 + 1) for i in range(40)]
        savemat(path, annotations(rows))
        replica.rows += [(f"cars_{part}/{image}", number - 1, part) for image, number in rows]
    for image, _, _ in replica.rows:
        touch(folder / image)
    return replica


def oxford_flowers(root):
    folder, names = root / "oxford_flowers", ["pink primrose", "bird of paradise", "colt's foot", "Barbeton daisy"]
    replica = Replica(PER_CLASS, names)
    labels = [label + 1 for label in (1, 3, 0, 2) for _ in range(10 + label)]
    for i, label in enumerate(labels, start=1):
        replica.rows.append((f"image_{i:05d}.jpg", label - 1, ""))
        touch(folder / "jpg" / f"image_{i:05d}.jpg")
    savemat(folder / "imagelabels.mat", {"labels": np.uint8([labels])})
    savemat(folder / "setid.mat", {"trnid": np.uint16([[1]])})
    order = (3, 0, 2, 1)  # the release's file is not sorted
    (folder / "cat_to_name.json").write_text(json.dumps({str(i + 1): names[i] for i in order}))
    return replica


REPLICAS = {"StanfordCars": stanford_cars, "OxfordFlowers": oxford_flowers}
