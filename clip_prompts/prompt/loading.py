"""``load_prompt``: reads a prompt from a folder, a run, a checkpoint or the Hugging Face Hub."""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from clip_prompts.artifact import FOLDER
from clip_prompts.artifact.reading import Artifact, is_prompt, read_prompt
from clip_prompts.common.checkpoint_files import STEM
from clip_prompts.common.errors import UserError
from clip_prompts.common.text import one_line

from .building import load_backbone
from .checkpoint import Source, backbone_of_run, of_checkpoint, of_run
from .prompt import Prompt

_HUB_ID = re.compile(r"(hf-hub:)?[\w.-]+/[\w.-]+")


def load_prompt(
    source: str | os.PathLike,
    classes: Sequence[str] | None = None,
    *,
    backbone: str | None = None,
    device: str | None = None,
    precision: str | None = None,
    allow_other_weights: bool = False,
    method: str | None = None,
    settings: Mapping[str, Any] | None = None,
    revision: str | None = None,
) -> Prompt:
    """Load a learned prompt.

    Args:
        source: folder of a prompt, output folder of a run, path of a checkpoint (``model.pth.tar-50``), or id of a
            repository on the Hugging Face Hub (``ORG/NAME``). The checkpoint may come from CoOp or another original
            program.
        classes: C class names to classify by default; without them, the classes of the training. A checkpoint of
            another program stores no names, so it needs this argument.
        backbone: name (``ViT-B/16``) or path of the weights. Needed if the prompt names no backbone, or a file.
        device: ``"cpu"`` to stay on the CPU; by default a GPU is used if there is one.
        precision: ``fp32``, ``fp16``, ``bf16`` or ``amp``; by default the precision of the training.
        allow_other_weights: accept a backbone of the same architecture whose weights have another hash.
        method: name of the method that learned a checkpoint, if the checkpoint does not store it.
        settings: settings of that method that differ from its defaults, such as ``{"BASE": "CoCoOp"}``.
        revision: branch, tag or commit of the repository on the Hub.

    Raises:
        UserError: the source cannot be used; the message has one line and names the next step.

    Examples:
        >>> prompt = load_prompt("output/first")  # doctest: +SKIP
        >>> prompt.predict("picture.jpg").name  # doctest: +SKIP
        'four'
    """
    load_methods()
    artifact, backbone = find_prompt(source, classes, backbone, method, settings, revision)
    name, shared = load_backbone(artifact.config, backbone, allow_other_weights)
    return Prompt(artifact, name, shared, classes, device, precision)


def load_methods() -> None:
    """Import the methods of the checkout, unless they are imported already."""
    from clip_prompts.run.checkout import load_checkout

    load_checkout("trainers")


def find_prompt(
    source: str | os.PathLike, classes: Sequence[str] | None, backbone: str | None, method: str | None,
    settings: Mapping[str, Any] | None, revision: str | None = None,
) -> tuple[Artifact, str | None]:  # fmt: skip
    """Return the prompt of a source, and the backbone to load it with. Arguments and errors: see ``load_prompt``."""
    text = os.fspath(source)
    path = Path(text).expanduser()
    if method or settings:
        is_checkpoint = path.is_file()
        if not is_checkpoint:
            raise UserError(
                f"method and settings apply only to a checkpoint file ({STEM}N), and '{one_line(text, 200)}' is none. "
                "Remove them, or give the path of the checkpoint"
            )
    if is_prompt(path):
        return read_prompt(path), backbone
    if is_prompt(path / FOLDER):
        return read_prompt(path / FOLDER), backbone or backbone_of_run(path)
    given = Source(classes, backbone, method, dict(settings or {}))
    if path.is_dir():
        return of_run(path, None, given), backbone or backbone_of_run(path)
    if path.is_file():
        return of_checkpoint(path, given), backbone or backbone_of_run(path.parent.parent)
    if not path.exists() and _HUB_ID.fullmatch(text):
        from .hub import download

        return read_prompt(download(text.removeprefix("hf-hub:"), revision)), backbone
    raise UserError(
        f"There is no prompt '{one_line(text, 200)}'. Give the folder of a prompt, the output folder of a run, or a "
        f"checkpoint ({STEM}N)"
    )
