"""Marks tests in which the engine of this repository differs from Dassl on purpose."""

from pathlib import Path

import dassl.utils
import pytest

from .catalogue import rows

OURS = Path(dassl.__file__).resolve().parents[1] == Path(__file__).resolve().parents[1]
DIFFERENCES = rows("differences")


def differs(condition, key):
    """End the test as an expected difference if ``condition``, which describes our behaviour, holds.

    On our own engine it must hold. On another one the rest of the test checks the behaviour of Dassl.
    """
    assert condition or not OURS, f"the engine no longer differs as facts/differences.txt says under {key}"
    if condition:
        pytest.xfail(DIFFERENCES[key])


def or_user_error(kind):
    """Returns the kinds of error to expect where Dassl raises ``kind`` and our engine raises one line for the user."""
    return kind, getattr(dassl.utils, "UserError", kind)
