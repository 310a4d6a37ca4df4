"""Section 2: the config tree."""

import ast
import os
import re

import dassl.config
import pytest
from dassl.config import clean_cfg, defaults, get_cfg_default
from yacs.config import CfgNode

from .catalogue import table
from .support import differs


def cfg():
    return get_cfg_default()


def test_a_clone_each_time():
    """get_cfg_default returns a fresh deep clone; cfg_default and defaults._C are the one shared object."""
    first = cfg()
    first.OPTIM.LR = 7.0
    first.INPUT.PIXEL_MEAN[0] = 9.0
    assert cfg().OPTIM.LR == 0.0003 and cfg().INPUT.PIXEL_MEAN[0] == 0.485
    assert dassl.config.cfg_default is defaults._C and first is not defaults._C
    assert not first.is_frozen()


def test_no_other_keys():
    """The default tree has the keys of the table and no others."""

    def keys(node, path="cfg"):
        for key, value in node.items():
            yield from keys(value, f"{path}.{key}") if hasattr(value, "items") else [f"{path}.{key}"]

    known = {f"cfg.{key}" for key in table("cfg")}
    found = set(keys(cfg()))
    differs(known < found, "more-config-keys")
    assert found == known


def test_clean_cfg_keeps_one_trainer():
    """clean_cfg removes in place every child of TRAINER but NAME and trainer.upper(), and returns None."""
    tree = cfg()
    assert clean_cfg(tree, "DomainMix") is None
    assert sorted(tree.TRAINER) == ["DOMAINMIX", "NAME"]


def test_unknown_key():
    """An unknown key raises AssertionError: Non-existent key: {k}."""
    with pytest.raises(AssertionError, match=re.escape("Non-existent key: OPTIM.RATE")):
        cfg().merge_from_list(["OPTIM.RATE", 1.0])


def test_coercion(tmp_path):
    """list and tuple are taken for each other; 1e-3 in YAML becomes a float; an int for a float key and a str for a
    tuple key are refused with ValueError.
    """
    tree = cfg()
    tree.merge_from_list(["INPUT.SIZE", [8, 8], "INPUT.PIXEL_MEAN", (0.1, 0.2, 0.3)])
    assert (tree.INPUT.SIZE, tree.INPUT.PIXEL_MEAN) == ((8, 8), [0.1, 0.2, 0.3])
    path = os.path.join(tmp_path, "a.yaml")
    with open(path, "w") as file:
        file.write("OPTIM:\n  LR: 1e-3\n")
    tree.merge_from_file(path)
    assert tree.OPTIM.LR == 0.001
    with pytest.raises(ValueError):
        tree.merge_from_list(["OPTIM.LR", 1])
    with pytest.raises(ValueError):
        tree.merge_from_list(["INPUT.SIZE", "large"])


@pytest.mark.parametrize("name, expected", table("client").items())
def test_client_keys(name, expected):
    """The engine does not define the key; a client can add it, merge into it and read it after freeze()."""
    *parents, last = name.split(".")
    default = ast.literal_eval(expected)
    tree = node = cfg()
    for parent in parents:
        if parent not in node:
            node[parent] = CfgNode()
        node = node[parent]
    assert last not in node, "the engine defines it"
    node[last] = CfgNode(default) if isinstance(default, dict) else default
    if not isinstance(default, dict):
        other = {"str": "other", "int": 5, "bool": True}.get(type(default).__name__, "anything")
        tree.merge_from_list([name, other])
        assert node[last] == other
    tree.freeze()
    assert tree.clone().is_frozen()


def test_every_default_survives_yaml(tmp_path):
    """The default tree dumps to YAML and merges back without a change."""
    path = os.path.join(tmp_path, "all.yaml")
    tree = cfg()
    with open(path, "w") as file:
        file.write(tree.dump())
    other = cfg()
    other.merge_from_file(path)
    assert other == tree
