"""Line, scatter and bar charts as inline SVG. Colours and fonts are the page's: they follow its light and dark."""

import math
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Sequence

SHAPES = 4  # kinds of markers, so that methods differ in more than colour
COLOURS = 8  # of methods that learn, in page.css; 0 is grey, of zero-shot methods
SMALL, BIG = 4.0, 6.0  # radius of a marker, in px
Mark = tuple[float, float, int, str, bool]  # x, y, style, tooltip, whether it is big


def colour(style: int) -> int:
    """Returns the number of a style's colour in page.css, from 0."""
    return 1 + (style - 1) % COLOURS if style else 0


def look(style: int) -> str:
    """Returns the classes of a style's lines and markers: colour, and the style itself, which legends pick out."""
    return f"m{colour(style)} k{style}"


def shape(style: int) -> int:
    """Returns the kind of a style's marker: another one each time that the colours begin again."""
    return (style + (style - 1) // COLOURS) % SHAPES if style else 0


class Chart:
    """Axes with a title, on which lines, marks and bars are drawn in units of the data.

    Args:
        title: heading. about: text alternative, which says what the picture shows.
        x, y: (lowest, highest) of the axes. names: labels of both.
        ticks: of x, position -> text; by default round numbers. size: in px at full size.
    """

    def __init__(
        self, title: str, about: str, x: tuple[float, float], y: tuple[float, float], names: tuple[str, str],
        ticks: dict[float, str] | None = None, size: tuple[int, int] = (300, 220),
    ) -> None:  # fmt: skip
        self.width, self.height = size
        self.left, self.top, self.right, self.bottom = 44, 26, self.width - 12, self.height - 38
        self.x, self.y = x, y
        box = {"viewBox": f"0 0 {self.width} {self.height}", "width": str(self.width), "height": str(self.height)}
        self.root = ET.Element("svg", {"class": "chart", "role": "img", "aria-label": f"{title}. {about}", **box})
        self.text(title, (self.left + self.right) / 2, 14, "title", "middle")
        self._axes(ticks or {v: number(v) for v in round_steps(*x)}, names)

    def _axes(self, ticks: dict[float, str], names: tuple[str, str]) -> None:
        grid = []
        for value in round_steps(*self.y):
            v = self.v(value)
            grid.append(f"M{_n(self.left)} {_n(v)}H{_n(self.right)}")
            self.text(number(value), self.left - 5, v + 3.5, "tick", "end")
        for value, label in ticks.items():
            self.text(label, self.h(value), self.bottom + 13, "tick", "middle")
        self.path("".join(grid), "grid")
        self.path(f"M{_n(self.left)} {_n(self.bottom)}H{_n(self.right)}", "axis")
        self.text(names[0], (self.left + self.right) / 2, self.height - 8, "name", "middle")
        turned = f"translate(9 {_n((self.top + self.bottom) / 2)}) rotate(-90)"
        self.text(names[1], 0, 0, "name", "middle").set("transform", turned)

    def h(self, x: float) -> float:
        """Returns the horizontal place of a value, in px."""
        low, high = self.x
        return self.left + (x - low) / (high - low) * (self.right - self.left)

    def v(self, y: float) -> float:
        """Returns the vertical place of a value, in px."""
        low, high = self.y
        return self.bottom - (y - low) / (high - low) * (self.bottom - self.top)

    def path(self, d: str, kind: str, about: str = "", **attributes: str) -> None:
        element = ET.SubElement(self.root, "path", {"class": kind, "d": d, **attributes})
        if about:
            ET.SubElement(element, "title").text = about

    def line(self, points: Iterable[tuple[float, float]], kind: str, **attributes: str) -> None:
        places = [f"{_n(self.h(x))} {_n(self.v(y))}" for x, y in points]
        self.path("M" + "L".join(places), kind, **attributes)

    def bars(self, bars: Iterable[tuple[float, float, float, float]], kind: str) -> None:
        """Draw rectangles (x from, x to, y from, y to)."""
        parts = [
            f"M{_n(self.h(a))} {_n(self.v(low))}H{_n(self.h(b))}V{_n(self.v(high))}H{_n(self.h(a))}Z"
            for a, b, low, high in bars
        ]
        self.path("".join(parts), kind)

    def whiskers(self, points: Iterable[tuple[float, float, float]], kind: str) -> None:
        """Draw error bars (x, y, half of their height)."""
        parts = []
        for x, y, half in points:
            h, low, high = self.h(x), self.v(y - half), self.v(y + half)
            parts.append(f"M{_n(h)} {_n(low)}V{_n(high)}M{_n(h - 2.5)} {_n(low)}h5M{_n(h - 2.5)} {_n(high)}h5")
        self.path("".join(parts), kind)

    def mark(self, x: float, y: float, style: int, about: str, big: bool = False) -> None:
        """Draw a point of a method, with a tooltip."""
        self.marks([(x, y, style, about, big)])

    def marks(self, points: Sequence[Mark]) -> None:
        """Draw points of methods, with tooltips.

        Markers that would hide each other move apart, each with a hairline to its true place.
        """
        true = [(self.h(x), self.v(y), BIG if big else SMALL) for x, y, *_, big in points]
        found = apart(true, (self.left, self.top, self.right, self.bottom))
        lines = [
            f"M{_n(a)} {_n(b)}L{_n(h)} {_n(v)}"
            for (a, b, _), (h, v, _) in zip(true, found, strict=True)
            if math.dist((a, b), (h, v)) > 1
        ]
        if lines:
            self.path("".join(lines), "hair")
        for (h, v, r), (*_, style, about, _) in zip(found, points, strict=True):
            self.path(marker(h, v, style, r), f"mark {look(style)}", about)

    def text(self, text: str, h: float, v: float, kind: str, anchor: str) -> ET.Element:
        element = ET.SubElement(self.root, "text", {"class": kind, "x": _n(h), "y": _n(v), "text-anchor": anchor})
        element.text = text
        return element

    def __str__(self) -> str:
        return ET.tostring(self.root, encoding="unicode")


def apart(
    places: Sequence[tuple[float, float, float]], box: tuple[float, float, float, float], rounds: int = 60
) -> list[tuple[float, float, float]]:
    """Moves markers that hide each other apart, until each shows most of itself. Others stay where they are.

    Args:
        places: horizontal and vertical place and radius, in px. box: left, top, right and bottom, which none leaves.
    """
    found = [list(place) for place in places]
    for _ in range(rounds):
        moved = False
        for i, one in enumerate(found):
            for j, other in enumerate(found[:i]):
                gap = 0.8 * (one[2] + other[2])
                h, v = one[0] - other[0], one[1] - other[1]
                distance = math.hypot(h, v)
                if distance >= gap - 0.01:
                    continue
                if distance < 0.01:  # twins part in a direction of their own
                    angle = 2.4 * (i + 7 * j)
                    h, v, distance = math.cos(angle), math.sin(angle), 1.0
                    push = gap / 2
                else:
                    push = (gap - distance) / 2
                for place, sign in ((one, 1), (other, -1)):
                    place[0] = min(max(place[0] + sign * push * h / distance, box[0]), box[2])
                    place[1] = min(max(place[1] + sign * push * v / distance, box[1]), box[3])
                moved = True
        if not moved:
            break
    return [(h, v, r) for h, v, r in found]


def marker(h: float, v: float, style: int, r: float = 4.0) -> str:
    """Returns the path of a circle, square, triangle or diamond around a place."""
    kind = shape(style)
    if kind == 0:
        return f"M{_n(h - r)} {_n(v)}a{_n(r)} {_n(r)} 0 1 0 {_n(2 * r)} 0a{_n(r)} {_n(r)} 0 1 0 {_n(-2 * r)} 0Z"
    if kind == 1:
        s = 0.88 * r
        return f"M{_n(h - s)} {_n(v - s)}h{_n(2 * s)}v{_n(2 * s)}h{_n(-2 * s)}Z"
    s = 1.2 * r
    if kind == 2:
        return f"M{_n(h)} {_n(v - s)}L{_n(h + s)} {_n(v + 0.8 * s)}H{_n(h - s)}Z"
    return f"M{_n(h)} {_n(v - s)}L{_n(h + s)} {_n(v)}L{_n(h)} {_n(v + s)}L{_n(h - s)} {_n(v)}Z"


def swatch(style: int) -> str:
    """Returns a method's marker on its line, for legends."""
    root = ET.Element("svg", {"class": "swatch", "viewBox": "0 0 26 12", "width": "26", "height": "12"})
    root.set("aria-hidden", "true")
    ET.SubElement(root, "path", {"class": f"line m{colour(style)}", "d": "M1 6H25"})
    ET.SubElement(root, "path", {"class": f"mark m{colour(style)}", "d": marker(13, 6, style)})
    return ET.tostring(root, encoding="unicode")


def around(values: Sequence[float], low: float = -math.inf, high: float = math.inf) -> tuple[float, float]:
    """Returns the range of an axis that shows all values with some air, within limits."""
    bottom, top = min(values), max(values)
    air = 0.08 * (top - bottom) or 0.05 * abs(top) or 1.0
    return max(low, bottom - air), min(high, top + air)


def round_steps(low: float, high: float, most: int = 5) -> list[float]:
    """Returns at most ``most`` + 1 round numbers within a range: steps of 1, 2 or 5 and a power of ten."""
    rough = (high - low) / most
    power = 10 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= rough * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    return [i * step for i in range(first, math.floor(high / step + 1e-9) + 1)]


def round_factors(low: float, high: float) -> list[float]:
    """Returns powers of ten within a positive range, with 2 and 5 times each, or round steps, where that is too few."""
    powers = [10.0**p for p in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)]
    few, many = ([v for p in powers for m in factors if low <= (v := m * p) <= high] for factors in ((1,), (1, 2, 5)))
    return few if len(many) > 6 else many if len(many) > 1 else round_steps(low, high)


def number(value: float) -> str:
    return f"{value:.10g}" if abs(value) < 1e-12 or abs(value) >= 1e-3 else f"{value:.0e}"


def _n(value: float) -> str:
    """Returns a coordinate in a tenth of a px: more only makes the page larger."""
    return f"{value:.1f}".removesuffix(".0")
