"""The protocol of an evaluation, and the recipe that its seeds and datasets share."""

import json

import pytest

import trainers  # noqa: F401  (registers the trainers)
from clip_prompts.records.facts import recipe
from clip_prompts.records.protocols import derive, learned_on, source_of
from clip_prompts.run.config import default_config

pytestmark = pytest.mark.integration

OWN = {"dataset": "Target", "test": "t", "names": ["Red_fox", "owl"]}


def source(**changes):
    record = {"dataset": "Source", "classes": "all", "hashes": {"test": "s"}, "per_class": [{"name": "owl"}]}
    return record | changes


@pytest.mark.parametrize(
    "protocol, classes, learns, learned",
    [
        ("few_shot", "all", True, None),
        ("base2new", "base", True, None),
        ("base2new", "new", True, source(classes="base")),
        ("base2new", "all", True, source(classes="base")),
        ("base2new", "new", True, source()),
        ("few_shot", "new", True, source(dataset="Target")),
        ("few_shot", "base", True, source(dataset="Target")),
        ("base2new", "new", False, None),
        ("zeroshot", "all", False, None),
        ("cross_dataset", "all", True, source()),
        ("cross_dataset", "all", True, {"dataset": "Source", "classes": "all", "hashes": {"test": "s"}}),  # version 1
        ("domain_generalization", "all", True, source(per_class=[{"name": n} for n in ("cat", "owl", "red fox")])),
        ("few_shot", "all", True, source(dataset="Target", hashes={"test": "t"})),
        ("cross_dataset", "all", True, source(dataset="Target")),  # another folder of pictures
    ],
)
def test_derived(protocol, classes, learns, learned):
    assert derive(classes, learns, OWN, learned) == protocol


def test_embedded_variants_and_other_datasets(tmp_path, monkeypatch):
    """Shapes to its blurred variant, and to Digits, by the readers themselves."""
    from dassl.data.datasets import build_dataset

    import datasets  # noqa: F401

    def facts(name):
        cfg = default_config()
        cfg.merge_from_list(["DATASET.NAME", name, "DATASET.ROOT", str(tmp_path)])
        dataset = build_dataset(cfg)
        return {"dataset": name, "test": name, "names": dataset.classnames}

    shapes = facts("Shapes")
    per_class = [{"name": name} for name in shapes["names"]]
    learned = {"dataset": "Shapes", "classes": "all", "hashes": {"test": "Shapes"}, "per_class": per_class}
    expected = {"Shapes": "few_shot", "ShapesBlur": "domain_generalization", "Digits": "cross_dataset"}
    assert {name: derive("all", True, facts(name), learned) for name in expected} == expected


def test_the_record_of_the_learning_run(tmp_path):
    def write(*found):
        (tmp_path / "results.json").write_text(json.dumps(found))

    assert learned_on(str(tmp_path)) is None
    write({"n": 0, "split": "val"})
    assert learned_on(str(tmp_path))["n"] == 0
    write(
        {"n": 0, "split": "test"}, {"n": 1, "split": "test", "seed": 3}, {"n": 2, "split": "test", "loaded": {"a": 1}}
    )
    assert learned_on(str(tmp_path))["n"] == 1
    assert source_of(learned_on(str(tmp_path))) == dict.fromkeys(
        ("dataset", "label", "classes", "shots", "recipe", "config")
    ) | {"seed": 3}
    (tmp_path / "results.json").write_text("[{")
    assert learned_on(str(tmp_path)) is None


@pytest.mark.parametrize(
    "pair, shared",
    [
        (["SEED", 5], True),
        (["OUTPUT_DIR", "elsewhere"], True),
        (["RESUME", "elsewhere"], True),
        (["DATASET.NAME", "Digits"], True),
        (["DATASET.ROOT", "/data"], True),
        (["DATASET.SUBSAMPLE_CLASSES", "base"], True),
        (["DATALOADER.NUM_WORKERS", 0], True),
        (["FEATURES.CACHE", False], True),
        (["TRAIN.CHECKPOINT_FREQ", 5], True),
        (["TEST.SAVE_PREDICTIONS", True], True),
        (["TRACKER", "none"], True),
        (["TRAINER.CLIP.MEMORY_GB", 2.0], True),
        (["DATASET.NUM_SHOTS", 16], False),
        (["MODEL.BACKBONE.NAME", "RN50"], False),
        (["TRAINER.NAME", "CoCoOp"], False),
        (["TRAINER.COOP.N_CTX", 4], False),
        (["OPTIM.MAX_EPOCH", 50], False),
        (["TEST.FINAL_MODEL", "best_val"], False),
        (["FEATURES.TRAIN_VIEWS", 4], False),  # another way to train
        (["DATASET.SOURCE_DOMAINS", ["clean"]], False),  # other images to learn from
        (["DATASET.TARGET_DOMAINS", ["blur"]], True),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else None,
)
def test_recipe(pair, shared):
    one, other, defaults = default_config(), default_config(), default_config()
    other.merge_from_list(pair)
    assert (recipe(one, defaults) == recipe(other, defaults)) == shared
    other.merge_from_list([pair[0], one_of(one, pair[0])])
    assert recipe(one, defaults) == recipe(other, defaults)


def one_of(cfg, key):
    for part in key.split("."):
        cfg = cfg[part]
    return cfg
