"""Draw the picture of the README: what prompt learning changes in CLIP.

examples:
  python tools/draw_idea.py                          # docs/pictures/idea.svg
  python tools/draw_idea.py --output /tmp/idea.png
"""

import argparse
import sys
from pathlib import Path

from installed import require_packages

require_packages("tools/draw_idea.py")

import matplotlib  # noqa: E402

matplotlib.use("Agg")
from matplotlib import pyplot as plt  # noqa: E402
from matplotlib.patches import FancyBboxPatch  # noqa: E402

LEARNED, FROZEN, TEXT, LINE = "#fdd9b5", "#d6e4f0", "#22303c", "#6b7b8c"


def box(axes, x, y, width, height, text, colour, size=11):
    """A rounded box with its lower left corner at (x, y)."""
    shape = FancyBboxPatch(
        (x, y), width, height, boxstyle="round,pad=0.02,rounding_size=0.08", fc=colour, ec=LINE, lw=1
    )
    axes.add_patch(shape)
    axes.text(x + width / 2, y + height / 2, text, ha="center", va="center", fontsize=size, color=TEXT)


def arrow(axes, start, end):
    axes.annotate(
        "", end, start, arrowprops={"arrowstyle": "-|>", "color": LINE, "lw": 1.4, "shrinkA": 0, "shrinkB": 0}
    )


def draw():
    """The figure: a hand-crafted and a learned prompt, both encoders, and their similarity."""
    figure, axes = plt.subplots(figsize=(9, 3.1))
    axes.set(xlim=(0, 12), ylim=(0, 4.1))
    axes.axis("off")
    axes.text(0.05, 3.8, "by hand", fontsize=10, color=LINE, va="center")
    for i, word in enumerate(("a", "photo", "of", "a")):
        box(axes, 0.05 + 0.85 * i, 3.0, 0.75, 0.5, word, "white", 10)
    box(axes, 3.45, 3.0, 1.1, 0.5, "CLASS .", FROZEN)
    axes.text(0.05, 2.55, "learned", fontsize=10, color=LINE, va="center")
    for i in range(4):
        box(axes, 0.05 + 0.85 * i, 1.75, 0.75, 0.5, f"$v_{i + 1}$", LEARNED, 12)
    box(axes, 3.45, 1.75, 1.1, 0.5, "CLASS .", FROZEN)
    box(axes, 5.6, 1.6, 2.0, 0.8, "text encoder", FROZEN, 10)
    box(axes, 1.1, 0.15, 2.4, 0.8, "image", "white")
    box(axes, 5.6, 0.15, 2.0, 0.8, "image encoder", FROZEN, 10)
    box(axes, 9.1, 0.85, 2.7, 0.9, "similarity,\nfor each class", "white")
    for start, end in (
        ((4.6, 2.0), (5.55, 2.0)), ((3.55, 0.55), (5.55, 0.55)),
        ((7.65, 2.0), (9.05, 1.5)), ((7.65, 0.55), (9.05, 1.1)),
    ):  # fmt: skip
        arrow(axes, start, end)
    for x, colour, text in ((6.2, LEARNED, "learned: a few thousand numbers"), (6.2, FROZEN, "frozen: all of CLIP")):
        y = 3.55 if colour == LEARNED else 3.05
        box(axes, x, y, 0.3, 0.22, "", colour)
        axes.text(x + 0.45, y + 0.11, text, fontsize=10, color=TEXT, va="center")
    return figure


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = Path(__file__).resolve().parents[1] / "docs" / "pictures" / "idea.svg"
    parser.add_argument(
        "--output", type=Path, default=default, help="an .svg, .png or .pdf (default: docs/pictures/idea.svg)"
    )
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    args = parse(argv)
    plt.rcParams["svg.hashsalt"] = "idea"  # the same file every time
    metadata = {"Date": None} if args.output.suffix == ".svg" else {}
    draw().savefig(args.output, bbox_inches="tight", metadata=metadata, facecolor="white", dpi=150)
    print(f"Wrote {args.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
