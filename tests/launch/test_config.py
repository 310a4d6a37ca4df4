"""Merge order, flags, plugins."""

import pytest

import trainers  # noqa: F401  (registers the methods)
from clip_prompts.common.errors import UserError, unknown
from clip_prompts.run import arguments
from clip_prompts.run.config import build_config, default_config, import_plugin
from tests.conftest import ROOT


def config(*argv):
    return build_config(arguments.parse(list(argv)))


def test_later_settings_win(tmp_path):
    dataset, method = tmp_path / "dataset.yaml", tmp_path / "method.yaml"
    dataset.write_text("DATASET:\n  NAME: OxfordPets\n  ROOT: a\nSEED: 5\nOPTIM:\n  LR: 1e-1\n")
    method.write_text("DATASET:\n  ROOT: b\nOPTIM:\n  LR: 1e-2\n  MAX_EPOCH: 7\n")
    files = ["--dataset-config-file", str(dataset), "--config-file", str(method)]
    cfg = config(*files)
    assert (cfg.DATASET.NAME, cfg.DATASET.ROOT, cfg.OPTIM.LR, cfg.OPTIM.MAX_EPOCH, cfg.SEED) == (
        "OxfordPets",
        "b",
        0.01,
        7,
        5,
    )
    cfg = config(*files, "--root", "c", "OPTIM.MAX_EPOCH", "9")
    assert (cfg.DATASET.ROOT, cfg.OPTIM.MAX_EPOCH) == ("c", 9)
    assert config(*files, "--root", "c", "DATASET.ROOT", "d").DATASET.ROOT == "d"
    assert cfg.is_frozen()


def test_a_whole_number_is_a_number(tmp_path):
    """yacs alone refuses 2 where 2.0 is the default."""
    path = tmp_path / "memory.yaml"
    path.write_text("TRAINER:\n  CLIP:\n    MEMORY_GB: 3\n")
    cfg = config("--config-file", str(path), "OPTIM.LR", "1", "DATASET.NUM_SHOTS", "16")
    assert (cfg.TRAINER.CLIP.MEMORY_GB, cfg.OPTIM.LR, cfg.DATASET.NUM_SHOTS) == (3.0, 1.0, 16)
    assert type(cfg.DATASET.NUM_SHOTS) is int


@pytest.mark.parametrize("text", ["2024", "1e3", "None", "True", "(a)", "[1]", "{}", "a b"])
def test_a_text_may_look_like_another_value(text):
    cfg = config("--root", text, "DATASET.TEMPLATE", text, "DATASET.LABEL", f'"{text}"')
    assert [cfg.DATASET.ROOT, cfg.DATASET.TEMPLATE, cfg.DATASET.LABEL] == [text] * 3


@pytest.mark.parametrize("seed", (0, 1, -1))
def test_every_seed_is_a_seed(seed):
    assert config("--seed", str(seed)).SEED == seed


def test_flags():
    cfg = config(
        "--output-dir", "o", "--resume", "r", "--source-domains", "a", "b", "--target-domains", "c",
        "--transforms", "random_flip", "normalize", "--trainer", "CoOp", "--backbone", "RN50", "--head", "mlp",
    )  # fmt: skip
    assert (cfg.OUTPUT_DIR, cfg.RESUME, cfg.TRAINER.NAME) == ("o", "r", "CoOp")
    assert (list(cfg.DATASET.SOURCE_DOMAINS), list(cfg.DATASET.TARGET_DOMAINS)) == (["a", "b"], ["c"])
    assert list(cfg.INPUT.TRANSFORMS) == ["random_flip", "normalize"]
    assert (cfg.MODEL.BACKBONE.NAME, cfg.MODEL.HEAD.NAME) == ("RN50", "mlp")


def test_a_trainers_settings_stand_beside_the_trainer():
    from dassl.engine import TRAINER_REGISTRY

    cfg = default_config()
    for name in ("CoOp", "CoCoOp"):
        assert dict(cfg.TRAINER[name.upper()]) == TRAINER_REGISTRY.get(name).CONFIG
    assert cfg.TRAINER.COOP.N_CTX == 16 and cfg.TRAINER.COCOOP.PREC == "fp16"


def test_plugin_by_name_and_by_path(tmp_path, monkeypatch):
    from dassl.engine import TRAINER_REGISTRY

    source = "from dassl.engine import TRAINER_REGISTRY\nfrom trainers.coop import CoOp\n"
    source += "@TRAINER_REGISTRY.register()\nclass {}(CoOp):\n    CONFIG = CoOp.CONFIG | {{'MINE': 3}}\n"
    (tmp_path / "by_name.py").write_text(source.format("ByName"))
    (tmp_path / "by_path.py").write_text(source.format("ByPath"))
    monkeypatch.chdir(tmp_path)
    import_plugin("by_name")
    import_plugin(str(tmp_path / "by_path.py"))
    assert {"ByName", "ByPath"} <= set(TRAINER_REGISTRY.registered_names())
    assert default_config().TRAINER.BYPATH.MINE == 3


def test_a_plugin_that_needs_a_missing_module_says_which(tmp_path):
    (tmp_path / "broken.py").write_text("import no_such_module\n")
    with pytest.raises(UserError, match="no_such_module"):
        import_plugin(str(tmp_path / "broken.py"))


def test_unknown_names_are_answered_with_the_closest_and_the_known():
    assert str(unknown("trainer", "CoOP", ["CoCoOp", "CoOp"])) == (
        "Unknown trainer 'CoOP'. Did you mean 'CoOp'? Known: CoCoOp, CoOp"
    )
    assert "Did you mean" not in str(unknown("trainer", "xyz", ["CoOp"]))


# configs/sweeps/ holds no settings of a run; tests/tools/test_sweep_plan.py plans those files.
SETTINGS = sorted(p for p in (ROOT / "configs").rglob("*.yaml") if p.parent.name != "sweeps")


@pytest.mark.parametrize("path", SETTINGS, ids=lambda p: f"{p.parent.name}-{p.stem}")
def test_every_shipped_yaml_merges(path):
    flag = "--dataset-config-file" if path.parent.name == "datasets" else "--config-file"
    cfg = config(flag, str(path))
    assert cfg.DATASET.NAME if path.parent.name == "datasets" else cfg.MODEL.BACKBONE.NAME
