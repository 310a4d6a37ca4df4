"""Numbers have ranges: every setting is checked before data are read, and the line names key, value and range."""

import math
import subprocess
import sys

import pytest
from dassl.data.transforms.transforms import AVAI_CHOICES
from dassl.engine import TRAINER_REGISTRY
from dassl.optim.lr_scheduler import AVAI_SCHEDS, AVAI_WARMUPS
from dassl.optim.optimizer import AVAI_OPTIMS

import datasets  # noqa: F401  (registers the readers)
import trainers  # noqa: F401  (registers the methods)
from clip_prompts.common.errors import UserError
from clip_prompts.common.trees import flat
from clip_prompts.records.settings import IRRELEVANT_SETTINGS, SETTINGS, TRANSFORMS, problem
from clip_prompts.run.checks import check_config
from clip_prompts.run.config import default_config
from tests.conftest import ROOT
from tools import config_docs

pytestmark = pytest.mark.integration

DEFAULTS = flat(default_config())
TRAINERS = [
    n
    for n in TRAINER_REGISTRY.registered_names()
    if TRAINER_REGISTRY.get(n).__module__.startswith(("trainers.", "dassl."))
]
NUMBERS = [key for key, value in DEFAULTS.items() if isinstance(value, int | float) and not isinstance(value, bool)]


def config(**settings):
    cfg = default_config()
    cfg.merge_from_list(["TRAINER.NAME", "CoOp", "DATASET.NAME", "Digits", "MODEL.BACKBONE.NAME", "tiny"])
    cfg.merge_from_list([part for key, value in settings.items() for part in (key.replace("__", "."), value)])
    return cfg


def test_every_setting_of_every_trainer_is_in_the_table():
    own = {
        key
        for key in DEFAULTS
        if not key.startswith("TRAINER.") or key.split(".")[1] in {n.upper() for n in TRAINERS} | {"CLIP", "NAME"}
    }
    assert set(SETTINGS) == own and IRRELEVANT_SETTINGS < set(SETTINGS)
    assert all(problem(key, DEFAULTS[key]) is None for key in SETTINGS)


@pytest.mark.parametrize("key", sorted(set(NUMBERS) & set(SETTINGS)))
def test_every_number_has_a_range(key):
    for value in (None, "x", True, (), math.nan, math.inf, -math.inf):
        line = problem(key, value)
        assert line and key in line and (" is not " in line or "Known" in line), value
    if "whole number" in SETTINGS[key].rule.words:
        assert all(problem(key, value) for value in (10**12, -(10**12), 0.5))


@pytest.mark.parametrize("key", [key for key in SETTINGS if SETTINGS[key].rule.choices])
def test_every_enumeration_names_its_choices(key):
    wrong = "bigger" if isinstance(DEFAULTS[key], str) else ("bigger",)
    assert SETTINGS[key].rule.choices[-1] in problem(key, wrong)


def test_choices_are_those_of_the_engine():
    choices = {key: set(setting.rule.choices) for key, setting in SETTINGS.items()}
    assert set(TRANSFORMS) == set(AVAI_CHOICES)
    assert choices["OPTIM.NAME"] == set(AVAI_OPTIMS)
    assert choices["OPTIM.LR_SCHEDULER"] == set(AVAI_SCHEDS)
    assert choices["OPTIM.WARMUP_TYPE"] == set(AVAI_WARMUPS)


@pytest.mark.parametrize("trainer", TRAINERS)
def test_every_trainer_is_checked(trainer):
    with pytest.raises(UserError, match="OPTIM.LR -1.0 is not a number above 0"):
        check_config(config(TRAINER__NAME=trainer, OPTIM__LR=-1.0))


@pytest.mark.parametrize(
    "key, value",
    [
        ("DATALOADER.TRAIN_X.BATCH_SIZE", "0"), ("DATALOADER.TEST.BATCH_SIZE", "0"), ("DATALOADER.K_TRANSFORMS", "0"),
        ("DATALOADER.K_TRANSFORMS", "2"), ("DATALOADER.NUM_WORKERS", "-1"), ("OPTIM.MAX_EPOCH", "-3"),
        ("OPTIM.MAX_EPOCH", "0"), ("OPTIM.LR", "-1"), ("OPTIM.LR", "0"), ("OPTIM.LR", "nan"), ("OPTIM.LR", "inf"),
        ("OPTIM.LR", "None"), ("INPUT.SIZE", "(32,)"), ("INPUT.SIZE", "(32, -32)"), ("INPUT.SIZE", "(10**9, 2)"),
        ("INPUT.SIZE", "(1000000000, 1000000000)"), ("INPUT.PIXEL_STD", "[0, 1, 1]"), ("INPUT.TRANSFORMS", "(1,)"),
        ("TRAIN.COUNT_ITER", "bigger"), ("TRAIN.PRINT_FREQ", "-1"), ("DATASET.NUM_SHOTS", "-5"), ("SEED", str(2**32)),
        ("SEED", "-2"), ("DATALOADER.TEST.SAMPLER", "Random"),
        ("TEST.SPLIT", "train"), ("TEST.FINAL_MODEL", "best"), ("DATALOADER.TRAIN_X.SAMPLER", "Random"),
        ("DATASET.VAL_PERCENT", "1.5"), ("FEATURES.TRAIN_VIEWS", "1000000000"), ("TRAINER.COOP.N_CTX", "1000000000"),
        ("TRAINER.CLIP.MEMORY_GB", "-1"), ("OPTIM.MOMENTUM", "-0.5"), ("OPTIM.STEPSIZE", "()"), ("OPTIM.GAMMA", "0"),
        ("TRAINER.CLIP.COMPILE", "inducter"), ("MODEL.INIT_WEIGHTS", "/no/file"), ("MODEL.HEAD.NAME", "mlp"),
        ("MODEL.HEAD.NAME", "mpl"), ("DATASET.SOURCE_DOMAINS", "('a',)"),
    ],
)  # fmt: skip
def test_a_run_says_so_before_it_reads_data(key, value, run):
    run("CoOp", "--root", "/nowhere", opts=[key, value])
    assert run.status == 2 and run.err.startswith("Error: ") and run.err.count("\n") == 1
    assert key in run.err and value.strip("()[],'")[:5] in run.err and "/nowhere" not in run.err


@pytest.mark.parametrize(
    "settings, line",
    [
        ({"OPTIM__NAME": "sgd", "OPTIM__SGD_NESTEROV": True, "OPTIM__MOMENTUM": 0.0}, "OPTIM.SGD_NESTEROV"),
        ({"OPTIM__LR_SCHEDULER": "multi_step"}, "OPTIM.STEPSIZE is (-1,), but multi_step needs"),
        ({"MODEL__HEAD__NAME": "mlp"}, "CoOp has no head"),
        ({"MODEL__HEAD__HIDDEN_LAYERS": (8,)}, "CoOp has no head"),
        ({"MODEL__HEAD__NAME": "mlp", "TRAINER__NAME": "SourceOnly"}, "a head needs both"),
        ({"TRAINER__DDAIG__CLAMP_MIN": 2.0}, "CLAMP_MAX 1.0"),
        ({"MODEL__BACKBONE__NAME": ""}, "No backbone given"),
        ({"OUTPUT_DIR": " "}, "Give --output-dir FOLDER"),
        ({"OPTIM__STAGED_LR": True}, "OPTIM.STAGED_LR True needs OPTIM.NEW_LAYERS"),
        ({"TRAIN__COUNT_ITER": "train_u"}, "TRAIN.COUNT_ITER train_u has no effect: CoOp"),
        ({"INPUT__NO_TRANSFORM": True}, "INPUT.NO_TRANSFORM is True, but CoOp"),
        ({"INPUT__TRANSFORMS": ("gaussian_blur",), "INPUT__SIZE": (8, 8)}, "INPUT.GB_K 21 is too large"),
    ],
    ids=str,
)
def test_settings_that_contradict_each_other(settings, line):
    with pytest.raises(UserError) as caught:
        check_config(config(**settings))
    assert line in str(caught.value)


def test_domains_of_a_dataset_that_has_none(capsys):
    with pytest.raises(UserError, match="TARGET_DOMAINS .*Digits has no domains"):
        check_config(config(DATASET__TARGET_DOMAINS=("a",)))
    check_config(config(DATASET__NAME="PACS", DATASET__SOURCE_DOMAINS=("photo",)))
    check_config(config(DATASET__NAME="ShapesDomains", DATASET__SOURCE_DOMAINS=("photo",)))
    assert "no effect" not in capsys.readouterr().out
    check_config(config(DATASET__NAME="CIFAR10", DATASET__SOURCE_DOMAINS=("photo",)))
    assert "no effect" in capsys.readouterr().out


def test_yaml_values_are_checked_alike(run, tmp_path):
    path = tmp_path / "wrong.yaml"
    path.write_text("OPTIM:\n  LR: fast\nMODEL:\n  BACKBONE:\n    NAME: tiny\n")
    run("CoOp", config=path)
    assert run.status == 2 and "OPTIM.LR 'fast' is not a number above 0" in run.err


@pytest.mark.parametrize("workers", (0, 1))
@pytest.mark.parametrize("views", (1, 2))
def test_a_picture_that_is_too_small_for_a_crop(workers, views, run, monkeypatch):
    monkeypatch.setattr(TRAINER_REGISTRY.get("CoOp"), "MAX_VIEWS", None)
    crop = {"INPUT__TRANSFORMS": "('random_crop',)", "DATALOADER__NUM_WORKERS": workers}
    run("CoOp", dataset="digits", DATALOADER__K_TRANSFORMS=views, **crop)  # 8 x 8 pixels
    assert run.status == 2 and run.err.count("\n") == 1
    assert ".png" in run.err and "INPUT.TRANSFORMS" in run.err and "INPUT.SIZE (32, 32)" in run.err
    assert views == 2 or run("CoOp", out="fits", **crop) == 0


def test_several_views_for_a_step_that_takes_one(run, monkeypatch):
    monkeypatch.setattr(TRAINER_REGISTRY.get("CoOp"), "MAX_VIEWS", None)
    run("CoOp", DATALOADER__K_TRANSFORMS=2)
    assert run.status == 2 and "DATALOADER.K_TRANSFORMS is 2" in run.err and run.err.count("\n") == 1


def test_docs_are_up_to_date():
    text = config_docs.PATH.read_text(encoding="utf-8")
    for key, setting in SETTINGS.items():
        assert f"| `{key.rpartition('.')[2]}`" in text and setting.text in text
    if set(DEFAULTS) == set(SETTINGS):  # no other test has imported a plugin
        assert text == config_docs.page(), "run python tools/config_docs.py"


def test_the_table_needs_no_torch():
    code = "import sys, clip_prompts.records.settings; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


@pytest.mark.parametrize("warm_up, note", [(0, False), (1, True)])
def test_a_rate_that_is_never_reached_is_named(warm_up, note, run):
    assert run("CoOp", OPTIM__WARMUP_EPOCH=warm_up, OPTIM__WARMUP_TYPE="linear") == 0
    assert ("Note: OPTIM.LR 0.002 is never reached" in run.stdout) == note
