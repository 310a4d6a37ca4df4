"""``--html``: one page of tables and figures. It holds its style, script and data: no network, no other file."""

import base64
import hashlib
from collections.abc import Iterable
from pathlib import Path

from clip_prompts.common.files import write_text_atomically
from clip_prompts.report.numbers import Table
from clip_prompts.report.page import figures
from clip_prompts.report.page.evaluations import Group, groups
from clip_prompts.report.page.svg import swatch
from clip_prompts.report.page.tables import class_data, confusion_view, table_view
from clip_prompts.report.reading import Run
from clip_prompts.report.statistics import SPREADS
from clip_prompts.report.tables import build

FOLDER = Path(__file__).parent / "page"
COLOURS = 8  # of methods that learn, in page.css; zero-shot methods are grey


def write_page(runs: list[Run], path: str | Path, kind: str = "std", tables: Iterable[Table] | None = None) -> None:
    """Write the page of all runs, whole or not at all.

    Args:
        kind: meaning of the ±, one of ``SPREADS``. tables: tables of the runs; by default all of them.

    Raises:
        ReportError: a record is damaged, or no table is left.
        OSError: the file cannot be written.
    """
    write_text_atomically(path, render_page(runs, build(runs) if tables is None else list(tables), kind))


def render_page(runs: list[Run], tables: list[Table], kind: str = "std") -> str:
    """Returns the page as HTML."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    style, script = ((FOLDER / name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    styles = _styles(tables)
    sections = [_section(i, table, kind, styles) for i, table in enumerate(tables)]
    data = [group for section in sections for group in section.pop("data")]
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["svg"] = lambda chart: Markup(str(chart))
    return environment.get_template("page.html").render(
        style=Markup(style),
        script=Markup(script),
        hashes={"style": _hash(style), "script": _hash(script)},
        sections=sections,
        data=data,
        facts=_facts(runs),
        spread=SPREADS[kind],
        swatch=lambda label: Markup(swatch(styles[label])),
    )


def _hash(text: str) -> str:
    """Returns the hash for the Content-Security-Policy: the page runs this text and nothing from a record."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _facts(runs: list[Run]) -> list[str]:
    count = len(runs)
    newest = max((str(run.record["time"]) for run in runs if run.record.get("time")), default=None)
    versions = [run.record.get("versions") for run in runs]
    codes = sorted({str(v["code"]) for v in versions if isinstance(v, dict) and v.get("code")})
    facts = [f"{count} evaluation{'s' * (count != 1)} on {len({run.dataset for run in runs})} datasets"]
    facts += [f"newest of {newest[:16].replace('T', ' ')}"] if newest else []
    return facts + ([f"code {', '.join(codes[:3])}{' and others' * (len(codes) > 3)}"] if codes else [])


def _styles(tables: list[Table]) -> figures.Styles:
    """Returns a colour and marker for each method, the same all over the page."""
    found: figures.Styles = {}
    learning = 0
    for row in (row for table in tables for block in table.blocks for row in block.rows):
        if row.label not in found:
            found[row.label] = 0 if row.is_zero_shot else 1 + learning % COLOURS
            learning += not row.is_zero_shot
    return found


def _section(index: int, table: Table, kind: str, styles: figures.Styles) -> dict:
    own = groups(table)
    left_out: list[str] = []
    labels = list(dict.fromkeys(row.label for block in table.blocks for row in block.rows))
    few_shot = table.key.get("protocol") == "few_shot"
    curves = figures.shot_curves(table, kind, styles) if few_shot else []
    if few_shot and not curves:
        left_out.append("curves over shots: the runs have a single number of shots")
    scatter = figures.base_against_new(table, styles) if {"base", "new"} <= set(table.columns) else None
    if {"base", "new"} <= set(table.columns) and scatter is None:
        left_out.append("base against new: no method has both on one dataset")
    training = figures.training_curves(own, styles)
    if _learned_here(own) and not training:
        left_out.append("training curves: the records hold no loss of two epochs or more")
    views = [_group(group, styles) for group in own]
    data = class_data(own, styles)
    for name, where in (("reliability diagrams", "reliability"), ("confused pairs", "confusion")):
        if own and not any(view[where] for view in views):
            left_out.append(f"{name}: the records hold no {'calibration' if where == 'reliability' else 'confusion'}")
    if own and not any(group["methods"] for group in data):
        left_out.append("results by class: the records hold none")
    for view, group in zip(views, data, strict=True):
        view["classes"] = bool(group["methods"])
    backbone = table.key.get("backbone")
    return {
        "id": f"table-{index + 1}",
        "title": table.title,
        "short": f"{table.title}" + (f", {backbone}" if backbone else ""),
        "table": table_view(table, kind, styles),
        "labels": labels,
        "curves": curves,
        "scatter": scatter,
        "training": training,
        "groups": [view for view in views if _shown(view)],
        "left_out": left_out,
        "data": [group for view, group in zip(views, data, strict=True) if _shown(view)],
    }


def _shown(view: dict) -> bool:
    return bool(view["classes"] or view["reliability"] or view["confusion"])


def _learned_here(own: list[Group]) -> bool:
    entries = [entry for group in own for entry in group.entries if not entry.row.is_zero_shot]
    return any(not run.record.get("loaded") for entry in entries for run in entry.runs)


def _group(group: Group, styles: figures.Styles) -> dict:
    charts = [chart for entry in group.entries if (chart := figures.reliability(entry, styles))]
    seeds = max(len(entry.runs) for entry in group.entries)
    return {"name": group.name, "reliability": charts, "confusion": confusion_view(group), "seeds": seeds}
