"""Section 3: registries, and what is registered in them."""

import inspect
import re

import dassl.engine
import pytest
from dassl.config import get_cfg_default
from dassl.data.datasets import DATASET_REGISTRY, DatasetBase, build_dataset
from dassl.engine import TRAINER_REGISTRY, build_trainer
from dassl.evaluation import EVALUATOR_REGISTRY, EvaluatorBase, build_evaluator
from dassl.modeling import HEAD_REGISTRY, NETWORK_REGISTRY, build_backbone, build_head, build_network
from dassl.utils import Registry, check_availability

from .catalogue import find, table


def fresh():
    return Registry("THINGS")


def one():
    return 1


def two():
    return 2


def test_decorator_and_call():
    """register() decorates and returns the object; register(obj) returns None; names are kept in insertion order."""
    registry = fresh()
    assert registry.register()(two) is two
    assert registry.register(one) is None
    names = registry.registered_names()
    assert isinstance(names, list)
    assert names == ["two", "one"]


def test_duplicate():
    """A duplicate without force is a KeyError; force=True overwrites silently and keeps the first position."""
    registry = fresh()
    registry.register(one)
    registry.register(two)

    def replacement():
        return 3

    replacement.__name__ = "one"
    with pytest.raises(KeyError, match=re.escape('An object named "one" was already registered in "THINGS" registry')):
        registry.register(replacement)
    registry.register(replacement, force=True)
    assert registry.get("one") is replacement
    assert registry.registered_names() == ["one", "two"]
    assert registry.register(force=True)(one) is one


def test_unknown():
    """get of an unknown name is a KeyError."""
    with pytest.raises(KeyError, match=re.escape('Object name "three" does not exist in "THINGS" registry')):
        fresh().get("three")


@pytest.mark.parametrize("name, expected", table("registry").items())
def test_registry_name(name, expected):
    """The registry has this name; its error messages show it."""
    with pytest.raises(KeyError, match=re.escape(f'Object name "no such" does not exist in "{name}" registry')):
        find(expected).get("no such")


def test_unknown_names_are_suggested():
    """Any builder with an unknown name raises ValueError that lists all names and suggests the closest."""
    cfg = get_cfg_default()
    cfg.TRAINER.NAME, cfg.DATASET.NAME, cfg.TEST.EVALUATOR = "ConformanceY", "ConformancePicture", "Classificatio"
    cases = [
        (lambda: build_trainer(cfg), TRAINER_REGISTRY, "ConformanceY", "ConformanceX"),
        (lambda: build_dataset(cfg), DATASET_REGISTRY, "ConformancePicture", "ConformancePictures"),
        (lambda: build_evaluator(cfg), EVALUATOR_REGISTRY, "Classificatio", "Classification"),
        (lambda: build_head("mlpp"), HEAD_REGISTRY, "mlpp", "mlp"),
        (lambda: build_network("fcn_3x32_gct"), NETWORK_REGISTRY, "fcn_3x32_gct", "fcn_3x32_gctx"),
    ]
    for call, registry, asked, best in cases:
        names = registry.registered_names()
        if best == "ConformanceX":  # of equally close names the last counts
            best = [n for n in names if n.startswith("Conformance") and len(n) == len(best)][-1]
        text = f"The requested one is expected to belong to {names}, but got [{asked}] (do you mean [{best}]?)"
        with pytest.raises(ValueError, match=re.escape(text)):
            call()
    with pytest.raises(ValueError, match=re.escape("but got [resnet19] (do you mean [resnet1")):
        build_backbone("resnet19")
    with pytest.raises(
        ValueError, match=re.escape("The requested one is expected to belong to ['aa', 'bb'], but got [ab]")
    ):
        check_availability("ab", ["aa", "bb"])
    check_availability("aa", ["aa", "bb"])


@pytest.mark.parametrize("name, expected", table("trainer").items())
def test_trainer_is_registered(name, expected):
    """Importing dassl.engine registers the trainer, exports its class, and it has this base class."""
    kind = dassl.engine.TRAINER_REGISTRY.get(name)
    assert getattr(dassl.engine, name) is kind
    assert issubclass(kind, getattr(dassl.engine, expected))
    assert kind.__name__ == name


@pytest.mark.parametrize("name", table("dataset"))
def test_dataset_is_registered(name):
    """Importing dassl.engine registers the dataset: a DatasetBase that is built from cfg."""
    kind = DATASET_REGISTRY.get(name)
    assert issubclass(kind, DatasetBase)
    assert list(inspect.signature(kind).parameters) == ["cfg"]


@pytest.mark.parametrize("name", table("evaluator"))
def test_evaluator_is_registered(name):
    """The evaluator is registered and is an EvaluatorBase."""
    assert issubclass(EVALUATOR_REGISTRY.get(name), EvaluatorBase)


def test_names_are_reserved():
    """A plugin that reuses a bundled name without force fails with KeyError."""
    for registry, name in ((dassl.engine.TRAINER_REGISTRY, "Vanilla"), (DATASET_REGISTRY, "PACS")):
        own = type(name, (registry.get(name),), {})
        with pytest.raises(KeyError, match=re.escape(f'An object named "{name}" was already registered')):
            registry.register(own)
