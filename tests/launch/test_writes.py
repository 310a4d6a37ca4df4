"""A run writes into its output folder, its dataset's folder and the user's cache, and starts no unknown program."""

import os

import pytest

from tests.fuzz.guard import Guard

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def guard():
    return Guard([])


def test_a_run_writes_nowhere_else(run, small, tmp_path, guard, monkeypatch):
    cache = tmp_path / "cache"
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    monkeypatch.delenv("PYTORCH_NVML_BASED_CUDA_CHECK", raising=False)  # a sweep that an earlier test ran sets it
    assert run(out="warm", OPTIM__MAX_EPOCH=1) == 0  # what is imported for the first time may keep files of its own
    monkeypatch.chdir(tmp_path)
    guard._always = [os.path.realpath(folder) for folder in (small, cache)]
    guard.arm(tmp_path / "run")
    try:
        status = run(out="run", OPTIM__MAX_EPOCH=1, TEST__SAVE_PREDICTIONS=True)
    finally:
        seen = guard.disarm()
    assert status == 0 and (tmp_path / "run" / "results.json").exists()
    assert any(cache.rglob("*.safetensors"))  # features
    own = ("git", "describe")  # the revision of this repository, for the record
    assert not [line for line in seen if not ("subprocess.Popen" in line and all(word in line for word in own))]
