"""Each bundled trainer runs from its config file on the embedded domains, and leaves a record."""

import json
import sys

import pytest
import yaml
from dassl.engine import TRAINER_REGISTRY, TrainerXU

from clip_prompts.run.config import default_config, merge_file
from datasets import shapes_domains
from tests.conftest import ROOT
from tests.datasets.pictures import draw

pytestmark = pytest.mark.zoo

BUNDLED = [n for n in TRAINER_REGISTRY.registered_names() if TRAINER_REGISTRY.get(n).__module__.startswith("dassl.")]
DATASETS = ("shapes_domains", "pacs", "office_home", "digits_dg")
SIZES = {"tiny": (32, 32), "resnet18": (224, 224)}
SHORT = ["OPTIM.MAX_EPOCH", "1", "DATASET.NUM_SHOTS", "6", "DATALOADER.TRAIN_X.BATCH_SIZE", "12",
         "DATALOADER.TRAIN_U.BATCH_SIZE", "12", "TRAIN.COUNT_ITER", "train_x"]  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Folder of the pictures, which are made once."""
    return tmp_path_factory.mktemp("data")


@pytest.fixture
def start(data, tmp_path, monkeypatch, capsys):
    """``start(trainer, *more)``: run ``train.py`` with the tiny config for a few steps; the status and stderr."""
    import train

    monkeypatch.setattr(shapes_domains, "IMAGES", {"train": 1, "val": 1, "test": 1})

    def call(trainer, *more, out="run"):
        status = train.main([
            "--trainer", trainer, "--root", str(data), "--seed", "1", "--output-dir", str(tmp_path / out),
            "--dataset-config-file", str(ROOT / "configs/datasets/shapes_domains.yaml"),
            "--config-file", str(ROOT / f"configs/trainers/{trainer}/tiny.yaml"), *more,
        ])  # fmt: skip
        return status, capsys.readouterr().err

    console = sys.stdout
    yield call
    sys.stdout = console


@pytest.fixture
def source_weights(start, tmp_path):
    """``source_weights(backbone)``: the file that a short run of SourceOnly leaves."""

    def call(backbone):
        status, err = start("SourceOnly", "--backbone", backbone, *SHORT, out="source")
        assert status == 0, err
        return str(tmp_path / "source/model/model.pth.tar-1")

    return call


@pytest.mark.parametrize("name", BUNDLED)
def test_a_bundled_trainer_runs_and_is_recorded(name, start, source_weights, tmp_path):
    weights = []
    if name in ("ADDA", "AdaBN"):
        tiny = yaml.safe_load((ROOT / f"configs/trainers/{name}/tiny.yaml").read_text())
        weights = ["MODEL.INIT_WEIGHTS", source_weights(tiny["MODEL"]["BACKBONE"]["NAME"])]
    status, err = start(name, *SHORT, *weights)
    assert status == 0, err
    (record,) = json.loads((tmp_path / "run/results.json").read_text())
    assert (record["trainer"], record["dataset"], record["split"], record["epoch"]) == (
        name,
        "ShapesDomains",
        "test",
        1,
    )
    assert record["images"] == record["counts"]["total"] == 42
    assert 0 <= record["metrics"]["accuracy"] <= 100 and len(record["per_class"]) == 7
    cost = record["cost"]
    assert cost["step_seconds"] > 0 and cost["train_images_per_second"] > 0 and cost["test_images_per_second"] > 0
    assert record["hashes"]["backbone"] is None and record["hashes"]["train_x"] and record["learned"] > 0
    assert record["settings"]["DATASET"]["TARGET_DOMAINS"] == ["blur"]


@pytest.mark.parametrize("kind", SIZES)
@pytest.mark.parametrize("name", BUNDLED)
def test_a_config_has_what_its_trainer_requires(name, kind, tmp_path):
    trainer = TRAINER_REGISTRY.get(name)
    for dataset in DATASETS:
        cfg = default_config()
        merge_file(cfg, str(ROOT / f"configs/datasets/{dataset}.yaml"))
        merge_file(cfg, str(ROOT / f"configs/trainers/{name}/{kind}.yaml"))
        (tmp_path / "weights").touch()
        cfg.MODEL.INIT_WEIGHTS = str(tmp_path / "weights")
        trainer.check_cfg(object.__new__(trainer), cfg)
        assert cfg.DATALOADER.TRAIN_X.BATCH_SIZE % len(cfg.DATASET.SOURCE_DOMAINS) == 0 or (
            cfg.DATALOADER.TRAIN_X.SAMPLER != "RandomDomainSampler"
        )
        assert bool(cfg.DATASET.UNLABELED) == issubclass(trainer, TrainerXU), "whoever needs them asks for them"
        assert tuple(cfg.INPUT.SIZE) == SIZES[kind] and cfg.MODEL.BACKBONE.NAME


def test_few_labels_of_one_domain(start, tmp_path):
    domains = ["--source-domains", "clean", "--target-domains", "clean"]
    status, err = start(
        "FixMatch", *domains, "--backbone", "cnn_digitsdg", *SHORT, "DATASET.NUM_SHOTS", "2"
    )  # a flag ends the names
    assert status == 0, err
    (record,) = json.loads((tmp_path / "run/results.json").read_text())
    assert record["shots"] == 2 and record["settings"]["DATASET"]["UNLABELED"] == "rest"


def test_adaptation_on_the_users_own_domains(start, tmp_path):
    for seed, domain in enumerate(("photo", "sketch")):
        draw(tmp_path / "own" / domain, 6, seed=seed)
    flags = ["--dataset-config-file", str(ROOT / "configs/datasets/image_folder.yaml"), "--source-domains", "photo",
             "--target-domains", "sketch", "--root", str(tmp_path / "own")]  # fmt: skip
    status, err = start("DANN", *flags, *SHORT, "DATASET.NUM_SHOTS", "-1", "DATALOADER.TRAIN_X.BATCH_SIZE", "4")
    assert status == 0, err
    (record,) = json.loads((tmp_path / "run/results.json").read_text())
    assert record["dataset"] == "ImageFolder" and record["hashes"]["train_x"] != record["hashes"]["test"]


def test_a_trainer_that_needs_unlabelled_images_says_so(start):
    status, err = start("DANN", "--dataset-config-file", str(ROOT / "configs/datasets/digits.yaml"), *SHORT)
    assert status == 2
    assert (
        err.strip().splitlines()[-1].startswith("Error: DANN needs unlabelled images, but the dataset Digits has none")
    )
