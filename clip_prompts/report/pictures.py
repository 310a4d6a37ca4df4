"""``--pictures``: screenshots of the page as PNG files, for documents that cannot hold the page itself."""

import io
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from clip_prompts.common.files import write_bytes_atomically
from clip_prompts.report.reading import ReportError

WINDOWS = {"desktop": (1280, 1), "phone": (390, 2)}  # width of the window, and pixels of the picture for one of it
TALLEST = 2000  # of the window's pixels; what is below is cut off
MARGIN = 16
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# Without a sandbox it also runs as root in a container; the page runs no script but its own. Nothing goes to a network.
OPTIONS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip


@contextmanager
def browser() -> Iterator:
    """Yield Playwright's own Chromium, or the Chromium or Chrome on PATH. Raises ReportError if there is none."""
    try:
        from playwright.sync_api import Error, sync_playwright
    except ImportError as error:
        raise ReportError("--pictures needs playwright: pip install playwright") from error
    on_path = next((found for name in NAMES if (found := shutil.which(name))), None)
    with sync_playwright() as playwright:
        opened = None
        for path in dict.fromkeys([on_path, None]):
            try:
                opened = playwright.chromium.launch(args=list(OPTIONS), executable_path=path)
                break
            except Error:
                continue
        if opened is None:
            raise ReportError(
                "There is no browser. Run `playwright install chromium`, or install Chromium or Chrome on PATH"
            )
        try:
            yield opened
        finally:
            opened.close()


def take(opened, page: str | Path, names: list[str], folder: str | Path) -> list[Path]:
    """Write pictures of every section of the page: NAME-desktop.png, NAME-phone.png.

    With a section that goes into detail also NAME-detail-desktop.png and so on, of the detail that the page shows
    first. Colours are reduced to 256, which text and plain figures bear.

    Args:
        opened: a browser. names: of the sections, in their order; a repeated one gets its number.

    Raises OSError: a file cannot be written.
    """
    unique = [
        name if names.count(name) == 1 else f"{name}-{names[: i + 1].count(name)}" for i, name in enumerate(names)
    ]
    written = []
    for window, (width, scale) in WINDOWS.items():
        view = opened.new_page(
            viewport={"width": width, "height": 900}, device_scale_factor=scale, color_scheme="light"
        )
        view.goto(Path(page).resolve().as_uri())
        for name, section in zip(unique, view.locator("main > section").all(), strict=True):
            for part, (top, bottom) in _parts(section).items():
                height = min(bottom - top, TALLEST)
                clip = {"x": 0, "y": max(0, top - MARGIN), "width": width, "height": height + MARGIN}
                file = Path(folder) / f"{name}{part}-{window}.png"
                write_bytes_atomically(file, _reduced(view.screenshot(clip=clip, full_page=True)))
                written.append(file)
        view.close()
    return written


def _parts(section) -> dict[str, tuple[float, float]]:
    """Returns top and bottom of the section without its details, and of these."""

    def ends(locator) -> tuple[float, float]:
        box = locator.bounding_box()
        return box["y"], box["y"] + box["height"]

    whole, details = ends(section.locator("h2"))[0], section.locator(".closer")
    if not details.count():
        return {"": (whole, ends(section)[1] + MARGIN)}
    top, bottom = ends(details)
    return {"": (whole, top), "-detail": (top, bottom + MARGIN)}


def _reduced(png: bytes) -> bytes:
    from PIL import Image

    stream = io.BytesIO()
    with Image.open(io.BytesIO(png)) as picture:
        few = picture.convert("RGB").quantize(256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    few.save(stream, "PNG", optimize=True)
    return stream.getvalue()
