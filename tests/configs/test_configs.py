"""Every shipped YAML file merges into the defaults, and says what its name says."""

import re
from pathlib import Path

import pytest
import yaml
from dassl.data.datasets import DATASET_REGISTRY
from dassl.engine import TRAINER_REGISTRY
from dassl.modeling import BACKBONE_REGISTRY

import trainers  # noqa: F401  (registers the trainers, whose settings the files change)
from clip_prompts.run.checks import check_config
from clip_prompts.run.config import default_config, merge_file

ROOT = Path(__file__).resolve().parents[2] / "configs"
DATASETS = sorted((ROOT / "datasets").glob("*.yaml"))
BUNDLED = [n for n in TRAINER_REGISTRY.registered_names() if TRAINER_REGISTRY.get(n).__module__.startswith("dassl.")]
FILES = sorted((ROOT / "trainers").glob("*/*.yaml"))
TRAINERS = [path for path in FILES if path.parent.name not in BUNDLED]  # of CLIP
BASELINES = ("ZeroshotCLIP", "LinearProbe")  # no optimizer, no prompt
BACKBONES = {"rn50": "RN50", "rn101": "RN101", "vit": "ViT-B/", "tiny": "tiny"}

UPSTREAM_DATASETS = {
    "imagenet": "ImageNet", "caltech101": "Caltech101", "oxford_pets": "OxfordPets", "stanford_cars": "StanfordCars",
    "oxford_flowers": "OxfordFlowers", "food101": "Food101", "fgvc_aircraft": "FGVCAircraft", "sun397": "SUN397",
    "dtd": "DescribableTextures", "eurosat": "EuroSAT", "ucf101": "UCF101", "imagenetv2": "ImageNetV2",
    "imagenet_sketch": "ImageNetSketch", "imagenet_a": "ImageNetA", "imagenet_r": "ImageNetR",
}  # fmt: skip
UPSTREAM_TRAINERS = {
    "CoOp": "rn50 rn50_ep100 rn50_ep50 rn50_ctxv1 rn50_ep50_ctxv1 rn50_val rn101 rn101_ep50 vit_b32 vit_b32_ep50 "
    "vit_b16 vit_b16_ep100 vit_b16_ep50 vit_b16_ctxv1 vit_b16_ep100_ctxv1 vit_b16_ep50_ctxv1",
    "CoCoOp": "vit_b16_c4_ep10_batch1_ctxv1 vit_b16_c4_ep10_batch1 vit_b16_c8_ep10_batch1 vit_b16_c16_ep10_batch1",
}


def merged(path):
    """The config that a run with this file has."""
    cfg = default_config()
    merge_file(cfg, str(path))
    return cfg


def name(path):
    return f"{path.parent.name}/{path.stem}"


@pytest.mark.parametrize("path", DATASETS, ids=name)
def test_a_dataset_file_holds_its_name_and_its_domains_and_nothing_else(path):
    content = yaml.safe_load(path.read_text())
    assert list(content) == ["DATASET"]
    cfg = merged(path)
    assert cfg.DATASET.NAME == UPSTREAM_DATASETS.get(path.stem, cfg.DATASET.NAME)
    if not (domains := DATASET_REGISTRY.get(cfg.DATASET.NAME).domains):
        assert list(content["DATASET"]) == ["NAME"]
        return
    assert list(content["DATASET"]) == ["NAME", "SOURCE_DOMAINS", "TARGET_DOMAINS"]
    sources, targets = cfg.DATASET.SOURCE_DOMAINS, cfg.DATASET.TARGET_DOMAINS
    assert len(sources) > 1 and len(targets) == 1 and {*sources, *targets} <= set(domains)
    assert not set(sources) & set(targets)


@pytest.mark.parametrize("path", TRAINERS, ids=name)
def test_a_trainer_file_merges_and_keeps_what_its_name_promises(path):
    cfg = merged(path)
    assert cfg.MODEL.BACKBONE.NAME.startswith(BACKBONES[path.stem.split("_")[0]])
    size = 32 if path.stem == "tiny" else 224
    assert tuple(cfg.INPUT.SIZE) == (size, size)
    assert cfg.INPUT.INTERPOLATION == "bicubic"
    assert cfg.INPUT.PIXEL_MEAN == [0.48145466, 0.4578275, 0.40821073]
    assert cfg.INPUT.PIXEL_STD == [0.26862954, 0.26130258, 0.27577711]
    flip = ["random_flip"] if path.stem != "tiny" else []
    assert list(cfg.INPUT.TRANSFORMS) == ["random_resized_crop", *flip, "normalize"]
    if epochs := re.search(r"_ep(\d+)", path.stem):
        assert cfg.OPTIM.MAX_EPOCH == int(epochs[1])
    node = cfg.TRAINER.COCOOP if path.parent.name == "CoCoOp" else cfg.TRAINER.COOP
    words = "ctxv1" in path.stem or (path.stem == "tiny" and path.parent.name not in BASELINES)
    assert node.CTX_INIT == ("a photo of a" if words else "")
    if length := re.search(r"_c(\d+)_", path.stem):
        assert node.N_CTX == int(length[1])


@pytest.mark.parametrize("path", FILES, ids=name)
def test_every_name_in_a_trainer_file_is_known(path):
    cfg = merged(path)
    cfg.TRAINER.NAME, cfg.DATASET.NAME = path.parent.name, "Digits"
    check_config(cfg)


@pytest.mark.parametrize("path", [p for p in TRAINERS if p.parent.name not in BASELINES], ids=name)
def test_training_settings_are_the_papers(path):
    cfg = merged(path)
    if path.stem == "rn50_val":  # features for the linear probe: nothing is trained
        assert "OPTIM" not in yaml.safe_load(path.read_text())
        assert cfg.DATALOADER.TRAIN_X.BATCH_SIZE == cfg.DATALOADER.TEST.BATCH_SIZE == 200
        return
    conditional = path.parent.name == "CoCoOp"
    assert cfg.DATALOADER.TRAIN_X.BATCH_SIZE == (1 if conditional else 32)
    optim = cfg.OPTIM
    assert (optim.NAME, optim.LR, optim.LR_SCHEDULER) == ("sgd", 0.002, "cosine")
    assert (optim.WARMUP_EPOCH, optim.WARMUP_TYPE, optim.WARMUP_CONS_LR) == (1, "constant", 1e-5)
    if path.stem == "tiny":
        assert (optim.MAX_EPOCH, cfg.DATALOADER.NUM_WORKERS) == (10 if conditional else 50, 0)
        return
    assert (cfg.DATALOADER.TEST.BATCH_SIZE, cfg.DATALOADER.NUM_WORKERS) == (100, 8)
    assert cfg.TRAIN.PRINT_FREQ == (20 if conditional else 5)
    if not conditional and "_ep" not in path.stem:
        assert optim.MAX_EPOCH == 200


def test_every_upstream_file_name_is_there():
    assert set(UPSTREAM_DATASETS) <= {path.stem for path in DATASETS}
    for folder, stems in UPSTREAM_TRAINERS.items():
        assert set(stems.split()) <= {path.stem for path in TRAINERS if path.parent.name == folder}


def test_every_bundled_trainer_has_its_files():
    assert BUNDLED and {(path.parent.name, path.stem) for path in FILES if path not in TRAINERS} == {
        (name, stem) for name in BUNDLED for stem in ("tiny", "resnet18")
    }


@pytest.mark.parametrize("trainer", BUNDLED)
def test_a_bundled_trainers_files_differ_in_size_and_network_only(trainer):
    """What a method is, its two files agree on; and they change no other method's settings."""
    paths = [ROOT / "trainers" / trainer / f"{stem}.yaml" for stem in ("tiny", "resnet18")]
    contents = [yaml.safe_load(path.read_text()) for path in paths]
    kinds = [
        (c.get("DATASET"), c["DATALOADER"].get("K_TRANSFORMS"), c["DATALOADER"]["TRAIN_X"].get("SAMPLER"))
        for c in contents
    ]
    assert kinds[0] == kinds[1]
    for path, content in zip(paths, contents, strict=True):
        assert set(content.get("TRAINER", {})) <= {trainer.upper()}
        network = merged(path).MODEL.BACKBONE.NAME
        assert network in BACKBONE_REGISTRY.registered_names()
        assert network.startswith({"tiny": "cnn_digit"}.get(path.stem, path.stem))


@pytest.mark.parametrize("stem", ["rn50", "vit_b16"])
def test_zero_shot_has_files_of_its_own(stem):
    files = [ROOT / "trainers" / trainer / f"{stem}.yaml" for trainer in ("ZeroshotCLIP", "CoOp")]
    own, coops = (yaml.safe_load(path.read_text()) for path in files)
    assert own == coops
