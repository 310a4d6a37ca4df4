"""Untrusted configs and sweeps: plain YAML only, and no folder outside of the output."""

import json

import pytest

from clip_prompts.common.errors import UserError
from clip_prompts.run.config import default_config, merge_file
from clip_prompts.sweep import plan
from clip_prompts.sweep.request import Request

BOMB = "a: &a [1, 1]\n" + "".join(
    f"{b}: &{b} [*{a}, *{a}]\n" for a, b in zip("abcdefghijklmnopq", "bcdefghijklmnopqr", strict=True)
)
CASES = {
    "call": ('SEED: !!python/object/apply:os.system ["touch CANARY"]', "os.system"),
    "new": ('SEED: !!python/object/new:os.system ["touch CANARY"]', "os.system"),
    "name": ("SEED: !!python/name:os.system", "python/name"),
    "alias bomb": (BOMB, "aliases"),
    "endless alias": ("DATASET: &a {ROOT: *a}", "alias"),
    "depth": ("SEED: " + "[" * 5000, "nested"),
    "length": ("SEED: 1\n" + "#" * 300_000, "longer"),
    "key twice": ("OPTIM: {LR: 0.1}\nSEED: 1\nOPTIM: {LR: 0.2}", "'OPTIM' twice, again on line 3"),
    "date": ("SEED: 2001-99-99", "month"),
    "timestamp": ("SEED: !!timestamp x", "YAML"),
    "bytes": (b"SEED: \xff", "utf-8"),
}


@pytest.fixture
def canary(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    yield
    assert not (tmp_path / "CANARY").exists()


@pytest.mark.parametrize("read", ["config", "sweep"])
@pytest.mark.parametrize("case", CASES)
def test_what_is_not_plain_yaml_is_refused(case, read, tmp_path, canary):
    text, word = CASES[case]
    path = tmp_path / "a.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UserError if read == "config" else UserError) as caught:
        merge_file(default_config(), str(path)) if read == "config" else plan.read_requests(str(path), {})
    assert str(path) in str(caught.value) and word in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["a.py", "a.pkl", "a.yaml.py", "a"])
def test_python_is_no_config(name, tmp_path, canary):
    """yacs would execute it."""
    (tmp_path / name).write_text("open('CANARY', 'w')\ncfg = {}\n")
    with pytest.raises(UserError, match="not a YAML file"):
        merge_file(default_config(), str(tmp_path / name))


@pytest.mark.parametrize(
    "value", ["__import__('os').system('touch CANARY')", "{{}}", "(" * 500, "-" * 50_000 + "1", "--5"]
)
def test_a_value_is_text_or_a_literal(value, tmp_path, canary):
    (tmp_path / "a.yaml").write_text(json.dumps({"OPTIM": {"LR": value}, "SEED": 3}))
    with pytest.raises(UserError, match="a.yaml"):
        merge_file(default_config(), str(tmp_path / "a.yaml"))


def test_a_number_too_large_is_refused(tmp_path):
    (tmp_path / "a.yaml").write_text("OPTIM: {LR: 1" + "0" * 400 + "}")
    with pytest.raises(UserError, match="a.yaml"):
        merge_file(default_config(), str(tmp_path / "a.yaml"))


@pytest.mark.parametrize(
    "fields",
    [
        {"variant": "../../outside"},
        {"variant": "a\nb"},
        {"trainers": ["CoOp/../../../outside"], "config": "tiny"},
    ],
    ids=str,
)
@pytest.mark.parametrize("protocol", ["few_shot", "base2new", "cross_dataset"])
def test_the_runs_of_a_sweep_stay_in_its_output(protocol, fields):
    with pytest.raises(UserError, match="is outside") as caught:
        plan.plan(
            [Request(protocol=protocol, **{"trainers": ["CoOp"], "datasets": ["digits"], "seeds": [1], **fields})]
        )
    assert "\n" not in str(caught.value)


def test_a_plan_that_leads_outside_is_refused(tmp_path):
    plan.save(plan.plan([Request(protocol="few_shot", trainers=["CoOp"], datasets=["digits"])]), tmp_path)
    content = json.loads((tmp_path / plan.FILE).read_text())
    content["jobs"][0]["folder"] = "../outside"
    (tmp_path / plan.FILE).write_text(json.dumps(content))
    with pytest.raises(UserError, match="is outside"):
        plan.read(tmp_path)


def test_a_sweep_varies_in_no_more_ways_than_anyone_runs(tmp_path):
    settings = {f"A.B{i}": list(range(100)) for i in range(8)}
    (tmp_path / "a.yaml").write_text(json.dumps({"sweep": [{"protocol": "few_shot", "set": settings}]}))
    with pytest.raises(UserError, match="10,000,000,000,000,000 combinations"):
        plan.read_requests(str(tmp_path / "a.yaml"), {})
