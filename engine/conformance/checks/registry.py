"""Section 3: registries, and what is registered in them."""

from ..checking import check, equal, raises
from ..presence import find


def fresh():
    from dassl.utils import Registry

    return Registry("THINGS")


def one():
    return 1


def two():
    return 2


@check("dassl.utils.Registry", "dassl.utils.Registry.register", "dassl.utils.Registry.registered_names")
def decorator_and_call():
    """register() decorates and returns the object; register(obj) returns None; names are kept in insertion order."""
    registry = fresh()
    assert registry.register()(two) is two
    equal(registry.register(one), None)
    names = registry.registered_names()
    assert isinstance(names, list)
    equal(names, ["two", "one"])


@check("dassl.utils.Registry.register", 'message:An object named "{n}" was already registered in "{REG}" registry')
def duplicate():
    """A duplicate without force is a KeyError; force=True overwrites silently and keeps the first position."""
    registry = fresh()
    registry.register(one)
    registry.register(two)

    def replacement():
        return 3

    replacement.__name__ = "one"
    with raises(KeyError, 'An object named "one" was already registered in "THINGS" registry'):
        registry.register(replacement)
    registry.register(replacement, force=True)
    assert registry.get("one") is replacement
    equal(registry.registered_names(), ["one", "two"])
    assert registry.register(force=True)(one) is one


@check("dassl.utils.Registry.get", 'message:Object name "{n}" does not exist in "{REG}" registry')
def unknown():
    """get of an unknown name is a KeyError."""
    with raises(KeyError, 'Object name "three" does not exist in "THINGS" registry'):
        fresh().get("three")


@check("registry:*")
def registry_name(entry):
    """The registry has this name; its error messages show it."""
    with raises(KeyError, f'Object name "no such" does not exist in "{entry.short}" registry'):
        find(entry.expected).get("no such")


@check(
    "message:The requested one is expected to belong to {list}, but got [{x}] (do you mean [{best}]?)",
    "dassl.engine.build_trainer", "dassl.data.datasets.build_dataset", "dassl.modeling.build_backbone",
    "dassl.modeling.build_head", "dassl.modeling.build_network", "dassl.evaluation.build_evaluator",
    "dassl.utils.check_availability",
)  # fmt: skip
def unknown_names_are_suggested():
    """Any builder with an unknown name raises ValueError that lists all names and suggests the closest."""
    from dassl.config import get_cfg_default
    from dassl.data.datasets import DATASET_REGISTRY, build_dataset
    from dassl.engine import TRAINER_REGISTRY, build_trainer
    from dassl.evaluation import EVALUATOR_REGISTRY, build_evaluator
    from dassl.modeling import HEAD_REGISTRY, NETWORK_REGISTRY, build_backbone, build_head, build_network
    from dassl.utils import check_availability

    from .. import tiny

    tiny.registered()
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
        with raises(ValueError, text):
            call()
    with raises(ValueError, "but got [resnet19] (do you mean [resnet1"):
        build_backbone("resnet19")
    with raises(ValueError, "The requested one is expected to belong to ['aa', 'bb'], but got [ab]"):
        check_availability("ab", ["aa", "bb"])
    check_availability("aa", ["aa", "bb"])


@check("trainer:*")
def trainer_is_registered(entry):
    """Importing dassl.engine registers the trainer, exports its class, and it has this base class."""
    import dassl.engine

    kind = dassl.engine.TRAINER_REGISTRY.get(entry.short)
    assert getattr(dassl.engine, entry.short) is kind
    assert issubclass(kind, getattr(dassl.engine, entry.expected))
    equal(kind.__name__, entry.short)


@check("dataset:*")
def dataset_is_registered(entry):
    """Importing dassl.engine registers the dataset: a DatasetBase that is built from cfg."""
    import inspect

    import dassl.engine  # noqa: F401
    from dassl.data.datasets import DATASET_REGISTRY, DatasetBase

    kind = DATASET_REGISTRY.get(entry.short)
    assert issubclass(kind, DatasetBase)
    equal(list(inspect.signature(kind).parameters), ["cfg"])


@check("evaluator:*")
def evaluator_is_registered(entry):
    """The evaluator is registered and is an EvaluatorBase."""
    from dassl.evaluation import EVALUATOR_REGISTRY, EvaluatorBase

    assert issubclass(EVALUATOR_REGISTRY.get(entry.short), EvaluatorBase)


@check("trainer:Vanilla", "dataset:PACS")
def names_are_reserved():
    """A plugin that reuses a bundled name without force fails with KeyError."""
    import dassl.engine
    from dassl.data.datasets import DATASET_REGISTRY

    for registry, name in ((dassl.engine.TRAINER_REGISTRY, "Vanilla"), (DATASET_REGISTRY, "PACS")):
        own = type(name, (registry.get(name),), {})
        with raises(KeyError, f'An object named "{name}" was already registered'):
            registry.register(own)
