"""Misclassified pictures with truth and predictions, from the ``predictions.csv`` of the runs."""

import base64
import csv
import io
from dataclasses import dataclass, field
from pathlib import Path

from clip_prompts.common.files import LIST, read_text
from clip_prompts.common.text import printable
from clip_prompts.report.page.evaluations import Entry, Group
from clip_prompts.report.page.svg import colour
from clip_prompts.report.reading import Run

FILE = "predictions.csv"
OWN_PICTURES = "ImageFolder"  # the dataset whose pictures are read as a viewer shows them
PER_PLACE, PER_PAGE = 24, 240  # pictures
SIDE = 112  # px of a thumbnail's longer side
SHOWN = 3  # predictions below a picture


@dataclass
class Mistake:
    """A picture that a method got wrong; ``taken_for``: (probability, prediction, method) of each that did."""

    place: str
    truth: str
    taken_for: list[tuple[float, str, Entry]] = field(default_factory=list)


class Gallery:
    """Makes the views of misclassified pictures; each thumbnail is made once.

    Args:
        places: the number of views on the page, which share its limit. most: pictures in a view, 0 for none.
    """

    def __init__(self, places: int, most: int = PER_PLACE) -> None:
        self.most = min(most, max(4, PER_PAGE // max(places, 1))) if most else 0
        self.thumbnails: dict[tuple[Path, bool], str] = {}

    def view(self, group: Group, styles: dict[str, int]) -> list[dict]:
        """Returns pictures with truth and predictions, the most confident errors first; [] if none can be shown.

        Methods take turns with their most confident error, so that each is there. Of the seeds, the first one with
        predictions counts. Pictures that are missing or cannot be read are skipped.
        """
        if self.most <= 0:
            return []
        known: dict[str, Mistake] = {}
        by_method = [_mistakes(entry, known) for entry in group.entries]
        chosen: dict[str, Mistake] = {}
        thumbnails: dict[str, str] = {}
        for rank in range(max(map(len, by_method), default=0)):
            for own in by_method:
                if rank < len(own) and own[rank].place not in thumbnails and len(chosen) < self.most:
                    place = own[rank].place
                    thumbnails[place] = self._thumbnail(Path(place), group)
                    if thumbnails[place]:
                        chosen[place] = own[rank]
            if len(chosen) >= self.most or len(thumbnails) > 10 * self.most:
                break
        for mistake in chosen.values():
            mistake.taken_for.sort(key=lambda found: -found[0])
        most_confident = sorted(chosen.values(), key=lambda mistake: -mistake.taken_for[0][0])
        return [_view(mistake, thumbnails[mistake.place], styles) for mistake in most_confident]

    def _thumbnail(self, path: Path, group: Group) -> str:
        as_viewed = group.entries[0].runs[0].record["dataset"] == OWN_PICTURES
        key = (path, as_viewed)
        if key not in self.thumbnails:
            self.thumbnails[key] = thumbnail(path, as_viewed)
        return self.thumbnails[key]


def _view(mistake: Mistake, picture: str, styles: dict[str, int]) -> dict:
    predictions: dict[str, list[tuple[float, Entry]]] = {}
    for probability, name, entry in mistake.taken_for:
        predictions.setdefault(name, []).append((probability, entry))
    lines = [
        {
            "name": name,
            "percent": f"{100 * found[0][0]:.0f}",
            "methods": [{"label": e.label, "style": colour(styles[e.label])} for _, e in found],
        }
        for name, found in predictions.items()
    ]
    return {
        "picture": picture, "truth": mistake.truth, "lines": lines[:SHOWN], "more": max(0, len(lines) - SHOWN),
        "file": printable(Path(mistake.place).name),
    }  # fmt: skip


def _mistakes(entry: Entry, known: dict[str, Mistake]) -> list[Mistake]:
    """Returns the errors of a method, the most confident first.

    Args:
        known: path -> errors of all methods, to which these are added.
    """
    for run in entry.runs:
        if rows := _wrong(run):
            found = []
            for probability, place, truth, prediction in rows:
                mistake = known.setdefault(place, Mistake(place, truth))
                mistake.taken_for.append((probability, prediction, entry))
                found.append(mistake)
            return found
    return []


def _wrong(run: Run) -> list[tuple[float, str, str, str]]:
    """Returns probability, path, truth and prediction of a run's errors, the most confident first.

    [] if the file is missing, is not as train.py writes it, or is of another evaluation than the record.
    """
    folder, counts = run.record.get("image_dir"), run.record.get("counts")
    if not folder or not isinstance(counts, dict):
        return []
    wrong = []
    try:
        rows = list(csv.DictReader(io.StringIO(read_text(run.path.parent / FILE, LIST, lines=True))))
        for row in rows:
            if row["label_index"] != row["prediction_index"]:
                share = float(row["probability"])
                if not 0 <= share <= 1 + 1e-6:
                    return []
                names = printable(str(row["label"])), printable(str(row["prediction"]))
                wrong.append((share, _inside(folder, row["path"]), *names))
    except (OSError, ValueError, KeyError, TypeError, csv.Error):
        return []
    if len(rows) != counts.get("total") or len(rows) - len(wrong) != counts.get("correct"):
        return []
    return sorted((found for found in wrong if found[1]), key=lambda found: (-found[0], found[1]))


def _inside(folder: str, path: str) -> str:
    """Returns the path of a picture in the folder; "" if it would be outside."""
    if not path or Path(path).is_absolute() or ".." in Path(path).parts or "\0" in path:
        return ""
    return str(Path(folder) / path)


def thumbnail(path: Path, as_viewed: bool = False) -> str:
    """Returns a small picture as a data URL, without any metadata; "" if the file cannot be read as a picture."""
    try:
        from dassl.utils import load_image
        from PIL import Image
    except ImportError:  # upstream's reader tries a broken file again for ever
        return ""
    try:
        picture = load_image(str(path), as_viewed)
    except (OSError, ValueError):  # every error of load_image is one of them
        return ""
    picture.thumbnail((SIDE, SIDE))
    plain = Image.new("RGB", picture.size)
    plain.paste(picture)
    found = []
    for form, options in (("png", {"optimize": True}), ("jpeg", {"quality": 80})):
        stream = io.BytesIO()
        plain.save(stream, form, **options)
        found.append((len(stream.getvalue()), form, stream.getvalue()))
    _, form, content = min(found)
    return f"data:image/{form};base64,{base64.b64encode(content).decode()}"
