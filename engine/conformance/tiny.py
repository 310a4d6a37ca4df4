"""A small dataset, backbone and trainers as users write them, and runs that several tests share."""

import contextlib
import functools
import io
import os
import tempfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from dassl.config import get_cfg_default
from dassl.data.datasets import DATASET_REGISTRY, DatasetBase, Datum
from dassl.engine import TRAINER_REGISTRY, TrainerX, TrainerXU, build_trainer
from dassl.modeling import BACKBONE_REGISTRY, Backbone
from PIL import Image
from torch.nn import functional as F

from .conftest import seed

CLASSES = {"red": (200, 40, 40), "green": (40, 200, 40), "blue": (40, 40, 200)}
DOMAINS = ("plain", "dark", "pale")
SIZE = 16  # pixels
_root = tempfile.TemporaryDirectory(prefix="conformance-")


def folder():
    """Returns a new empty folder, which is removed when Python ends."""
    return Path(tempfile.mkdtemp(dir=_root.name))


@functools.lru_cache(maxsize=1)
def pictures():
    """Folder ``{part}/{domain}/{class}/{n}.png``: noisy squares of three colours in three domains."""
    root = folder()
    noise = np.random.default_rng(0)
    for part, count in (("train", 4), ("val", 1), ("test", 2)):
        for domain, factor in zip(DOMAINS, (1.0, 0.6, 1.2), strict=True):
            for name, colour in CLASSES.items():
                place = root / part / domain / name
                place.mkdir(parents=True)
                for n in range(count):
                    pixels = factor * np.array(colour) + noise.normal(0, 25, (SIZE, SIZE, 3))
                    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(place / f"{n}.png")
    return root


def read_part(root, part, domains):
    """List of Datum; the domain is the position in ``domains``."""
    return [
        Datum(impath=os.path.join(root, part, domain, name, file), label=label, domain=number, classname=name)
        for number, domain in enumerate(domains)
        for label, name in enumerate(CLASSES)
        for file in sorted(os.listdir(os.path.join(root, part, domain, name)))
    ]


class Cut(Exception):
    """The run was stopped on purpose."""


@DATASET_REGISTRY.register()
class ConformancePictures(DatasetBase):
    dataset_dir = ""
    domains = list(DOMAINS)

    def __init__(self, cfg):
        root = os.path.join(os.path.abspath(os.path.expanduser(cfg.DATASET.ROOT)), self.dataset_dir)
        self.check_input_domains(cfg.DATASET.SOURCE_DOMAINS, cfg.DATASET.TARGET_DOMAINS)
        train = read_part(root, "train", cfg.DATASET.SOURCE_DOMAINS)
        train = self.generate_fewshot_dataset(train, num_shots=cfg.DATASET.NUM_SHOTS)
        super().__init__(
            train_x=train,
            train_u=read_part(root, "train", cfg.DATASET.TARGET_DOMAINS),
            val=read_part(root, "val", cfg.DATASET.SOURCE_DOMAINS),
            test=read_part(root, "test", cfg.DATASET.TARGET_DOMAINS),
        )


class Pooled(Backbone):
    """Means of four parts of the image: 12 features."""

    def __init__(self):
        super().__init__()
        self._out_features = 12
        self.norm = torch.nn.BatchNorm2d(3)

    def forward(self, x):
        return F.adaptive_avg_pool2d(self.norm(x), 2).flatten(1)


@BACKBONE_REGISTRY.register()
def conformance_pooled(pretrained=True, **kwargs):
    return Pooled()


class Watched:
    """Notes the calls of hooks, and the attributes that exist at the start of each building step."""

    def check_cfg(self, cfg):
        self.calls, self.rates, self.losses, self.seen = [], [], [], {}
        self._note("check_cfg")

    def _note(self, name):
        self.calls.append(name)
        self.seen.setdefault(name, set(self.__dict__) - {"calls", "rates", "losses", "seen"})

    def run_epoch(self):
        self._note("run_epoch")
        self.rates.append(self.get_current_lr())
        super().run_epoch()

    def test(self, split=None):
        self.calls.append(f"test {split}")
        return super().test(split)


def _noted(name):
    def hook(self, *args, **kwargs):
        self._note(name)
        getattr(super(Watched, self), name)(*args, **kwargs)

    return hook


for _name in ("build_data_loader", "build_model", "before_train", "before_epoch", "after_epoch", "after_train",
              "save_model", "load_model"):  # fmt: skip
    setattr(Watched, _name, _noted(_name))


@TRAINER_REGISTRY.register()
class ConformanceX(Watched, TrainerX):
    def forward_backward(self, batch):
        images, labels, _ = self.parse_batch_train(batch)
        loss = F.cross_entropy(self.model(images), labels)
        self.model_backward_and_update(loss)
        self.losses.append(loss.item())
        if (self.batch_idx + 1) == self.num_batches:
            self.update_lr()
        return {"loss": loss.item(), "second": 2.0}


@TRAINER_REGISTRY.register()
class ConformanceSilent(ConformanceX):
    def forward_backward(self, batch):
        super().forward_backward(batch)


@TRAINER_REGISTRY.register()
class ConformanceClock(ConformanceX):
    """Reports 10 x epoch + batch, and takes ten seconds of ``clock`` a batch."""

    clock = 0.0

    def forward_backward(self, batch):
        super().forward_backward(batch)
        ConformanceClock.clock += 10.0
        return {"n": 10.0 * self.epoch + self.batch_idx}


@TRAINER_REGISTRY.register()
class ConformanceCut(ConformanceX):
    """Stops in the middle, as a run that was killed."""

    stop_at = 2

    def before_epoch(self):
        if self.epoch == self.stop_at:
            raise Cut
        super().before_epoch()


@TRAINER_REGISTRY.register()
class ConformanceLevel(ConformanceCut):
    """Every evaluation has the same result."""

    def test(self, split=None):
        super().test(split)
        return 50.0


@TRAINER_REGISTRY.register()
class ConformanceTwo(ConformanceX):
    """Two registered models, the second without optimiser and scheduler."""

    def build_model(self):
        super().build_model()
        self.register_model("second", torch.nn.Linear(2, 2))


@TRAINER_REGISTRY.register()
class ConformanceNone(Watched, TrainerX):
    """Nothing to train, as zero-shot CLIP."""

    def build_model(self):
        self._note("build_model")

    def model_inference(self, input):
        return F.adaptive_avg_pool2d(input, 1).flatten(1)

    def forward_backward(self, batch):
        return {"loss": 0.0}


@TRAINER_REGISTRY.register()
class ConformanceXU(Watched, TrainerXU):
    def forward_backward(self, batch_x, batch_u):
        images, labels, unlabelled = self.parse_batch_train(batch_x, batch_u)
        loss = F.cross_entropy(self.model(images), labels) + 0 * self.model(unlabelled).mean()
        self.model_backward_and_update(loss)
        self.losses.append((len(images), len(unlabelled)))
        if (self.batch_idx + 1) == self.num_batches:
            self.update_lr()
        return {"loss": loss.item()}


def make_cfg(*opts):
    """Config of a run over the pictures; ``opts`` are alternating keys and values."""
    cfg = get_cfg_default()
    cfg.merge_from_list([
        "OUTPUT_DIR", str(folder()), "USE_CUDA", False, "TRAINER.NAME", "ConformanceX",
        "DATASET.NAME", "ConformancePictures", "DATASET.ROOT", str(pictures()),
        "DATASET.SOURCE_DOMAINS", ("plain", "dark"), "DATASET.TARGET_DOMAINS", ("pale",),
        "INPUT.SIZE", (SIZE, SIZE), "INPUT.TRANSFORMS", ("random_flip", "normalize"),
        "DATALOADER.NUM_WORKERS", 0, "DATALOADER.TRAIN_X.BATCH_SIZE", 6, "DATALOADER.TEST.BATCH_SIZE", 5,
        "MODEL.BACKBONE.NAME", "conformance_pooled", "OPTIM.NAME", "sgd", "OPTIM.LR", 0.5, "OPTIM.MAX_EPOCH", 2,
        "OPTIM.LR_SCHEDULER", "cosine", "TRAIN.PRINT_FREQ", 2,
    ])  # fmt: skip
    cfg.merge_from_list(list(opts))
    cfg.freeze()
    return cfg


def build(*opts):
    """Seed, then build the trainer of such a config."""
    cfg = make_cfg(*opts)
    seed(1)
    return build_trainer(cfg)


def fresh_run(*opts):
    """Build a trainer and train. Returns trainer, printed text, output folder, and whether it was cut."""
    run = SimpleNamespace(cut=False)
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        run.trainer = build(*opts)
        try:
            run.trainer.train()
        except Cut:
            run.cut = True
    run.folder = run.trainer.output_dir
    run.lines, run.err = out.getvalue().splitlines(), err.getvalue()
    return run


@functools.lru_cache(maxsize=32)
def run(*opts):
    """The same, once for all checks that ask for it; they only look."""
    return fresh_run(*opts)
