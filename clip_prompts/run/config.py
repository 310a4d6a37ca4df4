"""From arguments to one frozen config."""

import argparse
import ast
import contextlib
import difflib
import importlib
import importlib.util
import os
import sys
import traceback

from dassl.config import get_cfg_default
from dassl.engine import TRAINER_REGISTRY
from yacs.config import CfgNode

import datasets
from clip_prompts.clip.learners import settle_context
from clip_prompts.common.errors import UserError
from clip_prompts.common.files import MIB, FileRefused, open_regular
from clip_prompts.common.text import one_line
from clip_prompts.common.yaml_files import YamlError, read_yaml
from clip_prompts.records.settings import problem

# Flag -> the config key that it sets.
_FLAGS = {
    "root": "DATASET.ROOT",
    "output_dir": "OUTPUT_DIR",
    "resume": "RESUME",
    "seed": "SEED",
    "source_domains": "DATASET.SOURCE_DOMAINS",
    "target_domains": "DATASET.TARGET_DOMAINS",
    "transforms": "INPUT.TRANSFORMS",
    "trainer": "TRAINER.NAME",
    "backbone": "MODEL.BACKBONE.NAME",
    "head": "MODEL.HEAD.NAME",
}
# Keys that our engine has beside upstream's.
_ENGINE_KEYS = (
    "DATALOADER.DECODED_MB", "DATALOADER.PERSISTENT_WORKERS", "TRAIN.CHECKPOINT_BATCHES", "TRAIN.CHECKPOINT_SECONDS",
)  # fmt: skip
# What comes of a value that does not fit its key. yacs reads text as a Python literal, which is data, but may be of a
# type that no setting has ("{{}}"), or too deep or too large to be read.
_UNFIT = (ValueError, KeyError, AssertionError, TypeError, OverflowError, RecursionError, MemoryError)


def default_config() -> CfgNode:
    """Dassl's defaults, the datasets' and the records' keys, and the settings of every registered trainer.

    ``TEST.SAVE_PREDICTIONS``: write ``predictions.csv``, a row for each test image, see ``predictions.py``.
    """
    cfg = get_cfg_default()
    datasets.add_config(cfg)
    cfg.TEST.SAVE_PREDICTIONS = False
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
    for path in (args.dataset_config_file, args.config_file):
        if path:
            merge_file(cfg, path)
    for flag, key in _FLAGS.items():
        value = getattr(args, flag)
        if value is not None:
            _merge(cfg, [key, value], f"--{flag.replace('_', '-')}")
    opts = [o for o in args.opts if o != "--"]
    if len(opts) % 2:
        raise UserError(f"Settings come in pairs, KEY VALUE: '{opts[-1]}' has no partner")
    for key, value in zip(opts[::2], opts[1::2], strict=True):
        _merge(cfg, [key, value], "the command line")
    _settle_context(cfg, opts[::2])
    cfg.freeze()
    return cfg


def _settle_context(cfg: CfgNode, given: list[str]) -> None:
    if cfg.TRAINER.NAME not in TRAINER_REGISTRY.registered_names():
        return  # check_config says so
    trainer = TRAINER_REGISTRY.get(cfg.TRAINER.NAME)
    if getattr(trainer, "WORDS_SET_LENGTH", False):  # trainers written for upstream have no such attribute
        node = trainer.__name__.upper()
        settle_context(cfg.TRAINER[node], f"TRAINER.{node}", given)


def stated_settings(args: argparse.Namespace) -> dict[str, str]:
    """Config key -> "command line" or "config file", for all settings that the user states.

    The dataset's file counts as the data's description, not as a statement about the method.
    """
    content = read_yaml(args.config_file) if args.config_file else {}
    stated = {".".join(path): "config file" for path, _ in _walk(content or {})}
    stated |= {key: "command line" for flag, key in _FLAGS.items() if getattr(args, flag) is not None}
    return stated | {key: "command line" for key in [o for o in args.opts if o != "--"][::2]}


def merge_file(cfg: CfgNode, path: str) -> None:
    """Merge a YAML file into an open config. Other kinds of files are refused: yacs would execute Python ones."""
    if not os.path.isfile(path):
        folder = os.path.dirname(path) or "."
        near = sorted(f for f in os.listdir(folder) if f.endswith(".yaml")) if os.path.isdir(folder) else []
        hint = f" In {folder}: {', '.join(near)}" if near else ""
        if not os.path.isdir(folder):
            hint = f" There is no folder '{folder}'"
        elif os.path.exists(path):
            hint = " It is not a regular file"
        raise UserError(f"No config file '{path}'.{hint}")
    if not path.endswith((".yaml", ".yml")):
        raise UserError(f"Config file '{path}' is not YAML (.yaml, .yml)")
    try:
        content = read_yaml(path) or {}
    except OSError as error:
        raise UserError(f"Config file '{path}' cannot be read: {error.strerror or error}") from error
    except YamlError as error:
        raise UserError(f"Config file '{path}' is not valid YAML: {error}") from error
    if not isinstance(content, dict):
        raise UserError(f"Config file '{path}' holds no settings (KEY: VALUE)")
    _check_keys(cfg, content, path)
    known = dict(_walk(cfg))
    try:
        for at, value in _walk(content):
            if _is_whole(value) and isinstance(known[at], float):  # yacs wants 2.0
                _node(content, at[:-1])[at[-1]] = float(value)
        cfg.merge_from_other_cfg(CfgNode(content))
    except _UNFIT as error:
        lines = (problem(".".join(at), value) for at, value in _walk(content) if not isinstance(value, dict))
        raise UserError(f"Config file '{path}': {next(filter(None, lines), _reason(error))}") from error


def import_plugin(name: str) -> None:
    """Import a module by its dotted name or by the path of its file, so that it registers what it brings."""
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    try:
        if not name.endswith(".py"):
            spec = importlib.util.find_spec(name)
            if spec and (spec.origin or "").endswith(".py"):
                open_regular(spec.origin, MIB).close()
            importlib.import_module(name)
            return
        stem, path = os.path.basename(name).removesuffix(".py"), os.path.abspath(name)
        if getattr(sys.modules.get(stem), "__file__", None) == path:
            return
        open_regular(path, MIB).close()
        spec = importlib.util.spec_from_file_location(stem, path)
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module  # loader workers that are spawned import it by name
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[spec.name]
            raise
    except FileRefused as error:
        raise UserError(f"Plugin '{name}' cannot be imported: {error.strerror}. Give a Python file") from error
    except (ModuleNotFoundError, FileNotFoundError) as error:
        raise UserError(
            f"Plugin '{name}' cannot be imported: {error}. Give a module's name or a file's path"
        ) from error
    except UserError:
        raise
    except (Exception, SystemExit) as error:  # any line of the plugin may raise
        raise UserError(f"Plugin '{name}' cannot be imported: {_where(error)}. Correct it, or leave it out") from error


def _where(error: Exception) -> str:
    """The kind of an error, its text, and the line that raised it."""
    if isinstance(error, SyntaxError):
        return f"{type(error).__name__}: {error.msg} ({error.filename}, line {error.lineno})"
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {error} ({last.filename}, line {last.lineno})"


def _merge(cfg: CfgNode, pair: list, source: str) -> None:
    key, value = pair
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
    known = {".".join(path): value for path, value in _walk(cfg)}
    for path, value in _walk(content):
        key = ".".join(path)
        if key in known and isinstance(known[key], CfgNode) and not isinstance(value, dict):
            raise UserError(f"Config key '{key}' from {source} is a group of settings, not one setting")
        if key not in known and key in _ENGINE_KEYS:
            raise UserError(
                f"Config key '{key}' in {source} needs this project's engine, but the installed dassl is another. "
                "Leave the key out, or pip install ./engine"
            )
        if key not in known and not (isinstance(value, dict) and value):  # of a group, its first setting is named
            raise UserError(f"Unknown config key '{one_line(key, 200)}' in {source}. {_hint(key, known)}")


def _hint(key: str, known: dict[str, object]) -> str:
    """Next step for an unknown key: the setting that is close to it, or how a trainer declares a setting."""
    settings = [name for name, value in known.items() if not isinstance(value, CfgNode)]
    close = difflib.get_close_matches(key, settings, n=1, cutoff=0.8)
    group, _, name = key.rpartition(".")
    same_group = [name for name in settings if name.startswith(f"{group}.")] if group else []
    near = difflib.get_close_matches(name, [name.rpartition(".")[2] for name in same_group], n=1, cutoff=0.6)
    found = f"{group}.{near[0]}" if near else close[0] if close else None
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
    """Whether a value is a whole number, as YAML reads it or as it was typed."""
    return type(value) is int or (isinstance(value, str) and value.lstrip("+-").isdecimal())


def _is_quoted(value: str) -> bool:
    """Whether a value as it was typed is a text in quotes, which yacs takes off."""
    with contextlib.suppress(ValueError, SyntaxError, MemoryError, RecursionError):
        return isinstance(ast.literal_eval(value), str)
    return False


def _node(tree: dict, path) -> object:
    for key in path:
        tree = tree[key]
    return tree


def _walk(node: dict, path: tuple = ()):
    for key, value in node.items():
        here = (*path, str(key))
        yield here, value
        if isinstance(value, dict):
            yield from _walk(value, here)
