"""A record says what happened: replaying its own settings into an empty folder gives its own metrics."""

import json
import os
import random

import pytest

import train
from clip_prompts.common.contents import content_hashes
from clip_prompts.common.trees import flat
from clip_prompts.run.config import default_config
from tests.conftest import records_of, remembered

pytestmark = pytest.mark.integration

SAMPLE = 10


def command(record, folder):
    """The command line of ``train.py`` that a record describes."""
    left_out = ("OUTPUT_DIR", "RESUME", "TRACKER")  # a tracker's package may be a test's stand-in
    settings = {key: value for key, value in flat(record["settings"]).items() if key not in left_out}
    flags = ["--output-dir", str(folder), "--protocol", record["protocol"]]
    if record["loaded"]:
        flags += ["--eval-only", "--model-dir", record["loaded"]["model_dir"]]
        if record["loaded"]["load_epoch"] is not None:
            flags += ["--load-epoch", str(record["loaded"]["load_epoch"])]
    values = [value if isinstance(value, str) else repr(value) for value in settings.values()]
    return [*flags, *(part for pair in zip(settings, values, strict=True) for part in pair)]


def can_be_replayed(record, known):
    """Whether what a record stands on is still there: the trainers of its test, and the model that it has loaded."""
    if not flat(record["settings"]).keys() <= known.keys():
        return False
    if not record["loaded"]:
        return True
    folder = record["loaded"]["model_dir"]
    files = {os.path.join(folder, weights["file"]): weights["sha256"] for weights in record["weights"]}
    return all(os.path.isfile(file) and content_hashes([file]) == [sha256] for file, sha256 in files.items())


def test_records_of_this_test_run_are_replayed(run, tmp_path, tmp_path_factory):
    assert run("CoOp", OPTIM__MAX_EPOCH=2) == 0
    file = remembered(tmp_path_factory)  # this test's own records are written at its end
    lines = records_of(run.out) + (file.read_text().splitlines() if file.exists() else [])
    known = flat(default_config())
    records = [record for record in map(json.loads, dict.fromkeys(lines)) if can_be_replayed(record, known)]
    seed = random.SystemRandom().randrange(10**6)
    chosen = random.Random(seed).sample(records, min(SAMPLE, len(records)))
    for i, record in enumerate(chosen):
        argv = command(record, tmp_path / f"replay{i}")
        assert train.main(argv) == 0, (seed, argv)
        again = json.loads((tmp_path / f"replay{i}" / "results.json").read_text())[-1]
        assert again["metrics"] == pytest.approx(record["metrics"], abs=1e-9), (seed, argv)
        assert again["hashes"] | {"config": 0} == record["hashes"] | {"config": 0}, (seed, argv)
