"""Imports go one way and in no circle: train.py -> trainers, datasets -> dassl; the engine knows nothing of CLIP."""

import ast
import graphlib
from pathlib import Path

import pytest

from tests.conftest import ROOT

PLUGIN = {"trainers", "datasets", "tools", "train", "tests", "clip_prompts"}
# Room of clip_prompts -> the rooms that it may import besides itself.
ROOMS = {
    "common": set(),
    "data": {"common"},
    "backbones": {"common"},
    "encoders": {"common", "backbones"},
    "features": {"common", "encoders"},
    "clip": {"common", "backbones", "encoders", "features"},
    "records": {"common"},
    "artifact": {"common", "backbones", "clip", "records"},
    "run": {"common", "data", "backbones", "clip", "records", "artifact"},
    "prompt": {"common", "backbones", "encoders", "features", "clip", "data", "records", "artifact", "run"},
    "sweep": {"common", "records", "run"},
    "report": {"common", "records"},
}
FORBIDDEN = {
    "engine/dassl": PLUGIN | {"clip"},
    "engine/conformance": PLUGIN | {"clip"},
    "datasets": PLUGIN - {"datasets", "clip_prompts"} | {"clip"},
    "trainers": PLUGIN - {"trainers", "clip_prompts"},
    "clip_prompts": PLUGIN - {"clip_prompts"},
}
# What upstream's Dassl offers, by module; the plugin uses nothing else, so it also runs there.
DASSL = {
    "dassl.data": {"DatasetWrapper"},
    "dassl.config": {"get_cfg_default", "clean_cfg"},
    "dassl.data.datasets": {"DATASET_REGISTRY", "DatasetBase", "Datum", "build_dataset"},
    "dassl.data.transforms": {"INTERPOLATION_MODES", "build_transform"},
    "dassl.data.transforms.transforms": {"AVAI_CHOICES"},
    "dassl.engine": {"TRAINER_REGISTRY", "TrainerBase", "TrainerX", "TrainerXU", "build_trainer"},
    "dassl.evaluation": {"EVALUATOR_REGISTRY", "EvaluatorBase", "Classification"},
    "dassl.metrics": {"compute_accuracy"},
    "dassl.modeling": {"HEAD_REGISTRY"},
    "dassl.optim": {"build_optimizer", "build_lr_scheduler"},
    "dassl.optim.lr_scheduler": {"AVAI_SCHEDS"},
    "dassl.optim.optimizer": {"AVAI_OPTIMS"},
    "dassl.utils": {
        "collect_env_info", "load_checkpoint", "load_pretrained_weights", "listdir_nohidden", "mkdir_if_missing",
        "read_image", "read_json", "set_random_seed", "setup_logger", "write_json",
    },
}  # fmt: skip
OURS = [
    *ROOT.glob("*.py"),
    *(file for part in ("clip_prompts", "datasets", "tools", "trainers") for file in (ROOT / part).rglob("*.py")),
]


def imports(path: Path):
    """(module, name or None) of every absolute import in a file, inside functions too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield from ((node.module, alias.name) for alias in node.names)


def rooms(path: Path) -> set[str]:
    """Rooms of clip_prompts that a file of one of them imports."""
    absolute = (
        module.split(".")[1:2] or [name] for module, name in imports(path) if module.split(".")[0] == "clip_prompts"
    )
    return {room for (room,) in absolute}


@pytest.mark.parametrize("room", ROOMS)
def test_rooms_are_imported_one_way(room):
    files = list((ROOT / "clip_prompts" / room).rglob("*.py"))
    assert files
    assert not {f"{f.relative_to(ROOT)}: {r}" for f in files for r in rooms(f) - ROOMS[room] - {room}}


@pytest.mark.parametrize("folder", FORBIDDEN)
def test_imports_go_one_way(folder):
    files = list((ROOT / folder).rglob("*.py"))
    assert files
    wrong = [
        f"{file.relative_to(ROOT)} imports {module}"
        for file in files
        for module, _ in imports(file)
        if module.split(".")[0] in FORBIDDEN[folder]
    ]
    assert not wrong


def test_the_plugin_uses_only_upstreams_public_names():
    wrong = [
        f"{file.relative_to(ROOT)} uses {module}.{name}"
        for file in OURS
        for module, name in imports(file)
        if module.split(".")[0] == "dassl"
        and name not in DASSL.get(module, ())
        # our engine's alone, and imported only where it is there
        and name
        not in ("Observer", "UserError", "as_user_error", "image_suffixes", "load_image", "with_recorded_steps")
    ]
    assert not wrong


def graph(*tops: Path) -> dict[str, set[str]]:
    """Module -> the modules that it imports, lines inside functions included, of all files below some folders."""
    files = {}
    for top in tops:
        for file in top.rglob("*.py"):
            parts = file.relative_to(top if top.name == "tools" else top.parent).with_suffix("").parts
            files[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    found = {}
    for name, file in files.items():
        package = name.split(".") if file.stem == "__init__" else name.split(".")[:-1]
        named = set()
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                named |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                above = package[: len(package) + 1 - node.level] if node.level else []
                base = ".".join([*above, *([node.module] if node.module else [])])
                named |= {f"{base}.{a.name}" if f"{base}.{a.name}" in files else base for a in node.names}
        found[name] = named & files.keys() - {name}
    return found


def circle(modules: dict[str, set[str]]) -> list[str]:
    """The modules of an import circle; [] if there is none."""
    try:
        graphlib.TopologicalSorter(modules).prepare()
    except graphlib.CycleError as error:
        return error.args[1]
    return []


def test_there_is_no_import_circle_not_even_inside_functions():
    modules = graph(*(ROOT / part for part in ("clip_prompts", "datasets", "engine/dassl", "tools", "trainers")))
    assert len(modules) > 200 and "clip_prompts.clip" in modules["trainers.coop"]
    assert circle(modules) == []


def test_a_circle_is_found(tmp_path):
    (tmp_path / "p").mkdir()
    for name, line in (("a", "from .b import x"), ("b", "def f():\n    from p import c"), ("c", "import p.a")):
        (tmp_path / f"p/{name}.py").write_text(line)
    assert set(circle(graph(tmp_path / "p"))) == {"p.a", "p.b", "p.c"}


def test_no_program_changes_the_path_of_imports():
    assert not [str(file.relative_to(ROOT)) for file in OURS if "sys.path" in file.read_text(encoding="utf-8")]


def test_trainers_holds_methods_only():
    files = set((ROOT / "trainers").rglob("*.py")) - {ROOT / "trainers/__init__.py"}
    registering = {file for file in files if "@TRAINER_REGISTRY.register()" in file.read_text(encoding="utf-8")}
    assert files == registering == set((ROOT / "trainers").glob("*.py")) - {ROOT / "trainers/__init__.py"}


def test_a_method_is_one_file_and_one_folder_of_configs():
    from dassl.engine import TRAINER_REGISTRY

    import trainers  # noqa: F401

    ours = {n: TRAINER_REGISTRY.get(n).__module__ for n in TRAINER_REGISTRY.registered_names()}
    modules = {name: module for name, module in ours.items() if module.startswith("trainers.")}
    assert {"CoOp", "CoCoOp", "ZeroshotCLIP", "ZeroshotCLIP2"} <= set(modules)
    assert all(module.count(".") == 1 for module in modules.values()), "shared code registers nothing"
