"""A dataset, a backbone and trainers written with nothing but the public names of Dassl.

They represent the code of users: if these trainers run, the users' trainers do.
"""

import os
import random

import numpy as np
from dassl.config import get_cfg_default
from dassl.data.datasets import DATASET_REGISTRY, DatasetBase, Datum
from dassl.engine import TRAINER_REGISTRY, TrainerX, TrainerXU
from dassl.metrics import compute_accuracy
from dassl.modeling import BACKBONE_REGISTRY, Backbone
from PIL import Image
from torch import nn
from torch.nn import functional as F

COLOURS = {"red": (200, 40, 40), "green": (40, 200, 40), "blue": (40, 40, 200)}


def write_pictures(root, per_class=6):
    """Write ``root/{part}/{class}/{n}.png``: 8 x 8 noisy pictures of three colours."""
    noise = np.random.default_rng(0)
    for part in ("train", "val", "test"):
        for name, colour in COLOURS.items():
            folder = root / part / name
            folder.mkdir(parents=True)
            for n in range(per_class):
                pixels = np.array(colour) + noise.normal(0, 60, (8, 8, 3))
                Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / f"{n}.png")
    return root


def read_part(root, part):
    return [
        Datum(impath=os.path.join(root, part, name, file), label=label, domain=int(file[0]) % 2, classname=name)
        for label, name in enumerate(COLOURS)
        for file in sorted(os.listdir(os.path.join(root, part, name)))
    ]


@DATASET_REGISTRY.register()
class StockPictures(DatasetBase):
    dataset_dir = "."

    def __init__(self, cfg):
        root = cfg.DATASET.ROOT
        train = self.generate_fewshot_dataset(read_part(root, "train"), num_shots=cfg.DATASET.NUM_SHOTS)
        super().__init__(train_x=train, val=read_part(root, "val"), test=read_part(root, "test"))


@DATASET_REGISTRY.register()
class StockUnlabelled(DatasetBase):
    def __init__(self, cfg):
        train = read_part(cfg.DATASET.ROOT, "train")
        super().__init__(train_x=train[:6] + train[6::6], train_u=train, test=read_part(cfg.DATASET.ROOT, "test"))


class MeanColour(Backbone):
    def __init__(self):
        super().__init__()
        self._out_features = 3
        self.dropout = nn.Dropout(0.2)  # draws from torch's generator in every step

    def forward(self, x):
        return self.dropout(x.mean(dim=(2, 3)))


@BACKBONE_REGISTRY.register()
def stock_mean_colour(**kwargs):
    return MeanColour()


@TRAINER_REGISTRY.register()
class StockTrainer(TrainerX):
    """Plain supervised training; keeps a list of the hooks in the order of their calls."""

    def check_cfg(self, cfg):
        self.calls = ["check_cfg"]
        self.losses = []

    def forward_backward(self, batch):
        images, labels, _ = self.parse_batch_train(batch)
        logits = self.model(images)
        loss = F.cross_entropy(logits, labels)
        self.model_backward_and_update(loss)
        self.losses.append(loss.item())
        if (self.batch_idx + 1) == self.num_batches:
            self.update_lr()
        return {"loss": loss.item(), "acc": compute_accuracy(logits, labels)[0].item()}

    def build_data_loader(self):
        self.calls.append("build_data_loader")
        super().build_data_loader()

    def build_model(self):
        self.calls.append("build_model")
        super().build_model()

    def before_train(self):
        self.calls.append("before_train")
        super().before_train()

    def before_epoch(self):
        self.calls.append(f"before_epoch {self.epoch}")
        super().before_epoch()

    def run_epoch(self):
        self.calls.append(f"run_epoch {self.epoch}")
        super().run_epoch()

    def after_epoch(self):
        self.calls.append(f"after_epoch {self.epoch}")
        super().after_epoch()

    def after_train(self):
        self.calls.append("after_train")
        super().after_train()

    def test(self, split=None):
        self.calls.append(f"test {split}")
        return super().test(split)


@TRAINER_REGISTRY.register()
class StockTrainerXU(TrainerXU):
    def forward_backward(self, batch_x, batch_u):
        images, labels, unlabelled = self.parse_batch_train(batch_x, batch_u)
        loss = F.cross_entropy(self.model(images), labels) + 0.1 * self.model(unlabelled).square().mean()
        self.model_backward_and_update(loss)
        self.seen = [*getattr(self, "seen", []), (len(images), len(unlabelled))]
        if self.batch_idx + 1 == self.num_batches:
            self.update_lr()


def stock_cfg(root, output, *opts):
    """Config of a run over the pictures in ``root``; ``opts`` are alternating keys and values."""
    cfg = get_cfg_default()
    cfg.merge_from_list([
        "OUTPUT_DIR", str(output), "USE_CUDA", False, "TRAINER.NAME", "StockTrainer",
        "DATASET.NAME", "StockPictures", "DATASET.ROOT", str(root),
        "INPUT.SIZE", (8, 8), "INPUT.TRANSFORMS", ("random_resized_crop", "random_flip", "normalize"),
        "DATALOADER.NUM_WORKERS", 0, "DATALOADER.TRAIN_X.BATCH_SIZE", 4, "DATALOADER.TEST.BATCH_SIZE", 5,
        "MODEL.BACKBONE.NAME", "stock_mean_colour", "OPTIM.NAME", "sgd", "OPTIM.LR", 0.5, "OPTIM.MAX_EPOCH", 4,
        "OPTIM.LR_SCHEDULER", "cosine", "OPTIM.WARMUP_EPOCH", 1, "TRAIN.PRINT_FREQ", 2,
    ])  # fmt: skip
    cfg.merge_from_list([str(o) if isinstance(o, os.PathLike) else o for o in opts])
    cfg.freeze()
    return cfg


def seed(value=1):
    import torch

    random.seed(value)
    np.random.seed(value)
    torch.manual_seed(value)
