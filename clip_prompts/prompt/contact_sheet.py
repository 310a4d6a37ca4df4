"""``predict --html``: one page with pictures and their predictions, most uncertain first, in a single file."""

import base64
import io
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from clip_prompts.common.text import one_line, printable
from clip_prompts.run.errors import USER_ERRORS

from .pictures import thumbnail
from .prompt import Prediction, Prompt
from .reading import reader_of

TOP = 3  # classes with bars, at least
MOST = 500  # pictures on a page
MOST_LOST = 500  # unreadable ones in the list
FOLDER = Path(__file__).parent


def contact_sheet(
    prompt: Prompt, paths: Sequence[str], found: Mapping[int, Prediction], lost: Mapping[int, str], most: int = MOST
) -> str:
    """The page as HTML. It needs no network, no other file and no script.

    Args:
        paths: of all pictures. found: number of a picture to its prediction; pictures with a low probability of the
            predicted class come first. lost: number of a picture to the reason why it cannot be read.
        most: pictures on the page.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    order = sorted(found, key=lambda i: (found[i].probability, i))[:most]
    read = reader_of(prompt.config["preprocess"].get("as_viewed", False))
    with ThreadPoolExecutor(max(1, min(4, os.cpu_count() or 1))) as pool:
        pictures = list(pool.map(lambda i: _jpeg(read, paths[i]), order))
    environment = Environment(
        loader=FileSystemLoader(FOLDER), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    return environment.get_template("contact_sheet.html").render(
        style=Markup((FOLDER / "contact_sheet.css").read_text(encoding="utf-8")),
        method=prompt.method,
        backbone=one_line(prompt.config["base_model"]["name"], 80),
        classes=len(prompt.classes),
        entries=[_entry(paths[i], found[i], jpeg) for i, jpeg in zip(order, pictures, strict=True)],
        total=len(found),
        not_shown=len(found) - len(order),
        lost=[(printable(paths[i]), one_line(reason)) for i, reason in list(lost.items())[:MOST_LOST]],
        total_lost=len(lost),
    )


def _entry(path: str, prediction: Prediction, jpeg: str | None) -> dict[str, Any]:
    rows = zip(prediction.names, prediction.probabilities, strict=True)
    return {"path": printable(path), "jpeg": jpeg, "rows": [(printable(name), 100 * p) for name, p in rows]}


def _jpeg(read: Any, path: str) -> str | None:
    """A small picture in base64; None if the file cannot be read any more."""
    try:
        stream = io.BytesIO()
        thumbnail(read(path)).save(stream, "JPEG", quality=80)
    except (*USER_ERRORS, OSError):
        return None
    return base64.b64encode(stream.getvalue()).decode()
