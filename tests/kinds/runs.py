"""Runs of ``train.py`` as tests of reuse look at them."""

import json

from tests.conftest import ROOT
from tests.datasets.pictures import draw


def records(folder):
    return json.loads((folder / "results.json").read_text())


def contents(folder):
    return {p.relative_to(folder): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


CONFIG = ROOT / "configs/trainers/CoOp/vit_b16.yaml"
PLUGIN = """
from dassl.data.datasets import DATASET_REGISTRY, DatasetBase
from datasets.oxford_pets import OxfordPets
from dassl.engine import TRAINER_REGISTRY
from trainers.coop import CoOp


@DATASET_REGISTRY.register()
class IgnoresShots(DatasetBase):
    def __init__(self, cfg):
        cfg = cfg.clone()
        cfg.defrost()
        cfg.DATASET.NUM_SHOTS, cfg.DATASET.SUBSAMPLE_CLASSES = -1, "all"
        own = OxfordPets(cfg)
        super().__init__(train_x=own.train_x, val=own.val, test=own.test)


@TRAINER_REGISTRY.register()
class Edited(CoOp):
    CONFIG = CoOp.CONFIG | {"FACTOR": 1.0}

    def loss_terms(self, seen, label):
        return {name: loss * 1.0 for name, loss in super().loss_terms(seen, label).items()}
"""


def own_pictures(folder):
    """train/ and test/ with two classes."""
    draw(folder / "all", 8, seed=3)
    classes = sorted(p for p in (folder / "all").iterdir() if p.is_dir())[:2]
    for each in classes:
        for i, file in enumerate(sorted(each.iterdir())):
            place = folder / "own" / ("train" if i < 5 else "test") / each.name
            place.mkdir(parents=True, exist_ok=True)
            file.rename(place / file.name)
    return folder / "own", classes[0].name
