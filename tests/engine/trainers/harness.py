"""A small task with domains, and a short way to train a bundled trainer on it.

Four classes of patterns (stripes two ways, a disk, a ring) in three domains that differ in colours, contrast and
noise; 16 x 16 pictures. Chance is 25 %.
"""

import os
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from dassl.config import clean_cfg, get_cfg_default
from dassl.data.datasets import DATASET_REGISTRY, DatasetBase, Datum
from dassl.engine import SimpleTrainer, TrainerX, build_trainer
from dassl.modeling import BACKBONE_REGISTRY, NETWORK_REGISTRY, Backbone
from dassl.modeling.network.fcn import FCN
from dassl.utils import set_random_seed
from PIL import Image
from torch import nn

SIZE = 16
CHANCE = 25.0
STRONG = ("random_flip", "randomgrayscale", "gaussian_noise", "normalize")
# What is learned on light chalk alone does not hold at night: SourceOnly reaches 25 %.
GAP = ("DATASET.SOURCE_DOMAINS", ("chalk",), "DATASET.TARGET_DOMAINS", ("night",))
_SOURCES_AND_TARGET = (
    "DATALOADER.TRAIN_X.SAMPLER", "RandomDomainSampler", "DATALOADER.TRAIN_U.SAME_AS_X", False,
    "DATALOADER.TRAIN_U.BATCH_SIZE", 24,
)  # fmt: skip
# The settings without which a trainer refuses to work, alternating keys and values.
REQUIRED = {
    "CDAC": ("TRAINER.CDAC.STRONG_TRANSFORMS", STRONG, "DATALOADER.K_TRANSFORMS", 2),
    "DAEL": ("TRAINER.DAEL.STRONG_TRANSFORMS", STRONG, *_SOURCES_AND_TARGET),
    "DAELDG": ("TRAINER.DAELDG.STRONG_TRANSFORMS", STRONG, "DATALOADER.TRAIN_X.SAMPLER", "RandomDomainSampler"),
    "DDAIG": ("TRAINER.DDAIG.G_ARCH", "small_generator"),
    "FixMatch": ("TRAINER.FIXMATCH.STRONG_TRANSFORMS", STRONG),
    "M3SDA": _SOURCES_AND_TARGET,
    "MixMatch": ("DATALOADER.K_TRANSFORMS", 2),
    "SE": ("DATALOADER.K_TRANSFORMS", 2),
}
_ROWS, _COLUMNS = np.mgrid[0:SIZE, 0:SIZE]
CLASSES = ("horizontal", "vertical", "disk", "ring")
# colour of the ground, colour of the pattern, standard deviation of the noise (all of 255)
DOMAINS = {
    "chalk": ((40, 50, 40), (200, 210, 200), 25),
    "paper": ((220, 210, 190), (60, 60, 110), 45),
    "night": ((30, 20, 70), (180, 120, 60), 50),
}


def _mask(name, draw):
    """The pattern of a class at a random place, (16, 16) of bool."""
    if name in ("horizontal", "vertical"):
        across = _ROWS if name == "horizontal" else _COLUMNS
        return (across + draw.integers(0, 4)) % 4 < 2
    y, x = draw.uniform(6.5, 8.5, 2)
    distance = np.hypot(_ROWS - y, _COLUMNS - x)
    return distance < 5 if name == "disk" else (distance < 6) & (distance > 3.5)


def write_patterns(root, train=24, test=16):
    """Write ``root/{domain}/{train|test}/{class}/{n}.png``; numbers are pictures of each class and domain."""
    draw = np.random.default_rng(0)
    for domain, (ground, colour, noise) in DOMAINS.items():
        for part, count in (("train", train), ("test", test)):
            for name in CLASSES:
                folder = Path(root, domain, part, name)
                folder.mkdir(parents=True)
                for n in range(count):
                    pixels = np.where(_mask(name, draw)[..., None], colour, ground) + draw.normal(
                        0, noise, (SIZE, SIZE, 3)
                    )
                    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / f"{n:02d}.png")
    return root


def read_patterns(root, domains, part):
    return [
        Datum(impath=os.path.join(root, domain, part, name, file), label=label, domain=number, classname=name)
        for number, domain in enumerate(domains)
        for label, name in enumerate(CLASSES)
        for file in sorted(os.listdir(os.path.join(root, domain, part, name)))
    ]


@DATASET_REGISTRY.register()
class Patterns(DatasetBase):
    """Adaptation and generalization: the sources are labelled, the targets unlabelled and tested on."""

    domains = list(DOMAINS)

    def __init__(self, cfg):
        sources, targets, root = cfg.DATASET.SOURCE_DOMAINS, cfg.DATASET.TARGET_DOMAINS, cfg.DATASET.ROOT
        self.check_input_domains(sources, targets)
        super().__init__(
            train_x=read_patterns(root, sources, "train"),
            train_u=read_patterns(root, targets, "train"),
            val=read_patterns(root, [domain for domain in sources if domain not in targets], "test"),
            test=read_patterns(root, targets, "test"),
        )


@DATASET_REGISTRY.register()
class FewPatterns(DatasetBase):
    """Semi-supervised: NUM_LABELED pictures of the sources are labelled, the others are not."""

    def __init__(self, cfg):
        root, sources = cfg.DATASET.ROOT, cfg.DATASET.SOURCE_DOMAINS
        train = read_patterns(root, sources, "train")
        each = cfg.DATASET.NUM_LABELED // len(CLASSES)
        groups = self.split_dataset_by_label(train).values()
        super().__init__(
            train_x=[item for group in groups for item in group[:: len(group) // each][:each]],
            train_u=train,
            test=read_patterns(root, sources, "test"),
        )


class SmallConvNet(Backbone):
    """Images (B, 3, H, W) -> features (B, 32)."""

    def __init__(self):
        super().__init__()
        self._out_features = 32
        self.layers = nn.Sequential(
            nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.AdaptiveMaxPool2d(1), nn.Flatten(),
        )  # fmt: skip

    def forward(self, x):
        return self.layers(x)


@BACKBONE_REGISTRY.register()
def small_conv_net(**kwargs):
    return SmallConvNet()


@NETWORK_REGISTRY.register()
def small_generator(**kwargs):
    """A smaller one of the networks that DDAIG comes with."""
    return FCN(channels=8, n_blocks=1)


def patterns_cfg(root, output, trainer, *opts):
    """Config of a run of ``trainer`` over the pictures in ``root``, with what it requires.

    ``opts`` are alternating keys and values.
    """
    cfg = get_cfg_default()
    cfg.merge_from_list([
        "OUTPUT_DIR", str(output), "USE_CUDA", False, "TRAINER.NAME", trainer, "VERBOSE", False,
        "DATASET.NAME", "Patterns", "DATASET.ROOT", str(root), "DATASET.NUM_LABELED", 16,
        "DATASET.SOURCE_DOMAINS", ("chalk", "paper"), "DATASET.TARGET_DOMAINS", ("night",),
        "INPUT.SIZE", (SIZE, SIZE), "INPUT.TRANSFORMS", ("random_flip", "normalize"),
        "INPUT.PIXEL_MEAN", [0.5, 0.5, 0.5], "INPUT.PIXEL_STD", [0.25, 0.25, 0.25],
        "DATALOADER.NUM_WORKERS", 0, "DATALOADER.TRAIN_X.BATCH_SIZE", 24, "DATALOADER.TEST.BATCH_SIZE", 64,
        "MODEL.BACKBONE.NAME", "small_conv_net", "OPTIM.NAME", "adam", "OPTIM.LR", 0.01, "OPTIM.MAX_EPOCH", 6,
        "OPTIM.LR_SCHEDULER", "cosine", "TRAIN.PRINT_FREQ", 1000, "TEST.NO_TEST", True,
        *REQUIRED.get(trainer, ()), *opts,
    ])  # fmt: skip
    clean_cfg(cfg, trainer)
    cfg.freeze()
    return cfg


def build(root, output, trainer, *opts, seed=1):
    """A trainer, seeded and built."""
    set_random_seed(seed)
    return build_trainer(patterns_cfg(root, output, trainer, *opts))


@dataclass
class Run:
    trainer: SimpleTrainer
    accuracy: float  # percent, on the test part
    losses: dict  # what forward_backward returned: name -> list of numbers, one for each step


def train(root, output, trainer, *opts, seed=1):
    """Build, train and test the trainer of that name."""
    built = build(root, output, trainer, *opts, seed=seed)
    losses = defaultdict(list)
    step = built.forward_backward

    def recorded(*batch):
        reported = step(*batch)
        for name, value in (reported or {}).items():
            losses[name].append(value)
        return reported

    built.forward_backward = recorded
    built.train()
    return Run(built, built.test(), losses)


def mean_of(values, part):
    """Mean of the first (``part`` > 0) or last (< 0) ``part`` of the values, a share of them."""
    count = max(1, round(abs(part) * len(values)))
    return float(np.mean(values[:count] if part > 0 else values[-count:]))


def first_batch(trainer, step=0):
    """Return the first batches after ``parse_batch_train``; the trainer is then at step ``step`` of its run."""
    trainer.num_batches = len(trainer.train_loader_x)
    trainer.epoch, trainer.batch_idx = divmod(step, trainer.num_batches)
    loaders = [trainer.train_loader_x, trainer.train_loader_u]
    if isinstance(trainer, TrainerX):
        loaders.pop()
    return trainer.parse_batch_train(*(next(iter(loader)) for loader in loaders))
