"""``python -m conformance`` beside an engine, or ``python path/to/conformance`` from anywhere."""

import importlib.util
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def _import_without_the_folder_above():
    """Import this package although the folder above is not on the path.

    That folder holds an engine. If it stood on the path, its ``dassl`` would be checked whatever is installed.
    """
    sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() not in (HERE, HERE.parent)]
    if "conformance" not in sys.modules:
        spec = importlib.util.spec_from_file_location(
            "conformance", HERE / "__init__.py", submodule_search_locations=[str(HERE)]
        )
        sys.modules["conformance"] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules["conformance"])
    if importlib.util.find_spec("dassl") is None:
        sys.path.append(str(HERE.parent))  # nothing is installed: the engine beside this folder


if __name__ == "__main__":
    _import_without_the_folder_above()
    from conformance.cli import main

    sys.exit(main())
