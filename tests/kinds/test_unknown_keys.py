"""Unknown settings: the hint is a setting that exists, or says how a trainer declares one."""

import pytest

from clip_prompts.common.errors import UserError
from clip_prompts.run import arguments
from clip_prompts.run.config import build_config, default_config, import_plugin


def message(*argv):
    with pytest.raises(UserError) as caught:
        build_config(arguments.parse(list(argv)))
    return str(caught.value)


@pytest.fixture(scope="module")
def plugin(tmp_path_factory):
    """A trainer Weighted that declares nothing, and a trainer Declaring with one setting."""
    path = tmp_path_factory.mktemp("plugin") / "kinds_weighted.py"
    path.write_text(
        "from dassl.engine import TRAINER_REGISTRY, TrainerX\nfrom trainers.coop import CoOp\n"
        "@TRAINER_REGISTRY.register()\nclass Weighted(TrainerX): pass\n"
        "@TRAINER_REGISTRY.register()\nclass Declaring(CoOp):\n    CONFIG = CoOp.CONFIG | {'W': 8.0}\n"
    )
    import_plugin(str(path))


@pytest.mark.parametrize("as_yaml", (False, True))
@pytest.mark.parametrize("key", ("TRAINER.WEIGHTED.W", "TRAINER.COOP.W", "TRAINER.COOP.WEIGHT", "TRAINER.DECLARING.V"))
def test_an_undeclared_setting_of_a_trainer(key, as_yaml, plugin, tmp_path):
    argv = [key, "8.0"]
    if as_yaml:
        _, node, name = key.split(".")
        (tmp_path / "a.yaml").write_text(f"TRAINER:\n  {node}:\n    {name}: 8.0\n")
        argv = ["--config-file", str(tmp_path / "a.yaml")]
    line = message(*argv)
    assert f"Unknown config key '{key}'" in line and "CONFIG = {" in line and "extend_cfg" in line
    assert (
        "DAEL" not in line
        and "Did you mean 'TRAINER.COOP'" not in line
        and "Did you mean 'TRAINER.WEIGHTED'" not in line
    )


@pytest.mark.parametrize(
    "key, answer",
    [
        ("TRAINER.COOP.NCTX", "TRAINER.COOP.N_CTX"), ("TRAINER.COP.N_CTX", "TRAINER.COOP.N_CTX"),
        ("OPTIM.LRS", "OPTIM.LR"), ("OPTIM.EPOCHS", "OPTIM.MAX_EPOCH"), ("DATASET.NUM_SHOT", "DATASET.NUM_SHOTS"),
        ("DATALOADER.TRAIN_X.BATCHSIZE", "DATALOADER.TRAIN_X.BATCH_SIZE"), ("SEEDS", "SEED"),
    ],
)  # fmt: skip
def test_the_hint_is_a_setting(key, answer):
    assert f"Did you mean '{answer}'?" in message(key, "1")


@pytest.mark.parametrize("key", ("OPTI", "TRAINERS", "MODEL.BACKBON", "DATALOADER.TRAIN_Z", "TRAINER.COO", "XYZ"))
def test_the_hint_is_never_a_group(key):
    groups = {"OPTIM", "TRAINER", "MODEL.BACKBONE", "DATALOADER.TRAIN_X", "TRAINER.COOP"}
    line = message(key, "1")
    assert not any(f"Did you mean '{group}'" in line for group in groups)


def test_declared_settings_are_known(plugin):
    assert default_config().TRAINER.DECLARING.W == 8.0
    assert build_config(arguments.parse(["TRAINER.DECLARING.W", "2"])).TRAINER.DECLARING.W == 2.0


def file_config(tmp_path, text, *argv):
    (tmp_path / "method.yaml").write_text(text)
    return build_config(arguments.parse(["--config-file", str(tmp_path / "method.yaml"), *argv]))


FORKS = "TRAINER:\n  WEIGHTED:\n    W: 8\n    NAMES: [a, b]\n    DEEP: {LAYERS: 3}\n"


def test_a_config_file_declares_settings_for_a_trainer_that_declares_none(plugin, tmp_path):
    cfg = file_config(tmp_path, FORKS, "--trainer", "Weighted", "TRAINER.WEIGHTED.W", "2")
    assert cfg.TRAINER.WEIGHTED.W == 2 and list(cfg.TRAINER.WEIGHTED.NAMES) == ["a", "b"]
    assert cfg.TRAINER.WEIGHTED.DEEP.LAYERS == 3
    own = file_config(tmp_path, "TRAINER:\n  NAME: Weighted\n  PLAN:\n    STEPS: 3\n")
    assert own.TRAINER.PLAN.STEPS == 3
    assert "WEIGHTED" not in default_config().TRAINER


@pytest.mark.parametrize(
    "text, argv, parts",
    [
        (FORKS, (), ("TRAINER.WEIGHTED.W",)),  # no trainer takes them
        (FORKS, ("--trainer", "CoOp"), ("TRAINER.WEIGHTED.W",)),
        (FORKS, ("--trainer", "Declaring"), ("TRAINER.WEIGHTED.W",)),
        (FORKS, ("--trainer", "Weighted", "TRAINER.WEIGHTED.V", "1"), ("TRAINER.WEIGHTED.V", "Did you mean", "W")),
        (FORKS, ("--trainer", "Weighted", "TRAINER.WEIGHTED.W", "much"), ("TRAINER.WEIGHTED.W", "much")),
        ("TRAINER:\n  COOP:\n    NCTX: 4\n", ("--trainer", "Weighted"), ("Did you mean 'TRAINER.COOP.N_CTX'",)),
        ("TRAINER:\n  COP:\n    N_CTX: 4\n", ("--trainer", "Weighted"), ("Did you mean 'TRAINER.COOP.N_CTX'",)),
        ("TRAINER:\n  CoOp:\n    N_CTX: 4\n", ("--trainer", "Weighted"), ("TRAINER.CoOp.N_CTX",)),
        ("TRAINER:\n  WEIGHTED:\n    DAY: {2020-01-01: 1}\n", ("--trainer", "Weighted"), ("method.yaml",)),
    ],
)
def test_other_settings_of_a_config_file_stay_unknown(text, argv, parts, plugin, tmp_path):
    with pytest.raises(UserError) as caught:
        file_config(tmp_path, text, *argv)
    assert all(part in str(caught.value) for part in parts)


def test_an_empty_backbone_says_what_to_give(run, tmp_path):
    (tmp_path / "empty.yaml").write_text("OPTIM:\n  LR: 0.1\n")
    run("CoOp", "--backbone", "", config=tmp_path / "empty.yaml")
    assert run.status == 2 and "No backbone given. Use --backbone" in run.err and "--config-file" in run.err
