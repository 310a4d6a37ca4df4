"""``python contract_only.py ARGUMENTS``: train.py on an engine without what upstream's Dassl does not have.

Modules, names that packages export, and config keys that are not in the tables of ``engine/conformance`` are taken out
of ``dassl`` before the plugin is imported. The engine's own modules have bound what they need by then.
"""

import importlib
import pkgutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "engine")]


def strip() -> list[str]:
    """Take out what is not in the contract; returns what went."""
    import dassl
    from conformance.catalogue import table
    from dassl.config.defaults import _C

    known = {"dassl", *(f"dassl.{name}" for name in table("dassl"))}
    classes = {*table("trainer"), *table("dataset"), *table("evaluator"), *table("head"), *table("sampler")}
    modules = [importlib.import_module(found.name) for found in pkgutil.walk_packages(dassl.__path__, "dassl.")]
    gone = []
    for module in modules:
        if not any(f"{name}.".startswith(f"{module.__name__}.") for name in known):
            sys.modules[module.__name__] = None  # what Python takes for "there is no such module"
            gone.append(module.__name__)
        elif hasattr(module, "__path__"):  # a package, whose names are exports
            for name, value in list(vars(module).items()):
                full = f"{module.__name__}.{name}"
                ours = getattr(value, "__module__", "").startswith("dassl.")
                if ours and not name.startswith("_") and full not in known and name not in classes:
                    delattr(module, name)
                    gone.append(full)
    _strip_keys(_C, "", set(table("cfg")), gone)
    return gone


def _strip_keys(node, path: str, known: set[str], gone: list[str]) -> None:
    for key, value in list(node.items()):
        full = f"{path}{key}"
        if hasattr(value, "items"):
            _strip_keys(value, f"{full}.", known, gone)
        elif full not in known:
            del node[key]
            gone.append(full)


if __name__ == "__main__":
    print("without", *strip())
    from clip_prompts.run.program import main

    sys.exit(main(sys.argv[1:]))
