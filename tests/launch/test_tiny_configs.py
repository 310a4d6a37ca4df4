"""Every method learns on the embedded data with its file ``tiny``."""

import json

import pytest

from clip_prompts.common.method_facts import default_methods, read_facts
from tests.conftest import ROOT
from tools import sweep

pytestmark = pytest.mark.slow

METHODS = sorted(file.parent.name for file in (ROOT / "configs/trainers").glob("*/method.yml"))
LEARN = [
    name for name in METHODS
    if read_facts(name).takes_part("base2new") and (read_facts(name).folder / "tiny.yaml").is_file()
]  # fmt: skip


def test_every_method_is_above_zero_shot_on_the_digits_that_it_learned(tmp_path):
    """Some 40 s of CPU."""
    assert len(LEARN) >= 11 and set(default_methods("base2new")) <= set(LEARN)
    argv = ["base2new", ",".join(LEARN), "digits", "--seeds", "1", "--jobs", "2", "--no-report"]
    assert sweep.main([*argv, "--output", str(tmp_path)]) == 0
    records = [json.loads(file.read_text())[-1] for file in tmp_path.rglob("train_base/**/results.json")]
    accuracy = {record["trainer"]: record["metrics"]["accuracy"] for record in records}
    assert set(accuracy) == set(LEARN)
    zero_shot = accuracy.pop("ZeroshotCLIP")
    assert {name: value for name, value in accuracy.items() if value < zero_shot + 3} == {}
