"""Every name of the interface can be imported, with its signature and its default."""

import ast
import inspect

import pytest
from dassl.config import get_cfg_default

from .catalogue import find, parameters, parameters_of, table

NAMES = {f"dassl.{name}": expected for name, expected in table("dassl").items() if expected != "attribute"}


@pytest.mark.parametrize("name, expected", NAMES.items())
def test_name(name, expected):
    found = find(name)
    if expected.startswith("("):
        assert parameters_of(found) == parameters(expected)
    elif expected.startswith("= "):
        assert found == ast.literal_eval(expected[2:])
    elif expected in ("module", "class"):
        assert {"module": inspect.ismodule, "class": inspect.isclass}[expected](found)
    elif expected in ("function", "method"):
        assert callable(found)


@pytest.mark.parametrize("key, expected", table("cfg").items())
def test_config_key(key, expected):
    found = get_cfg_default()
    for part in key.split("."):
        found = found[part]
    assert (type(found), found) == (type(ast.literal_eval(expected)), ast.literal_eval(expected))
