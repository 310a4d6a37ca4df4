"""Section 9: each bundled trainer trains and tests, with the settings that it requires."""

import math
import os
import re

import pytest
import torch
from dassl.config import clean_cfg
from dassl.engine import TRAINER_REGISTRY

from . import tiny
from .catalogue import table
from .support import OURS, differs, or_user_error

pytestmark = pytest.mark.zoo

STRONG = ("randaugment_fixmatch", "normalize")
DOMAINS = (
    "DATALOADER.TRAIN_X.SAMPLER", "RandomDomainSampler", "DATALOADER.TRAIN_X.N_DOMAIN", 2,
    "DATALOADER.TRAIN_U.SAME_AS_X", False, "DATALOADER.TRAIN_U.BATCH_SIZE", 6,
)  # fmt: skip
SETTINGS = {
    "SE": ("DATALOADER.K_TRANSFORMS", 2),
    "CDAC": ("DATALOADER.K_TRANSFORMS", 2, "TRAINER.CDAC.STRONG_TRANSFORMS", STRONG),
    "M3SDA": DOMAINS,
    "DAEL": (*DOMAINS, "TRAINER.DAEL.STRONG_TRANSFORMS", STRONG),
    "DAELDG": (*DOMAINS, "TRAINER.DAELDG.STRONG_TRANSFORMS", STRONG),
    "DDAIG": ("TRAINER.DDAIG.G_ARCH", "fcn_3x32_gctx"),
    "MixMatch": ("DATALOADER.K_TRANSFORMS", 2),
    "FixMatch": ("TRAINER.FIXMATCH.STRONG_TRANSFORMS", STRONG),
}
# What the trainer refuses to start with.
REFUSED = {
    "AdaBN": ("MODEL.INIT_WEIGHTS", "no such file"),
    "ADDA": ("MODEL.INIT_WEIGHTS", "no such file"),
    "SE": ("DATALOADER.K_TRANSFORMS", 1),
    "CDAC": ("DATALOADER.K_TRANSFORMS", 1),
    "M3SDA": ("DATALOADER.TRAIN_X.SAMPLER", "RandomSampler"),
    "DAEL": ("TRAINER.DAEL.STRONG_TRANSFORMS", ()),
    "DAELDG": ("TRAINER.DAELDG.STRONG_TRANSFORMS", ()),
    "MixMatch": ("DATALOADER.K_TRANSFORMS", 1),
    "FixMatch": ("TRAINER.FIXMATCH.STRONG_TRANSFORMS", ()),
}


def config(name, *more):
    """Config with only this trainer's keys, and what it requires."""
    opts = [
        "TRAINER.NAME",
        name,
        "OPTIM.MAX_EPOCH",
        1,
        "OPTIM.LR",
        0.01,
        "TRAIN.PRINT_FREQ",
        1,
        *SETTINGS.get(name, ()),
    ]
    if name in ("AdaBN", "ADDA"):
        opts += ["MODEL.INIT_WEIGHTS", source_weights()]
    cfg = tiny.make_cfg(*opts, *more)
    cfg.defrost()
    clean_cfg(cfg, name)
    cfg.freeze()
    return cfg


def source_weights():
    """File with the weights of a SimpleNet."""
    path = str(tiny.folder() / "source.pth")
    torch.save(tiny.build().model.state_dict(), path)
    return path


@pytest.mark.parametrize("name", table("trainer"))
def test_trains_and_tests(name, capsys):
    """With only its own keys in the config it trains an epoch with finite losses, saves, and tests. update_lr is called
    on the last batch of an epoch; by CDAC in every iteration, by AdaBN never.
    """
    torch.manual_seed(0)
    stepped = []
    capsys.readouterr()
    trainer = TRAINER_REGISTRY.get(name)(config(name))
    update_lr = trainer.update_lr
    trainer.update_lr = lambda names=None: (stepped.append(trainer.batch_idx), update_lr(names))
    trainer.train()
    text = capsys.readouterr()
    lines = [line for line in text.out.splitlines() if line.startswith("epoch [1/1]")]
    assert len(lines) == trainer.num_batches
    values = [float(v) for line in lines for v in re.findall(r" (-?[\w.]+) \(", line.split(" data ")[1])]
    assert all(math.isfinite(v) for v in values), lines
    assert "Finish training" in text.out.splitlines()
    assert re.search(r"^\* accuracy: [\d.]+%$", text.out, re.MULTILINE)
    for model in trainer.get_model_names():
        assert os.path.isfile(os.path.join(trainer.output_dir, model, "model.pth.tar-1")), model
    batches = list(range(trainer.num_batches))
    assert sorted(set(stepped)) == {"CDAC": batches, "AdaBN": []}.get(name, batches[-1:])


def test_weak_and_strong_views(capsys):
    """They train with a weak and a strong transform: a batch has img and img2; lab2cname is set as elsewhere."""
    for name in ("CDAC", "DAEL", "DAELDG", "FixMatch"):
        capsys.readouterr()
        trainer = TRAINER_REGISTRY.get(name)(config(name))
        assert "* Using custom transform for training" in capsys.readouterr().out.splitlines(), name
        assert {"img", "img2"} <= set(next(iter(trainer.train_loader_x))), name
        assert trainer.lab2cname == trainer.dm.dataset.lab2cname


def test_cdac_by_unlabelled_batches():
    """With COUNT_ITER train_u, CDAC fails on an attribute that nobody sets."""
    trainer = TRAINER_REGISTRY.get("CDAC")(config("CDAC", "TRAIN.COUNT_ITER", "train_u"))
    try:
        trainer.train()
    except AttributeError:
        assert not OURS
        return
    differs(trainer.num_batches == len(trainer.train_loader_u), "cdac-counts-train-u")
    raise AssertionError(f"an epoch had {trainer.num_batches} batches")


@pytest.mark.parametrize("name", REFUSED)
def test_requirement(name):
    """Without a setting that it requires it is refused at construction, with AssertionError."""
    kind, cfg = TRAINER_REGISTRY.get(name), config(name, *REFUSED[name])
    with pytest.raises(or_user_error(AssertionError)):
        kind(cfg)
