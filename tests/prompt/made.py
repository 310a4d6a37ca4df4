"""Prompts that were not learned, made in a moment: every method with the embedded backbone."""

from pathlib import Path

from clip_prompts.artifact.writing import prompt_of, write_prompt
from clip_prompts.prompt.building import build_method, method_class
from clip_prompts.prompt.checkpoint import Source, sketch
from clip_prompts.prompt.loading import load_methods

NAMES = ["red circle", "blue square", "green star"]
SETTINGS = {
    "CoOp": {"N_CTX": 4},
    "MaPLe": {"PROMPT_DEPTH": 3},
    "IVLP": {"PROMPT_DEPTH_TEXT": 3, "PROMPT_DEPTH_VISION": 3},
    "PromptSRC": {"PROMPT_DEPTH_TEXT": 3, "PROMPT_DEPTH_VISION": 3},
    "VPT": {"PROMPT_DEPTH_VISION": 3},
    "TCP": {"LAYER": 2},
    "DePT": {"BASE": "CoOp", "N_CTX": 4},
}


def made(folder: Path, method: str = "CoOp", names=NAMES, **settings) -> Path:
    """Write a prompt of a method, as it is before training."""
    load_methods()
    given = Source(names, "tiny", method, {**SETTINGS.get(method, {}), **settings})
    config, backbone, name = sketch(method_class(method), {}, names, given, "tiny")
    return write_prompt(folder, *prompt_of(build_method(config, None, names, name, backbone), None))
