"""A terminal in the place of stdout: it shows what is new to the user, and the log file gets every line."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from tqdm import tqdm

# Beginnings of lines that the short view says in its own words, or that say how a run is built. All others are shown.
DETAILS = (
    "Setting fixed seed:", "Loading trainer:", "Loading dataset:", "Reading the split from",
    "Few-shot selection read", "Few-shot selection saved", "Split read from", "Building transform_", "+ ", "------",
    "Dataset  ", "Source  ", "Target  ", "# classes", "# train_", "# val", "# test", "# params", "Building model",
    "Backbone: ", "Loading CLIP (", "Initial context:", "Prompts (", "Learned:", "Nothing to train:",
    "Text encoding:", "Loading evaluator:", "Note that load_model() is skipped",
    "No checkpoint found, train from scratch", "Initialize tensorboard", "epoch [", "Finish training",
    "Deploy the ", "Evaluate on the *", "Image features ", "Text features ", "=> result", "* total:", "* correct:",
    "* accuracy:", "* error:", "* macro_f1:", "Checkpoint saved to", "Elapsed:", "Creating a ",
    "Loading checkpoint from", "Loaded model weights", "Loaded optimizer", "Loaded scheduler", "Previous epoch:",
)  # fmt: skip


class Console:
    """Hides the details of the full text, and shows all other lines above the lines that are being drawn.

    ``hides_all``: True hides every line.
    """

    def __init__(self, terminal) -> None:
        self.terminal = terminal
        self.hides_all = False
        self._begun = ""  # a line without its end

    def write(self, text: str) -> int:
        *lines, self._begun = (self._begun + text).split("\n")
        for line in lines:
            if not (self.hides_all or line.startswith(DETAILS)):
                self.show(line)
        return len(text)

    def show(self, text: str) -> None:
        """Print a text that is not for the log."""
        encoding = getattr(self.terminal, "encoding", None) or "utf-8"
        tqdm.write(text.encode(encoding, "backslashreplace").decode(encoding), file=self.terminal)

    @contextmanager
    def hidden(self) -> Iterator[None]:
        """Inside, printed lines go to the log only."""
        self.hides_all = True
        try:
            yield
        finally:
            self.hides_all = False

    def flush(self) -> None:
        self.terminal.flush()

    def __getattr__(self, name: str) -> Any:
        if name == "terminal":  # not set yet, as in a copy that is being made
            raise AttributeError(name)
        return getattr(self.terminal, name)


class Line:
    """A line of a terminal that is drawn again and again, until it is ended or removed.

    Args:
        place: lines below the first of the lines that are drawn at the same time.
    """

    BAR = 10  # characters

    def __init__(self, terminal, place: int = 0) -> None:
        terminal = getattr(terminal, "terminal", terminal)
        self._bar = tqdm(total=1, bar_format="{desc}", file=terminal, position=place, leave=False)

    def draw(self, text: str, share: float | None = None) -> None:
        """Draw a text, and behind it a bar if there is room. ``share``: of the bar that is full, 0 to 1."""
        width = columns(self._bar.fp) - 1
        has_room = share is not None and len(text) + 2 + self.BAR <= width
        self._bar.bar_format = f"{{desc}}  {{bar:{self.BAR}}}" if has_room else "{desc}"
        self._bar.n = min(share or 0.0, 1.0)
        self._bar.set_description_str(text[:width])

    def print_above(self, text: str) -> None:
        """Print a text above all lines that are being drawn."""
        tqdm.write(text, file=self._bar.fp)

    def end(self, text: str) -> None:
        """Draw the text for the last time, and go to the next line."""
        self.draw(text)
        self._bar.leave = True
        self._bar.close()

    def remove(self) -> None:
        self._bar.close()


def columns(stream) -> int:
    """Returns the width of a terminal; 80 if it does not say."""
    with suppress(OSError, ValueError, AttributeError):
        if width := os.get_terminal_size(stream.fileno()).columns:
            return width
    return 80


def duration(seconds: float) -> str:
    """Returns 75 seconds as 1:15, and an hour more as 1:01:15."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def is_terminal(stream=None) -> bool:
    """True if a stream, by default stdout, is a terminal that can draw a line again."""
    return (stream or sys.stdout).isatty() and os.environ.get("TERM") != "dumb"
