"""Every shipped YAML file merges into the defaults, and says what its name says."""

import re
from pathlib import Path

import pytest
import yaml
from dassl.data.datasets import DATASET_REGISTRY
from dassl.engine import TRAINER_REGISTRY
from dassl.modeling import BACKBONE_REGISTRY

import datasets  # noqa: F401  (registers the readers)
import trainers  # noqa: F401  (registers the trainers, whose settings the files change)
from clip_prompts.common.trees import flat
from clip_prompts.run.checks import check_config
from clip_prompts.run.config import default_config, merge_file

ROOT = Path(__file__).resolve().parents[2] / "configs"
DATASETS = sorted((ROOT / "datasets").glob("*.yaml"))
BUNDLED = [n for n in TRAINER_REGISTRY.registered_names() if TRAINER_REGISTRY.get(n).__module__.startswith("dassl.")]
FILES = sorted((ROOT / "trainers").glob("*/*.yaml"))
TRAINERS = [path for path in FILES if path.parent.name not in BUNDLED]  # of CLIP
BASELINES = ("ZeroshotCLIP", "LinearProbe")  # no optimizer, no prompt
LEARNED = [path for path in TRAINERS if path.parent.name not in BASELINES and path.stem != "rn50_val"]
BACKBONES = {"rn50": "RN50", "rn101": "RN101", "vit_b32": "ViT-B/32", "vit_b16": "ViT-B/16", "tiny": "tiny"}
PAPERS = yaml.safe_load(Path(__file__).with_name("papers.yml").read_text())
SHARED = {
    "DATALOADER.TEST.BATCH_SIZE": 100, "DATALOADER.NUM_WORKERS": 8, "OPTIM.NAME": "sgd", "OPTIM.LR": 0.002,
    "PREC": "fp16",
}  # fmt: skip

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


def promised(stem):
    """The settings that a file's name holds."""
    (backbone,) = (BACKBONES[part] for part in BACKBONES if re.search(rf"(^|_){part}(_|$)", stem))
    patterns = {"OPTIM.MAX_EPOCH": r"_ep(\d+)", "DATALOADER.TRAIN_X.BATCH_SIZE": r"_(?:batch|bs)(\d+)"}
    numbers = {key: int(found[1]) for key, pattern in patterns.items() if (found := re.search(pattern, stem))}
    words = {"CTX_INIT": "a photo of a"} if "ctxv1" in stem else {}
    return {"MODEL.BACKBONE.NAME": backbone, **numbers, **words}


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
def test_a_file_prepares_images_as_clip_does_and_changes_no_other_method(path):
    cfg, content, is_tiny = merged(path), yaml.safe_load(path.read_text()), path.stem == "tiny"
    assert cfg.MODEL.BACKBONE.NAME == promised(path.stem)["MODEL.BACKBONE.NAME"]
    assert set(content.get("TRAINER", {})) <= {path.parent.name.upper()}
    assert tuple(cfg.INPUT.SIZE) == ((32, 32) if is_tiny else (224, 224))
    assert cfg.INPUT.INTERPOLATION == "bicubic"
    assert cfg.INPUT.PIXEL_MEAN == [0.48145466, 0.4578275, 0.40821073]
    assert cfg.INPUT.PIXEL_STD == [0.26862954, 0.26130258, 0.27577711]
    flip = [] if is_tiny else ["random_flip"]
    assert list(cfg.INPUT.TRANSFORMS) == ["random_resized_crop", *flip, "normalize"]


@pytest.mark.parametrize("path", FILES, ids=name)
def test_every_name_in_a_trainer_file_is_known(path):
    cfg = merged(path)
    cfg.TRAINER.NAME, cfg.DATASET.NAME = path.parent.name, "Digits"
    check_config(cfg)


@pytest.mark.parametrize("path", [path for path in LEARNED if path.stem != "tiny"], ids=name)
def test_settings_are_the_papers(path):
    cfg, papers = flat(merged(path)), PAPERS[path.parent.name]
    expected = {**SHARED, **papers["all"], **promised(path.stem), **papers.get(path.stem, {})}
    node = f"TRAINER.{path.parent.name.upper()}."
    expected = {key if "." in key else node + key: value for key, value in expected.items()}
    assert {key: cfg[key] for key in expected} == expected


@pytest.mark.parametrize("path", LEARNED, ids=name)
def test_the_learning_rate_follows_a_cosine_after_an_epoch_of_warm_up(path):
    optim = merged(path).OPTIM
    assert optim.LR_SCHEDULER == "cosine"
    assert (optim.WARMUP_EPOCH, optim.WARMUP_TYPE, optim.WARMUP_CONS_LR) == (1, "constant", 1e-5)


def test_features_of_the_linear_probe_are_extracted_in_large_batches():
    file = ROOT / "trainers/CoOp/rn50_val.yaml"  # nothing is trained
    cfg = merged(file)
    assert "OPTIM" not in yaml.safe_load(file.read_text())
    assert cfg.DATALOADER.TRAIN_X.BATCH_SIZE == cfg.DATALOADER.TEST.BATCH_SIZE == 200


@pytest.mark.parametrize("method", PAPERS)
def test_every_method_of_the_papers_has_its_files_and_an_embedded_one(method):
    stems = {path.stem for path in LEARNED if path.parent.name == method}
    assert {"tiny", *PAPERS[method]} - {"all"} <= stems
    if method in UPSTREAM_TRAINERS:
        assert set(UPSTREAM_TRAINERS[method].split()) <= {*stems, "rn50_val"}


def test_every_upstream_dataset_has_its_file():
    assert set(UPSTREAM_DATASETS) <= {path.stem for path in DATASETS}


def test_every_bundled_trainer_has_its_files():
    assert BUNDLED and {(path.parent.name, path.stem) for path in FILES if path not in TRAINERS} == {
        (name, stem) for name in BUNDLED for stem in ("tiny", "resnet18")
    }


@pytest.mark.parametrize("trainer", BUNDLED)
def test_a_bundled_trainers_files_differ_in_size_and_network_only(trainer):
    """The two config files of a method agree on what the method is, and change no other method's settings."""
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
