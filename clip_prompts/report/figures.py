"""``--figures``: few-shot curves as PDF and SVG files, in the look of the papers."""

import io
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from clip_prompts.common.files import write_bytes_atomically
from clip_prompts.report.numbers import AVERAGE, Table
from clip_prompts.report.reading import ReportError
from clip_prompts.report.shots import Curve, Panel, panels

# Okabe and Ito's colours, which people with any kind of colour blindness tell apart, without their yellow.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = "os^DvPX<"  # not as many as colours: the pairs of both repeat after 56 methods
LINES = ("-", "--", ":")  # of the first seven methods, the next seven, and so on
GREY, DASHES = "#666666", ("--", ":", "-.")  # of zero-shot methods
FEW = 6  # methods whose legend has room inside the axes, and whose bands do not hide each other
SIZE, LEGEND = (4.6, 3.5), 1.5  # of the axes with their labels, and width of a legend next to them, in inches
# Text stays text, and neither a clock nor chance has a part: the same records give the same bytes.
SETTINGS: Any = {
    "pdf.fonttype": 42, "svg.fonttype": "none", "svg.hashsalt": "clip-prompts", "text.parse_math": False,
    "font.size": 9, "axes.titlesize": 11, "legend.fontsize": 8, "axes.axisbelow": True, "lines.linewidth": 1.6,
    "lines.markersize": 5.5,
}  # fmt: skip
METADATA = {
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    "svg": {"Date": None, "Creator": None},
}


def draw_figures(tables: Iterable[Table], kind: str, folder: str | Path) -> list[Path]:
    """Write a PDF and an SVG per dataset, and of the average; return their paths.

    The files are called after the dataset, and after backbone and selection rule if these differ between tables.

    Args:
        tables: of the protocol few_shot. kind: meaning of the shaded band, one of ``SPREADS``.

    Raises ReportError: no table has two numbers of shots. OSError: a file cannot be written.
    """
    found = [(table, panel) for table in tables for panel in panels(table, kind)]
    if not found:
        raise ReportError(
            "--figures draws accuracy over shots, and these records have no method with two numbers of shots. Run "
            "scripts/few_shot.sh"
        )
    learning = dict.fromkeys(c.label for _, panel in found for c in panel.curves if not c.is_zero_shot)
    idle = dict.fromkeys(c.label for _, panel in found for c in panel.curves if c.is_zero_shot)
    styles = {label: i for labels in (learning, idle) for i, label in enumerate(labels)}
    written = []
    for name, (_, panel) in zip(_names(found), found, strict=True):
        for form, content in _draw(panel, styles).items():
            written.append(Path(folder) / f"{name}.{form}")
            write_bytes_atomically(written[-1], content)
    return written


def _names(found: list[tuple[Table, Panel]]) -> list[str]:
    """Returns a file name per panel, without suffix: letters, digits, points and lines only, and each once."""
    differing = [
        key for key in ("backbone", "selection") if len({table.key.get(key) for table, _ in found}) > 1
    ]  # fmt: skip
    names: list[str] = []
    for table, panel in found:
        title = AVERAGE if panel.title.lower().startswith(AVERAGE) else panel.title
        parts = [title, *(str(table.key.get(key)) for key in differing)]
        name = re.sub(r"[^\w.-]+", "_", "-".join(parts)).lstrip(".-")[:100] or "_"
        taken = {name.lower() for name in names}  # some file systems do not know upper case
        numbered = (name, *(f"{name}-{i}" for i in range(2, len(found) + 2)))
        names.append(next(name for name in numbered if name.lower() not in taken))
    return names


def _draw(panel: Panel, styles: dict[str, int]) -> dict[str, bytes]:
    """Returns the files of a panel by their suffix."""
    import matplotlib
    from matplotlib.figure import Figure

    files = {}
    with matplotlib.rc_context():
        matplotlib.rcdefaults()  # a user's own style would change the figure
        matplotlib.rcParams.update(SETTINGS)
        is_full = len(panel.curves) > FEW
        figure = Figure(figsize=(SIZE[0] + LEGEND * is_full, SIZE[1]), layout="constrained")
        axes = figure.add_subplot()
        for curve in panel.curves:
            _add(axes, curve, styles[curve.label], with_band=not is_full)
        axes.set(title=panel.title, xlabel="Number of labelled training examples per class", ylabel="Accuracy (%)")
        axes.set_xticks(sorted({count for curve in panel.curves for count, _, _ in curve.points}))
        axes.grid(color="#d9d9d9", linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(**({"loc": "center left", "bbox_to_anchor": (1.02, 0.5)} if is_full else {}))
        for form, metadata in METADATA.items():
            stream = io.BytesIO()
            figure.savefig(stream, format=form, metadata=metadata, bbox_inches="tight")
            files[form] = stream.getvalue()
    return files


def _add(axes: Any, curve: Curve, style: int, with_band: bool) -> None:
    """Draw a method: a star and a level for zero-shot, else a line with markers and a band for the spread."""
    counts, means, halves = zip(*curve.points, strict=True)
    if curve.is_zero_shot:
        axes.axhline(means[0], color=GREY, linestyle=DASHES[style % len(DASHES)], linewidth=1, zorder=1.5)
        axes.plot(counts[:1], means[:1], "*", color=GREY, markersize=11, label=curve.label, clip_on=False, zorder=3)
        return
    colour, marker = COLOURS[style % len(COLOURS)], MARKERS[style % len(MARKERS)]
    line = LINES[style // len(COLOURS) % len(LINES)]
    axes.plot(counts, means, marker=marker, color=colour, linestyle=line, markeredgecolor="white", markeredgewidth=0.5,
              label=curve.label)  # fmt: skip
    if with_band:
        ends = [[mean + sign * half for mean, half in zip(means, halves, strict=True)] for sign in (-1, 1)]
        axes.fill_between(counts, *ends, color=colour, alpha=0.15, linewidth=0)
