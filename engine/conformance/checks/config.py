"""Section 2: the config tree."""

from ..checking import check, differs, equal, raises


def cfg():
    from dassl.config import get_cfg_default

    return get_cfg_default()


@check("dassl.config.get_cfg_default", "dassl.config.cfg_default", "dassl.config.defaults._C")
def a_clone_each_time():
    """get_cfg_default returns a fresh deep clone; cfg_default and defaults._C are the one shared object."""
    import dassl.config
    from dassl.config import defaults

    first = cfg()
    first.OPTIM.LR = 7.0
    first.INPUT.PIXEL_MEAN[0] = 9.0
    assert cfg().OPTIM.LR == 0.0003 and cfg().INPUT.PIXEL_MEAN[0] == 0.485
    assert dassl.config.cfg_default is defaults._C and first is not defaults._C
    assert not first.is_frozen()


@check("dassl.config.cfg_default")
def no_other_keys():
    """The default tree has the keys of the table and no others."""
    from ..catalogue import read_catalogue

    def keys(node, path="cfg"):
        for key, value in node.items():
            yield from keys(value, f"{path}.{key}") if hasattr(value, "items") else [f"{path}.{key}"]

    known = {entry.name for entry in read_catalogue().values() if entry.kind == "cfg"}
    found = set(keys(cfg()))
    differs(known < found, "more-config-keys")
    equal(found, known)


@check("dassl.config.clean_cfg")
def clean_cfg_keeps_one_trainer():
    """clean_cfg removes in place every child of TRAINER but NAME and trainer.upper(), and returns None."""
    from dassl.config import clean_cfg

    tree = cfg()
    equal(clean_cfg(tree, "DomainMix"), None)
    equal(sorted(tree.TRAINER), ["DOMAINMIX", "NAME"])


@check("message:Non-existent key: {k}", "dassl.config.get_cfg_default")
def unknown_key():
    """An unknown key raises AssertionError: Non-existent key: {k}."""
    with raises(AssertionError, "Non-existent key: OPTIM.RATE"):
        cfg().merge_from_list(["OPTIM.RATE", 1.0])


@check("dassl.config.get_cfg_default")
def coercion():
    """list and tuple are taken for each other; 1e-3 in YAML becomes a float; an int for a float key and a str for a
    tuple key are refused with ValueError.
    """
    import os

    from ..checking import folder

    tree = cfg()
    tree.merge_from_list(["INPUT.SIZE", [8, 8], "INPUT.PIXEL_MEAN", (0.1, 0.2, 0.3)])
    equal((tree.INPUT.SIZE, tree.INPUT.PIXEL_MEAN), ((8, 8), [0.1, 0.2, 0.3]))
    path = os.path.join(folder(), "a.yaml")
    with open(path, "w") as file:
        file.write("OPTIM:\n  LR: 1e-3\n")
    tree.merge_from_file(path)
    equal(tree.OPTIM.LR, 0.001)
    with raises(ValueError):
        tree.merge_from_list(["OPTIM.LR", 1])
    with raises(ValueError):
        tree.merge_from_list(["INPUT.SIZE", "large"])


@check("client.*")
def client_keys(entry):
    """The engine does not define the key; a client can add it, merge into it and read it after freeze()."""
    import ast

    from yacs.config import CfgNode

    *parents, last = entry.short.split(".")
    default = ast.literal_eval(entry.expected)
    tree = node = cfg()
    for parent in parents:
        if parent not in node:
            node[parent] = CfgNode()
        node = node[parent]
    assert last not in node, "the engine defines it"
    node[last] = CfgNode(default) if isinstance(default, dict) else default
    if not isinstance(default, dict):
        other = {"str": "other", "int": 5, "bool": True}.get(type(default).__name__, "anything")
        tree.merge_from_list([entry.short, other])
        equal(node[last], other)
    tree.freeze()
    assert tree.clone().is_frozen()


@check(
    "cfg.DATASET.NUM_SHOTS", "cfg.DATALOADER.TRAIN_U.SAME_AS_X", "cfg.TEST.SPLIT", "cfg.OPTIM.SGD_DAMPNING",
    "cfg.OPTIM.STEPSIZE", "cfg.INPUT.INTERPOLATION",
)  # fmt: skip
def every_default_survives_yaml():
    """The default tree dumps to YAML and merges back without a change."""
    import os

    from ..checking import folder

    path = os.path.join(folder(), "all.yaml")
    tree = cfg()
    with open(path, "w") as file:
        file.write(tree.dump())
    other = cfg()
    other.merge_from_file(path)
    equal(other, tree)
