"""Section 9: each bundled trainer trains and tests, with the settings that it requires."""

from .. import tiny
from ..checking import check, differs, equal, folder, printed, raises

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
    from dassl.config import clean_cfg

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
    import torch

    path = str(folder() / "source.pth")
    with printed():
        torch.save(tiny.build().model.state_dict(), path)
    return path


@check("trainer:*")
def trains_and_tests(entry):
    """With only its own keys in the config it trains an epoch with finite losses, saves, and tests. update_lr is called
    on the last batch of an epoch; by CDAC in every iteration, by AdaBN never.
    """
    import math
    import os
    import re

    import torch
    from dassl.engine import TRAINER_REGISTRY

    torch.manual_seed(0)
    stepped = []
    with printed() as text:
        trainer = TRAINER_REGISTRY.get(entry.short)(config(entry.short))
        update_lr = trainer.update_lr
        trainer.update_lr = lambda names=None: (stepped.append(trainer.batch_idx), update_lr(names))
        trainer.train()
    lines = [line for line in text.lines if line.startswith("epoch [1/1]")]
    equal(len(lines), trainer.num_batches)
    values = [float(v) for line in lines for v in re.findall(r" (-?[\w.]+) \(", line.split(" data ")[1])]
    assert all(math.isfinite(v) for v in values), lines
    assert "Finish training" in text.lines
    assert re.search(r"^\* accuracy: [\d.]+%$", text.out, re.MULTILINE)
    for name in trainer.get_model_names():
        assert os.path.isfile(os.path.join(trainer.output_dir, name, "model.pth.tar-1")), name
    batches = list(range(trainer.num_batches))
    equal(sorted(set(stepped)), {"CDAC": batches, "AdaBN": []}.get(entry.short, batches[-1:]))


@check("trainer:CDAC", "trainer:DAEL", "trainer:DAELDG", "trainer:FixMatch",
       "line:* Using custom transform for training")  # fmt: skip
def weak_and_strong_views():
    """They train with a weak and a strong transform: a batch has img and img2; lab2cname is set as elsewhere."""
    from dassl.engine import TRAINER_REGISTRY

    for name in ("CDAC", "DAEL", "DAELDG", "FixMatch"):
        with printed() as text:
            trainer = TRAINER_REGISTRY.get(name)(config(name))
        assert "* Using custom transform for training" in text.lines, name
        assert {"img", "img2"} <= set(next(iter(trainer.train_loader_x))), name
        equal(trainer.lab2cname, trainer.dm.dataset.lab2cname)


@check("trainer:CDAC")
def cdac_by_unlabelled_batches():
    """With COUNT_ITER train_u, CDAC fails on an attribute that nobody sets."""
    from dassl.engine import TRAINER_REGISTRY

    with printed():
        trainer = TRAINER_REGISTRY.get("CDAC")(config("CDAC", "TRAIN.COUNT_ITER", "train_u"))
        try:
            trainer.train()
        except AttributeError:
            return
    differs(trainer.num_batches == len(trainer.train_loader_u), "cdac-counts-train-u")
    raise AssertionError(f"an epoch had {trainer.num_batches} batches")


@check(*(f"trainer:{name}" for name in REFUSED))
def requirement(entry):
    """Without a setting that it requires it is refused at construction, with AssertionError."""
    from dassl.engine import TRAINER_REGISTRY

    kind, cfg = TRAINER_REGISTRY.get(entry.short), config(entry.short, *REFUSED[entry.short])
    with printed(), raises(AssertionError, chosen="errors-for-users"):
        kind(cfg)
