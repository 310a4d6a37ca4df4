"""The config tree of ``defaults.yaml``: every key of the engine with its default value."""

from ast import literal_eval
from pathlib import Path

import yaml
from yacs.config import CfgNode


def _node(tree):
    """Return a YAML mapping as a config node. YAML has no tuples: they are text in parentheses."""
    return CfgNode({key: _value(value) for key, value in tree.items()})


def _value(value):
    if isinstance(value, dict):
        return _node(value)
    return literal_eval(value) if str(value).startswith("(") else value


# The parser in C, where PyYAML has it, takes 2 ms instead of 12.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_C = _node(yaml.load(Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8"), _LOADER))
