"""``TRAINER.CLIP.COMPILE``: the same numbers, and a clear line for an unknown backend."""

import json

import pytest

from tests.conftest import METHODS

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("trainer", METHODS)
def test_compiled_encoders_give_the_same_numbers(trainer, run):
    """With the backend that traces only; the others need a compiler and most of a minute."""
    found = {}
    for backend in ("", "eager"):
        assert run(trainer, out=f"run_{backend}", TRAINER__CLIP__COMPILE=backend, OPTIM__MAX_EPOCH=1) == 0
        found[backend] = json.loads((run.out / "results.json").read_text())[-1]["metrics"]
    assert found["eager"] == pytest.approx(found[""], rel=1e-4)


def test_an_unknown_backend_is_named(run):
    assert run(TRAINER__CLIP__COMPILE="inducter") == 2
    assert "Did you mean 'inductor'?" in run.err
