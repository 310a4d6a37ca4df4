"""A contact sheet: a few pictures of each class with the class's name, and how many images each split has."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from io import BytesIO
from math import sqrt
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from clip_prompts.common.errors import UserError
from clip_prompts.common.files import write_bytes_atomically
from clip_prompts.data.readable import load_item
from clip_prompts.data.rendering.glyphs import font_path

MOST = 2000  # pictures of a sheet
PIXELATED = 48  # pictures up to this side are enlarged in whole steps, so that their own pixels are seen
PICTURE, GAP, NAME, MARGIN = 96, 6, 190, 28  # sides and distances, pixels
WIDEST, NARROWEST = 1.4, 620  # width to height that is aimed at; the least width, pixels
INK, GREY, LINE, BROKEN, RED = "#1d1d1f", "#77777c", "#e4e4e8", "#fdeaea", "#c0392b"


@dataclass(frozen=True)
class Cell:
    """One picture. ``box``: (left, top, right, bottom) of it on the sheet, pixels; ``reason``: why it is not shown."""

    label: int
    classname: str
    path: str
    box: tuple[int, int, int, int]
    reason: str = ""


@dataclass
class Sheet:
    """``names``: the lines of text next to the pictures of each class, by label. ``n_classes``: of the dataset."""

    image: Image.Image
    title: str
    subtitles: list[str]
    names: dict[int, list[str]]
    n_classes: int
    cells: list[Cell] = field(default_factory=list)

    @property
    def broken(self) -> list[Cell]:
        return [cell for cell in self.cells if cell.reason]


def check_request(output: str, classes: int, per_class: int) -> Path:
    """Returns the path to write to. Raises UserError: not a PNG, a folder, or too many pictures."""
    for flag, number in (("--classes", classes), ("--per-class", per_class)):
        if number < 1:
            raise UserError(f"{flag} {number}: give a whole number from 1")
    if per_class > MOST:
        raise UserError(f"--per-class {per_class}: a sheet holds at most {MOST} pictures")
    path = Path(output).expanduser().absolute()
    if path.suffix.lower() != ".png":
        raise UserError(f"--output {output}: the sheet is a PNG, choose a name that ends in .png")
    if path.is_dir():
        raise UserError(f"--output {output} is a folder: give the path of a file")
    return path


def write_sheet(sheet: Sheet, path: Path) -> None:
    """Write the PNG, whole or not at all. Raises UserError."""
    content = BytesIO()
    sheet.image.save(content, "PNG")
    try:
        write_bytes_atomically(path, content.getvalue())
    except OSError as error:
        raise UserError(f"Cannot write {path}: {error.strerror or error}. Choose another --output.") from error


def draw_sheet(data, title: str, classes: int = 20, per_class: int = 6, seed: int = 1) -> Sheet:
    """Draw ``per_class`` training images of ``classes`` classes, evenly spread over all; ``data``: a dataset.

    The choice depends on the seed, the class and its images alone. An image that cannot be read gets a marked cell.
    Raises UserError: more pictures than a sheet holds.
    """
    groups: dict[int, list] = {}
    for item in data.train_x:
        groups.setdefault(item.label, []).append(item)
    labels = spread(sorted(groups), classes)
    if len(labels) * per_class > MOST:
        raise UserError(
            f"--classes {len(labels)} --per-class {per_class} are {len(labels) * per_class} pictures; a sheet holds "
            f"at most {MOST}. Give smaller numbers."
        )
    chosen = {label: choose(groups[label], per_class, f"{seed} {label}") for label in labels}
    most = max(map(len, chosen.values()))
    shown = "" if len(labels) == len(groups) else f", {len(labels)} shown, evenly spread"
    origin = "test" if _test_only(data) else "train"
    up_to = "" if min(map(len, chosen.values())) == most else "up to "
    subtitles = [
        f"{len(groups):,} {'class' if len(groups) == 1 else 'classes'}{shown}  ·  {splits(data)}",
        f"{up_to}{most} image{'s' * (most > 1)} of each class from {origin}, seed {seed}",
    ]
    names = {label: _wrap(groups[label][0].classname, _font(15, bold=True), NAME) for label in labels}
    notes = {label: f"label {label}  ·  {len(groups[label]):,} in {origin}" for label in labels}
    return _compose(title, subtitles, names, notes, chosen, most, len(groups))


def spread(labels: Sequence[int], n: int) -> list[int]:
    """Returns ``n`` of the labels (all where there are no more) at even distances, the first among them."""
    n = min(n, len(labels))
    return [labels[i * len(labels) // n] for i in range(n)]


def choose(items: Sequence, n: int, seed: str) -> list:
    """Returns ``n`` of the items (all where there are no more) in their order, by a generator of its own."""
    places = random.Random(seed).sample(range(len(items)), min(n, len(items)))
    return [items[i] for i in sorted(places)]


def splits(data) -> str:
    """Returns the number of images in each list of a dataset, in words."""
    if _test_only(data):
        return f"test {len(data.test):,}, no other split"
    same = " (the test list)" if data.val is data.test else ""
    return f"train {len(data.train_x):,}  ·  val {len(data.val or ()):,}{same}  ·  test {len(data.test):,}"


def _test_only(data) -> bool:
    return getattr(data, "test_only", False)


def _compose(title, subtitles, names, notes, chosen, most: int, n_classes: int) -> Sheet:
    """Place names and pictures in as many columns of classes as give the sheet a pleasant shape."""
    labels = list(chosen)
    block = NAME + GAP + most * (PICTURE + GAP)  # width of a class
    heights = {label: max(PICTURE, 20 * len(names[label]) + 18) + 2 * GAP for label in labels}

    columns = round(sqrt(WIDEST * sum(heights.values()) / block))
    columns = min(max(1, columns), len(labels), 8)
    n_rows = -(-len(labels) // columns)
    rows = [labels[row::n_rows] for row in range(n_rows)]  # read down a column, then the next
    width = max(2 * MARGIN + columns * block + (columns - 1) * MARGIN, NARROWEST)
    head = _wrap(title, _font(26, bold=True), width - 2 * MARGIN)
    lines = [line for text in subtitles for line in _wrap(text, _font(15), width - 2 * MARGIN)]
    top = MARGIN + 34 * len(head) + 22 * len(lines) + 12
    height = top + sum(max(heights[label] for label in row) for row in rows) + MARGIN
    image = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(image)
    y = _write(draw, MARGIN, MARGIN, head, _font(26, bold=True), 34)
    _write(draw, MARGIN, y, lines, _font(15), 22, GREY)
    sheet, y = Sheet(image, title, subtitles, names, n_classes), top
    for row in rows:
        for column, label in enumerate(row):
            x = MARGIN + column * (block + MARGIN)
            draw.line((x, y, x + block - GAP, y), LINE)
            below = _write(draw, x, y + GAP + 2, names[label], _font(15, bold=True), 20)
            _write(draw, x, below + 1, [notes[label]], _font(12), 16, GREY)
            for i, item in enumerate(chosen[label]):
                place = (x + NAME + GAP + i * (PICTURE + GAP), y + GAP)
                sheet.cells.append(_paste(image, draw, item, place))
        y += max(heights[label] for label in row)
    sheet.cells.sort(key=lambda cell: labels.index(cell.label))
    return sheet


def _paste(image: Image.Image, draw: ImageDraw.ImageDraw, item, place: tuple[int, int]) -> Cell:
    """Put a picture, as a run reads it, into the square at ``place``, or a mark where it cannot be read."""
    x, y = place
    try:
        picture = _fit(load_item(item))
    except Exception as error:  # a broken file fails in many ways, and the others are still to be seen
        box = (x, y, x + PICTURE, y + PICTURE)
        inner = (x, y, x + PICTURE - 1, y + PICTURE - 1)
        draw.rectangle(inner, BROKEN, RED)
        draw.line((x + 28, y + 18, x + 68, y + 58), RED, 4)
        draw.line((x + 68, y + 18, x + 28, y + 58), RED, 4)
        draw.text((x + PICTURE / 2, y + 76), "unreadable", RED, _font(13), anchor="mm")
        return Cell(item.label, item.classname, item.impath, box, reason=" ".join(str(error).split()))
    x, y = x + (PICTURE - picture.width) // 2, y + (PICTURE - picture.height) // 2
    image.paste(picture, (x, y))
    return Cell(item.label, item.classname, item.impath, (x, y, x + picture.width, y + picture.height))


def _fit(picture: Image.Image) -> Image.Image:
    """Returns the whole picture, as large as a cell allows."""
    longest = max(picture.size)
    if longest <= PIXELATED:
        step = PICTURE // longest
        return picture.resize((picture.width * step, picture.height * step), Image.Resampling.NEAREST)
    sides = [max(1, round(side * PICTURE / longest)) for side in picture.size]
    return picture.resize((sides[0], sides[1]), Image.Resampling.LANCZOS)


def _font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(font_path("DejaVuSans-Bold" if bold else "DejaVuSans")), size)


def _write(draw, x: int, y: int, lines: Sequence[str], font, step: int, colour: str = INK) -> int:
    """Write lines of text; gives the place below them."""
    for line in lines:
        draw.text((x, y), line, colour, font)
        y += step
    return y


def _wrap(text: str, font, width: int) -> list[str]:
    """Returns lines no wider than ``width`` pixels, broken after spaces, ``_``, ``-``, ``/``, or within a long word."""
    lines, line, may_break = [], "", 0
    for letter in " ".join(text.split()):
        if font.getlength(line + letter) > width and line:
            at = may_break or len(line)
            lines.append(line[:at].rstrip())
            line, may_break = line[at:].lstrip(), 0
        line += letter
        if letter in " _-/":
            may_break = len(line)
    return [*lines, line.rstrip()]
