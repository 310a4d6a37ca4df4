"""The config of a run: defaults, files, flags and trailing pairs, merged and frozen."""

import argparse
import ast
import contextlib
import copy
import importlib
import importlib.util
import os
import sys
import traceback
from collections.abc import Iterable
from importlib.machinery import ModuleSpec, PathFinder
from typing import Any

from dassl.config import get_cfg_default
from dassl.engine import TRAINER_REGISTRY
from yacs.config import CfgNode

from clip_prompts.clip import CLIPTrainer
from clip_prompts.common.errors import UserError, closest
from clip_prompts.common.files import MIB, FileRefused, open_regular
from clip_prompts.common.text import one_line
from clip_prompts.common.trees import flat
from clip_prompts.common.yaml_files import read_settings, read_yaml
from clip_prompts.data.config import add_config
from clip_prompts.records.settings import problem

from .checkout import run_file, run_spec

# Flag -> the config key that it sets.
_FLAGS = {
    "root": "DATASET.ROOT", "output_dir": "OUTPUT_DIR", "resume": "RESUME", "seed": "SEED",
    "source_domains": "DATASET.SOURCE_DOMAINS", "target_domains": "DATASET.TARGET_DOMAINS",
    "transforms": "INPUT.TRANSFORMS", "trainer": "TRAINER.NAME", "backbone": "MODEL.BACKBONE.NAME",
    "head": "MODEL.HEAD.NAME",
}  # fmt: skip
# Keys of our engine that upstream's lacks.
_ENGINE_KEYS = (
    "DATALOADER.DECODED_MB", "DATALOADER.PERSISTENT_WORKERS", "TRAIN.CHECKPOINT_BATCHES", "TRAIN.CHECKPOINT_SECONDS",
)  # fmt: skip
# What comes of a value that does not fit its key. yacs reads text as a Python literal, which is data, but may be of a
# type that no setting has ("{{}}"), or too deep or too large to be read.
_UNFIT = (ValueError, KeyError, AssertionError, TypeError, OverflowError, RecursionError, MemoryError)


def default_config() -> CfgNode:
    """Dassl's defaults, the datasets' and the records' keys, and the settings of every registered trainer.

    ``TEST.SAVE_PREDICTIONS``: write ``predictions.csv``, a row for each test image, see ``predictions.py``.
    ``TRACKER``: what draws a run's curves, see ``trackers.py``.
    """
    cfg = get_cfg_default()
    add_config(cfg)
    cfg.TEST.SAVE_PREDICTIONS = False
    cfg.TRACKER = "tensorboard"
    for name in TRAINER_REGISTRY.registered_names():
        extend = getattr(TRAINER_REGISTRY.get(name), "extend_cfg", None)  # trainers written for upstream have none
        if extend is not None:
            extend(cfg)
    return cfg


def build_config(args: argparse.Namespace) -> CfgNode:
    """Merge defaults, dataset file, method file, flags and trailing pairs; freeze.

    Raises:
        UserError: missing or malformed file, unknown key (with the closest match), value of the wrong type.
    """
    cfg = default_config()
    if args.dataset_config_file:
        merge_file(cfg, args.dataset_config_file)
    if args.config_file:
        merge_file(cfg, args.config_file, args.trainer)
    for flag, key in _FLAGS.items():
        if (value := getattr(args, flag)) is not None:
            _merge(cfg, key, value, f"--{flag.replace('_', '-')}")
    opts = [o for o in args.opts if o != "--"]
    if len(opts) % 2:
        raise UserError(f"Settings come in pairs, KEY VALUE: '{opts[-1]}' has no value")
    for key, value in zip(opts[::2], opts[1::2], strict=True):
        _merge(cfg, key, value, "the command line")
    if cfg.TRAINER.NAME in TRAINER_REGISTRY.registered_names():  # check_config refuses an unknown name
        trainer = TRAINER_REGISTRY.get(cfg.TRAINER.NAME)
        if issubclass(trainer, CLIPTrainer) and trainer.CONFIG:
            node = trainer.__name__.upper()
            trainer.settle_settings(cfg.TRAINER[node], f"TRAINER.{node}", opts[::2])
    cfg.freeze()
    return cfg


def stated_settings(args: argparse.Namespace) -> dict[str, str]:
    """Config key -> "command line" or "config file", for all settings that the user states.

    The dataset's file counts as the data's description, not as a statement about the method.
    """
    content = read_yaml(args.config_file) if args.config_file else {}
    stated = dict.fromkeys(flat(content or {}), "config file")
    stated |= {key: "command line" for flag, key in _FLAGS.items() if getattr(args, flag) is not None}
    return stated | {key: "command line" for key in [o for o in args.opts if o != "--"][::2]}


def changed_settings(args: argparse.Namespace, cfg: CfgNode) -> dict[str, Any]:
    """Setting -> value in ``cfg``, of all settings that the command line changes in the config files and defaults."""
    files = argparse.Namespace(**{**vars(args), **dict.fromkeys(_FLAGS), "trainer": args.trainer, "opts": []})
    before, now = flat(build_config(files)), flat(cfg)
    keys = [key for flag, key in _FLAGS.items() if getattr(args, flag) is not None]
    keys += [o for o in args.opts if o != "--"][::2]
    return {key: now[key] for key in keys if key in now and now[key] != before.get(key)}


def merge_file(cfg: CfgNode, path: str, trainer: str | None = None) -> None:
    """Merge a YAML file into an open config. Other kinds of files are refused: yacs would execute Python ones.

    Args:
        trainer: of a method's file, the trainer that the command line names.
    """
    if not os.path.isfile(path):
        folder = os.path.dirname(path) or "."
        if not os.path.isdir(folder):
            hint = f" There is no folder '{folder}'"
        elif os.path.exists(path):
            hint = " It is not a regular file"
        else:
            near = sorted(f for f in os.listdir(folder) if f.endswith(".yaml"))
            hint = f" In {folder}: {', '.join(near)}" if near else ""
        raise UserError(f"No config file '{path}'.{hint}")
    if not path.endswith((".yaml", ".yml")):
        raise UserError(f"Config file '{path}' is not a YAML file. Its name must end in .yaml or .yml")
    content = read_settings(path, f"Config file '{path}'") or {}
    if not isinstance(content, dict):
        raise UserError(f"Config file '{path}' holds no settings. Write lines of the form KEY: VALUE")
    given: dict[str, Any] = flat(content)
    try:
        _declare_nodes(cfg, content, trainer)
        _check_keys(cfg, content, path)
        known = flat(cfg)
        for key, value in given.items():
            if _is_whole(value) and isinstance(known.get(key), float):  # yacs wants 2.0
                *groups, name = key.split(".")
                _node(content, groups)[name] = float(value)
        cfg.merge_from_other_cfg(CfgNode(content))
    except _UNFIT as error:
        lines = (problem(key, value) for key, value in given.items())
        raise UserError(f"Config file '{path}': {next(filter(None, lines), _reason(error))}") from error


def _declare_nodes(cfg: CfgNode, content: dict, trainer: str | None) -> None:
    """Declare the settings below TRAINER that a method's file gives for a trainer that declares none.

    A trainer written for another program may declare its settings there. Then its config file is the declaration. A
    node with a name that is almost that of a declared node is a typo, and stays unknown.
    """
    nodes = content.get("TRAINER")
    nodes = nodes if isinstance(nodes, dict) else {}
    trainer = str(trainer or nodes.get("NAME", ""))
    declared = [name for name, node in cfg.TRAINER.items() if isinstance(node, CfgNode)]
    if trainer not in TRAINER_REGISTRY.registered_names() or trainer.upper() in declared:
        return
    for name, node in nodes.items():
        is_new = isinstance(name, str) and isinstance(node, dict) and name not in declared
        if is_new and (name == trainer.upper() or closest(name, declared, 0.8) is None):
            cfg.TRAINER[name] = CfgNode(copy.deepcopy(node))


def import_plugin(name: str) -> None:
    """Import a module by its dotted name or by the path of its file, so that it registers what it brings.

    A dotted name is looked up as ``import`` does, then in the current folder. Raises UserError.
    """
    try:
        if name.endswith(".py"):
            stem, path = os.path.basename(name).removesuffix(".py"), os.path.abspath(name)
            if getattr(sys.modules.get(stem), "__file__", None) != path:
                open_regular(path, MIB).close()
                run_file(stem, path)
            return
        top = name.partition(".")[0]
        spec = importlib.util.find_spec(top)
        if spec is None and (spec := PathFinder.find_spec(top, [os.getcwd()])):
            _check_source(spec)
            run_spec(spec)
        if name not in sys.modules and (spec := importlib.util.find_spec(name)):
            _check_source(spec)
        importlib.import_module(name)
    except FileRefused as error:
        raise UserError(f"Plugin '{name}' cannot be imported: {error.strerror}. Give a Python file") from error
    except (ModuleNotFoundError, FileNotFoundError) as error:
        raise UserError(
            f"Plugin '{name}' cannot be imported: {error}. Give the name of a module, or the path of a file"
        ) from error
    except UserError:
        raise
    except (Exception, SystemExit) as error:  # any line of the plugin may raise
        raise UserError(f"Plugin '{name}' cannot be imported: {_where(error)}. Correct it, or remove it") from error


def _check_source(spec: ModuleSpec) -> None:
    if spec.origin and spec.origin.endswith(".py"):
        open_regular(spec.origin, MIB).close()


def _where(error: BaseException) -> str:
    """The kind of an error, its text, and the line that raised it."""
    if isinstance(error, SyntaxError):
        return f"{type(error).__name__}: {error.msg} ({error.filename}, line {error.lineno})"
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {error} ({last.filename}, line {last.lineno})"


def _merge(cfg: CfgNode, key: str, value: Any, source: str) -> None:
    _check_keys(cfg, {key: value}, source)
    try:
        if _is_whole(value) and isinstance(_node(cfg, key.split(".")), float):
            value = float(value)
        elif isinstance(value, str) and isinstance(_node(cfg, key.split(".")), str) and not _is_quoted(value):
            value = repr(value)  # a text may look like a number or a tuple: a folder called 2024
        cfg.merge_from_list([key, value])
    except _UNFIT as error:
        reason = problem(key, value) or _reason(error)
        raise UserError(f"Setting {key} = '{one_line(str(value), 80)}' from {source}: {reason}") from error


def _reason(error: Exception) -> str:
    return one_line(str(error), 500) or type(error).__name__


def _check_keys(cfg: CfgNode, content: dict, source: str) -> None:
    known = flat(cfg, groups=True)
    for key, value in flat(content, groups=True).items():
        if key in known and isinstance(known[key], CfgNode) and not isinstance(value, dict):
            raise UserError(f"Config key '{key}' from {source} is a group of settings. Give one of its settings")
        if key not in known and key in _ENGINE_KEYS:
            raise UserError(
                f"Config key '{key}' in {source} needs this project's engine, but the installed dassl is another. "
                "Remove the key, or pip install ./engine"
            )
        if key not in known and not (isinstance(value, dict) and value):  # of a group, its first setting is named
            raise UserError(f"Unknown config key '{one_line(key, 200)}' in {source}. {_hint(key, known)}")


def _hint(key: str, known: dict[str, object]) -> str:
    """Next step for an unknown key: the setting that is close to it, or how a trainer declares a setting."""
    settings = [name for name, value in known.items() if not isinstance(value, CfgNode)]
    group, _, name = key.rpartition(".")
    same_group = [name for name in settings if name.startswith(f"{group}.")] if group else []
    near = closest(name, [name.rpartition(".")[2] for name in same_group], 0.6)
    found = f"{group}.{near}" if near else closest(key, settings, 0.8)
    if not group.startswith("TRAINER."):
        return f"Did you mean '{found}'?" if found else "docs/config.md lists all settings"
    if found and (found.startswith(f"{group}.") or not same_group):
        question = f"Did you mean '{found}'? "
    else:
        question = f"Settings of {group}: {', '.join(n.rpartition('.')[2] for n in same_group)}. " if same_group else ""
    example = f'CONFIG = {{"{name}": DEFAULT}}' if name.isidentifier() else "CONFIG = {NAME: DEFAULT}"
    return (
        f"{question}A trainer of your own declares its settings: {example} in a class that derives from "
        "clip_prompts.clip.trainer.CLIPTrainer, or a classmethod extend_cfg(cls, cfg) in any other"
    )


def _is_whole(value) -> bool:
    """True for a whole number, as YAML reads it or as it was typed."""
    return type(value) is int or (isinstance(value, str) and value.lstrip("+-").isdecimal())


def _is_quoted(value: str) -> bool:
    """True for a typed text in quotes, which yacs removes."""
    with contextlib.suppress(ValueError, SyntaxError, MemoryError, RecursionError):
        return isinstance(ast.literal_eval(value), str)
    return False


def _node(tree: dict, path: Iterable[str]) -> Any:
    for key in path:
        tree = tree[key]
    return tree
