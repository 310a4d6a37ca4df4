"""A local page, made with Gradio: drop a picture, see the classes of the learned prompt next to zero-shot CLIP."""

import contextlib
import ipaddress
import os
import socket
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image

from clip_prompts.common.errors import UserError
from clip_prompts.common.text import markdown, one_line
from clip_prompts.run.errors import user_message

from .neighbours import Training
from .pictures import thumbnail
from .prompt import Prompt
from .reading import reader_of

TOP = 5  # classes with bars, and with a training picture
MOST_CLASSES = 2_000
LONGEST = 200_000  # characters of a list of classes
LARGEST = "50mb"  # of a picture
KEPT = (600, 3600)  # seconds between looks at uploaded pictures, and after which they are removed
NO_PICTURE = "This file cannot be used: it is not a picture, or it is too large. Drop a JPEG, PNG or WebP file"
# Read when gradio is imported: no usage statistics, no look for a newer version.
SILENT = {"GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_DISABLE_TELEMETRY": "1"}


class Answers:
    """Computes what the page shows for a picture. Threads may call it at the same time; they use the model in turn.

    Args:
        prompt: the learned prompt. training: its training pictures, None if they are not at hand.
    """

    def __init__(self, prompt: Prompt, training: Training | None = None) -> None:
        self.prompt, self.training = prompt, training
        self.read = reader_of(prompt.config["preprocess"].get("as_viewed", False))
        self.lock = threading.Lock()
        self.takes_names = prompt.config["method"]["classes"] != "fixed"

    def names_of(self, text: str) -> list[str] | None:
        """Class names, one in a line; None for the prompt's own. Raises UserError: there are too many, or none."""
        names = [line.strip() for line in text[:LONGEST].splitlines() if line.strip()]
        if not self.takes_names or names == self.prompt.classes:
            return None
        if not names:
            raise UserError("The list of classes is empty. Write one class per line")
        if len(text) > LONGEST or len(names) > MOST_CLASSES:
            raise UserError(f"The list has more than {MOST_CLASSES:,} classes. Remove some")
        return names

    def classify(self, path: str, text: str) -> tuple[list[dict[str, float]], list[tuple[Image.Image, str]]]:
        """Classify one picture.

        Args:
            path: of the picture. text: class names, one in a line.

        Returns:
            Class name to probability, best first, of the learned prompt and of zero-shot CLIP; and (thumbnail, class
            name) of the nearest training pictures of the best classes.

        Raises UserError: the picture cannot be read, or the class names cannot be used.
        """
        names = self.names_of(text)
        image = self.read(path)
        with self.lock:
            learned = self.prompt.features_raw([image])
            frozen, _ = self.prompt.try_features([image], frozen=True)
            best = self.prompt.rank(learned, TOP, names)[0]
            zero_shot = self.prompt.zero_shot(frozen, names)[0]
        listed = self.prompt.classes if names is None else names
        other = zero_shot.topk(min(TOP, len(listed)))
        pairs = [
            zip(best.names, best.probabilities, strict=True),
            zip([listed[i] for i in other.indices.tolist()], other.values.tolist(), strict=True),
        ]
        nearest = self.training.nearest(learned[0], best.names) if self.training else {}
        bars = [dict(reversed(list(rows))) for rows in pairs]  # of two classes with one name, the better counts
        return bars, [(thumbnail(self.read(place)), name) for name, place in nearest.items()]


def is_loopback(host: str) -> bool:
    """True for an address that only this computer reaches.

    >>> is_loopback("127.0.0.1"), is_loopback("localhost"), is_loopback("0.0.0.0")
    (True, True, False)
    """
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


@contextlib.contextmanager
def served(answers: Answers, host: str = "127.0.0.1", port: int | None = None) -> Iterator[str]:
    """Inside, the page is served; yields its address. Uploaded pictures are removed at the end.

    Args:
        port: 0 for any free one; None for 7860, or the next one that is free.

    Raises UserError: gradio is missing, or the address cannot be used.
    """
    with tempfile.TemporaryDirectory(prefix="clip-prompts-") as folder, _environment(folder):
        try:
            import gradio
        except ImportError as error:
            raise UserError("The page needs a package: pip install gradio") from error
        page = build_page(gradio, answers)
        try:
            port = _free_port(host) if port == 0 else port
            _, url, _ = page.launch(
                server_name=host, server_port=port, share=False, quiet=True, prevent_thread_lock=True,
                ssr_mode=False, pwa=False, mcp_server=False, enable_monitoring=False, run_history=False,
                footer_links=[], max_file_size=LARGEST, theme=_theme(gradio), css=CSS,
            )  # fmt: skip
        except OSError as error:
            where = f"{host}:{port}" if port is not None else host
            reason = one_line(str(error), 200)
            raise UserError(
                f"The page cannot be served at {where} ({reason}). Give another --port or --host"
            ) from error
        try:
            yield url
        finally:
            page.close(verbose=False)


def _free_port(host: str) -> int:
    with socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET) as found:
        return found.getsockname()[1]


@contextlib.contextmanager
def _environment(folder: str) -> Iterator[None]:
    """Inside, the environment keeps gradio silent, and its files in a folder; the old values come back."""
    new = {**SILENT, "GRADIO_TEMP_DIR": folder}
    old = {key: os.environ.get(key) for key in new}
    os.environ.update(new)
    try:
        yield
    finally:
        for key, value in old.items():
            if value is None:
                os.environ.pop(key, None)
            else:
                os.environ[key] = value


def _theme(gradio: Any) -> Any:
    """Fonts of the system: the default ones would be fetched."""
    return gradio.themes.Default(font=["system-ui", "sans-serif"], font_mono=["system-ui", "sans-serif"])


CSS = """
.gradio-container .fillable { max-width: 72rem !important; padding: 1.5rem !important; }
#learned, #zero-shot { font-family: system-ui, sans-serif; }
footer { display: none !important; }
"""


def build_page(gradio: Any, answers: Answers) -> Any:
    """The page as ``gradio.Blocks``."""
    prompt, shares = answers.prompt, answers.training is not None
    base = prompt.config["base_model"]["name"]

    def show(path: str | None, text: str) -> tuple:
        if not path:
            return None, None, [], ""
        try:
            (learned, zero_shot), nearest = answers.classify(path, text or "")
        except Exception as error:
            if (line := user_message(error)) is None:
                raise
            return None, None, [], _note(line.replace(str(path), Path(path).name))
        return learned, zero_shot, nearest, ""

    with gradio.Blocks(
        title="CLIP prompts", fill_width=True, analytics_enabled=False, delete_cache=(600, 3600)
    ) as page:
        gradio.Markdown(
            f"# {markdown(prompt.method)}\n{markdown(f'Learned prompt for {base}')}, next to zero-shot CLIP"
        )
        with gradio.Row():
            with gradio.Column():
                picture = gradio.Image(
                    label="Picture", type="filepath", image_mode=None, sources=["upload", "clipboard"], height=300
                )
                own = f"These {len(prompt.classes):,} classes have their own prompts, so the list cannot change"
                classes = gradio.Textbox(
                    "\n".join(prompt.classes), label="Classes", lines=6, max_lines=12, interactive=answers.takes_names,
                    info="One in a line" if answers.takes_names else own, elem_id="classes",
                )  # fmt: skip
                again = gradio.Button("Classify", variant="primary")
            with gradio.Column(scale=2):
                note = gradio.Markdown(elem_id="note")
                with gradio.Row():
                    learned = gradio.Label(label="Learned prompt", num_top_classes=TOP, elem_id="learned")
                    zero_shot = gradio.Label(label="Zero-shot CLIP", num_top_classes=TOP, elem_id="zero-shot")
                gradio.Markdown("Most similar training picture of the best classes", visible=shares)
                nearest = gradio.Gallery(
                    show_label=False, columns=TOP, height=180, visible=shares, interactive=False,
                    elem_id="nearest", buttons=[],
                )  # fmt: skip
        outputs = [learned, zero_shot, nearest, note]
        for event in (picture.change, again.click):
            asked = event(show, [picture, classes], outputs, api_visibility="private", show_progress="minimal")
            asked.failure(lambda: (None, None, [], _note(NO_PICTURE)), None, outputs, api_visibility="private")
    return page


def _note(line: str) -> str:
    return f"**{markdown(line)}**"
