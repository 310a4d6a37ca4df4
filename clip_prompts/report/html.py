"""``--html``: one page of tables and figures. It holds its style, script and data: no network, no other file."""

import base64
import hashlib
from pathlib import Path

from clip_prompts.report import formats
from clip_prompts.report.numbers import Table
from clip_prompts.report.page import figures
from clip_prompts.report.page.evaluations import Group, groups
from clip_prompts.report.page.mistakes import PER_PLACE, Gallery
from clip_prompts.report.page.runs import runs_view
from clip_prompts.report.page.svg import swatch
from clip_prompts.report.page.tables import class_data, class_table, confusion_view, table_view
from clip_prompts.report.reading import Run
from clip_prompts.report.statistics import SPREADS

FOLDER = Path(__file__).parent / "page"
COPIES = {"latex": "LaTeX", "csv": "CSV", "markdown": "Markdown"}  # forms in which a table can be copied


def render_page(runs: list[Run], tables: list[Table], kind: str = "std", pictures: int = PER_PLACE) -> str:
    """Returns the page of all runs as HTML.

    Args:
        tables: of the runs. kind: meaning of the ±, one of ``SPREADS``. pictures: the most misclassified pictures for a
            dataset's classes at a number of shots.

    Raises ReportError: a record is damaged.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup, escape

    style, script = ((FOLDER / name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    styles = _styles(tables)
    gallery = Gallery(sum(len(groups(table)) for table in tables), pictures)
    sections = [_section(i, table, kind, styles, gallery) for i, table in enumerate(tables)]
    data = [group for section in sections for group in section.pop("data")]
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["svg"] = lambda chart: Markup(str(chart))
    environment.filters["breakable"] = lambda label: escape(label).replace("+", Markup("+<wbr>"))
    return environment.get_template("page.html").render(
        style=Markup(style),
        script=Markup(script),
        hashes={"style": _hash(style), "script": _hash(script)},
        sections=sections,
        data=data,
        facts=_facts(runs),
        spread=SPREADS[kind],
        swatch=lambda label: Markup(swatch(styles[label])),
        style_of=styles.get,
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
            found[row.label] = 0 if row.is_zero_shot else 1 + learning
            learning += not row.is_zero_shot
    return found


def _section(index: int, table: Table, kind: str, styles: figures.Styles, gallery: Gallery) -> dict:
    own, name = groups(table), f"table-{index + 1}"
    learning = [entry for group in own for entry in group.entries if not entry.row.is_zero_shot]
    learned_here = any(not run.record.get("loaded") for entry in learning for run in entry.runs)
    data = class_data(own, styles)
    views = [_group(group, classes, styles, gallery) for group, classes in zip(own, data, strict=True)]
    details = ("classes", "reliability", "confusion", "mistakes")
    shown = [view for view in views if any(view[name] for name in details)]
    lacks = {name: own and not any(view[name] for view in views) for name in details}
    few_shot, halves = table.key.get("protocol") == "few_shot", {"base", "new"} <= set(table.columns)
    curves = figures.shot_curves(table, kind, styles) if few_shot else []
    scatter = figures.base_against_new(table, styles) if halves else []
    costs = figures.accuracy_against_cost(table, styles)
    training = figures.training_curves(own, styles)
    left_out = {
        "curves over shots: the runs have a single number of shots": few_shot and not curves,
        "base against new: no method has both on one dataset": halves and not scatter,
        "accuracy against cost: fewer than two methods have recorded it": bool(learning) and not costs,
        "training curves: the records hold no loss of two epochs or more": learned_here and not training,
        "reliability diagrams: the records hold no calibration": lacks["reliability"],
        "confused pairs: the records hold no confusion": lacks["confusion"],
        "results by class: the records hold none": lacks["classes"],
        "misclassified pictures: no run has saved its predictions (TEST.SAVE_PREDICTIONS), or none was found": (
            lacks["mistakes"] and gallery.most > 0
        ),
    }
    backbone = table.key.get("backbone")
    return {
        "id": name,
        "title": table.title,
        "short": f"{table.title}, {backbone}" if backbone else table.title,
        "table": table_view(table, kind, name),
        "copies": {title: formats.render([table], form, kind).strip() for form, title in COPIES.items()},
        "runs": runs_view(table, kind, name),
        "labels": list(dict.fromkeys(row.label for block in table.blocks for row in block.rows)),
        "curves": curves,
        "scatter": scatter,
        "costs": costs,
        "training": training,
        "groups": shown,
        "left_out": [reason for reason, applies in left_out.items() if applies],
        "data": [view["data"] for view in shown],
    }


def _group(group: Group, classes: dict, styles: figures.Styles, gallery: Gallery) -> dict:
    charts = [chart for entry in group.entries if (chart := figures.reliability(entry, styles))]
    return {
        "name": group.name,
        "classes": class_table(classes) if classes["methods"] else None,
        "data": classes,
        "reliability": charts,
        "confusion": confusion_view(group),
        "mistakes": gallery.view(group, styles),
    }
