"""Section 2: a launch script as clients have it, with its flags, runs on dassl."""

import argparse
import os

from .. import tiny
from ..checking import check, equal, folder, printed


def parser():
    made = argparse.ArgumentParser()
    for flag in ("root", "output-dir", "resume", "config-file", "dataset-config-file", "trainer", "backbone", "head",
                 "model-dir"):  # fmt: skip
        made.add_argument(f"--{flag}", default="")
    made.add_argument("--seed", type=int, default=-1)
    made.add_argument("--load-epoch", type=int)
    for flag in ("source-domains", "target-domains", "transforms"):
        made.add_argument(f"--{flag}", nargs="+")
    made.add_argument("--eval-only", action="store_true")
    made.add_argument("--no-train", action="store_true")
    made.add_argument("opts", nargs=argparse.REMAINDER)
    return made


def setup(args):
    """The config: defaults, dataset file, trainer file, flags, opts; other trainers' keys are dropped; frozen."""
    from dassl.config import clean_cfg, get_cfg_default

    cfg = get_cfg_default()
    for path in (args.dataset_config_file, args.config_file):
        if path:
            cfg.merge_from_file(path)
    places = {
        "root": (cfg.DATASET, "ROOT"), "output_dir": (cfg, "OUTPUT_DIR"), "resume": (cfg, "RESUME"),
        "source_domains": (cfg.DATASET, "SOURCE_DOMAINS"), "target_domains": (cfg.DATASET, "TARGET_DOMAINS"),
        "transforms": (cfg.INPUT, "TRANSFORMS"), "trainer": (cfg.TRAINER, "NAME"),
        "backbone": (cfg.MODEL.BACKBONE, "NAME"), "head": (cfg.MODEL.HEAD, "NAME"),
    }  # fmt: skip
    for name, (node, key) in places.items():
        if getattr(args, name):
            node[key] = getattr(args, name)
    if args.seed >= 0:
        cfg.SEED = args.seed
    cfg.merge_from_list(args.opts)
    clean_cfg(cfg, cfg.TRAINER.NAME)
    cfg.freeze()
    return cfg


def launch(*flags):
    """Run the script; returns (trainer, printed text)."""
    from dassl.engine import build_trainer
    from dassl.utils import collect_env_info, set_random_seed

    tiny.registered()
    args = parser().parse_args(flags)
    with printed() as text:
        cfg = setup(args)
        if cfg.SEED >= 0:
            set_random_seed(cfg.SEED)
        print(cfg)
        print(collect_env_info())
        trainer = build_trainer(cfg)
        if args.eval_only:
            trainer.load_model(args.model_dir, epoch=args.load_epoch)
            trainer.test()
        elif not args.no_train:
            trainer.train()
    return trainer, text


def files():
    """Paths of a dataset file and a trainer file."""
    place = folder()
    (place / "data.yaml").write_text(
        "DATASET:\n  NAME: ConformancePictures\n  SOURCE_DOMAINS: ['plain']\n  TARGET_DOMAINS: ['pale']\n"
        "OPTIM:\n  MAX_EPOCH: 5\n"
    )
    (place / "trainer.yaml").write_text(
        "USE_CUDA: False\nINPUT:\n  SIZE: (16, 16)\nDATALOADER:\n  NUM_WORKERS: 0\n"
        "MODEL:\n  HEAD:\n    HIDDEN_LAYERS: [4]\nOPTIM:\n  NAME: sgd\n  MAX_EPOCH: 1\n  LR: 1e-3\n"
    )
    return [
        "--dataset-config-file", str(place / "data.yaml"), "--config-file", str(place / "trainer.yaml"),
        "--root", str(tiny.pictures()), "--trainer", "ConformanceX", "--backbone", "conformance_pooled",
    ]  # fmt: skip


@check("flag:--root", "flag:--output-dir", "flag:--seed", "flag:--config-file", "flag:--dataset-config-file",
       "flag:--trainer", "flag:--backbone", "flag:opts", "dassl.config.clean_cfg")  # fmt: skip
def training():
    """Dataset file, trainer file, flags and opts are merged in this order; the rest runs; a seed determines the run."""
    losses = []
    for _ in range(2):
        out = str(folder())
        trainer, _ = launch(*files(), "--output-dir", out, "--seed", "3", "OPTIM.LR", "0.1")
        losses.append(trainer.losses)
        assert os.path.isfile(os.path.join(out, "model", "model.pth.tar-1"))
    equal(losses[0], losses[1])
    cfg = trainer.cfg
    equal((cfg.OPTIM.MAX_EPOCH, cfg.OPTIM.LR, cfg.SEED, list(cfg.TRAINER)), (1, 0.1, 3, ["NAME"]))
    assert cfg.is_frozen()


@check("flag:--source-domains", "flag:--target-domains", "flag:--transforms", "flag:--head", "flag:--no-train")
def building_only():
    """Lists of domains and of transforms, a head; --no-train only builds."""
    trainer, text = launch(
        *files(), "--source-domains", "dark", "pale", "--target-domains", "plain", "--transforms", "random_flip",
        "normalize", "--head", "mlp", "--no-train", "--output-dir", str(folder()),
    )  # fmt: skip
    equal(list(trainer.cfg.INPUT.TRANSFORMS), ["random_flip", "normalize"])
    equal((trainer.num_source_domains, type(trainer.model.head).__name__), (2, "MLP"))
    assert "Finish training" not in text.lines


@check("flag:--resume")
def resuming():
    """--resume names the folder to go on from."""
    first, second = str(folder()), str(folder())
    launch(*files(), "--output-dir", first)
    _, text = launch(*files(), "--output-dir", second, "--resume", first, "OPTIM.MAX_EPOCH", "2")
    assert f"Found checkpoint at {first} (will resume training)" in text.lines
    assert os.path.isfile(os.path.join(second, "model", "model.pth.tar-2"))


@check("flag:--eval-only", "flag:--model-dir", "flag:--load-epoch")
def evaluating():
    """--eval-only loads epoch --load-epoch of --model-dir and tests, without training."""
    first, second = str(folder()), str(folder())
    trained, _ = launch(*files(), "--output-dir", first)
    tested, text = launch(
        *files(), "--output-dir", second, "--eval-only", "--model-dir", first, "--load-epoch", "1"
    )  # fmt: skip
    assert "Evaluate on the *test* set" in text.lines and "Finish training" not in text.lines
    weights = trained.model.classifier.weight
    assert weights.equal(tested.model.classifier.weight)
