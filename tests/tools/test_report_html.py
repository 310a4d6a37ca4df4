"""The report's page: its numbers, that names in it are inert and nothing is fetched."""

import re
import sys
from html.parser import HTMLParser

import pytest

from clip_prompts.report import formats
from clip_prompts.report.html import render_page
from clip_prompts.report.page.evaluations import calibration, calibration_error, groups
from clip_prompts.report.page.svg import around, round_factors, round_steps
from clip_prompts.report.reading import ReportError, collect
from clip_prompts.report.tables import build
from tests.tools.pages import TRAINERS
from tests.tools.records import record, write
from tools.report import main

pytestmark = pytest.mark.integration


class Page(HTMLParser):
    """Tags with attributes, and the text outside scripts and styles."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.texts, self.inside = [], [], None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.inside = tag

    def handle_endtag(self, tag):
        self.inside = None

    def handle_data(self, data):
        if self.inside not in ("script", "style"):
            self.texts.append(data)


def test_refers_to_nothing_outside(page):
    text = page.read_text(encoding="utf-8")
    found = Page(text)
    for tag, attributes in found.tags:
        assert tag not in ("img", "link", "iframe", "object", "embed", "base"), tag
        for name in ("src", "href", "xlink:href", "srcset", "action", "style"):
            assert attributes.get(name, "#").startswith("#"), (tag, attributes)
    assert not re.search(r"https?://|@import|url\(", text)
    policy = next(a["content"] for tag, a in found.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'") and "unsafe" not in policy


def test_has_every_number_of_the_tables(folder, page):
    tables = build(collect([folder]))
    shown = " ".join(" ".join(Page(page.read_text(encoding="utf-8")).texts).split())
    texts = {t for table in tables for b in table.blocks for row in b.rows
             for t in formats._cells(table, row, table.columns, "std", " ± ")}  # fmt: skip
    assert len(texts) > 40
    for text in texts:
        assert text in shown, text
    for table in tables:
        assert "; ".join(formats._facts(table, "std")) in shown
        assert "selection: last epoch" in shown


def test_spread_is_the_one_asked_for(folder):
    runs = collect([folder])
    assert "95 % t-interval" in render_page(runs, build(runs), "ci95")
    assert "95 % t-interval" not in render_page(runs, build(runs), "std")


def test_same_records_give_the_same_page(folder):
    runs = collect([folder])
    assert render_page(runs, build(runs)) == render_page(runs, build(runs))


def test_names_are_text_wherever_they_are(page):
    text = page.read_text(encoding="utf-8")
    assert "window.hacked" in text and "<script>window" not in text and "<img" not in text
    scripts = [attributes for tag, attributes in Page(text).tags if tag == "script"]
    assert scripts == [{"type": "application/json", "id": "data"}, {}]


def test_details_are_pooled_over_seeds(folder):
    table = next(t for t in build(collect([folder])) if t.key["protocol"] == "base2new")
    group = groups(table)[0]
    assert [e.label for e in group.entries] == list(TRAINERS)
    entry = group.entries[1]
    bins = calibration(entry)
    assert len(entry.runs) == 3 and bins[13][0] == 600
    assert calibration_error(bins) == pytest.approx(100 * (200 * 0.3 + 100 * 0.0) / 300)


def test_zero_shot_stands_beside_every_number_of_shots(folder):
    table = next(t for t in build(collect([folder])) if t.key["protocol"] == "few_shot")
    found = {group.name: [e.label for e in group.entries] for group in groups(table)}
    assert found["EuroSAT, 1 shot"] == found["EuroSAT, 16 shots"] == list(TRAINERS)


def test_what_records_lack_is_said(tmp_path):
    write(tmp_path / "in", record(70.0))
    runs = collect([tmp_path / "in"])
    text = render_page(runs, build(runs))
    for reason in (
        "curves over shots",
        "accuracy against cost",
        "training curves",
        "reliability diagrams",
        "confused pairs",
        "results by class",
    ):
        assert f"Left out: {reason}: " in text
    assert "<svg" not in text and "In detail" not in text and "70.00" in text


def test_a_damaged_record_is_one_line(tmp_path):
    write(tmp_path / "in", record(70.0, calibration=[{"count": 1}]))
    with pytest.raises(
        ReportError, match="results.json: the field 'calibration' is not in the form that train.py writes"
    ):
        runs = collect([tmp_path / "in"])
        render_page(runs, build(runs))
    assert not (tmp_path / "page.html").exists()


def test_report_writes_it_beside_its_tables(folder, tmp_path, capsys):
    assert main([str(folder), "--html", str(tmp_path / "sub" / "page.html")]) == 0
    assert "Base-to-new" in capsys.readouterr().out
    assert (tmp_path / "sub" / "page.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


COST = {"step_seconds": 0.1, "test_images_per_second": 50.0, "device": "GPU A"}


def test_accuracy_against_cost(tmp_path):
    """A panel for time, memory and learned numbers; a point for each method that learns, a line for zero-shot."""
    for trainer, speed, learned in (("ZeroshotCLIP", None, 0), ("CoOp", 1000.0, 2048), ("CoCoOp", 10.0, 35360)):
        for dataset in ("EuroSAT", "SUN397"):
            for classes, accuracy in (("base", 80.0), ("new", 60.0)):
                cost = COST | {"train_images_per_second": speed}
                one = record(accuracy, trainer, dataset, classes, protocol="base2new", cost=cost, learned=learned)
                write(tmp_path / trainer / dataset / classes, one)
    runs = collect([tmp_path])
    figure = render_page(runs, build(runs)).split("Accuracy against cost")[1].split("</figure>")[0]
    panels = figure.split("<svg")
    labels = [re.search('aria-label="([^"]+)"', panel)[1] for panel in panels if "aria-label" in panel]
    place = "Average over 2 datasets, H. "
    assert labels[0] == f"{place}CoOp: 68.57 % at 1; CoCoOp: 68.57 % at 100; ZeroshotCLIP: 68.57 %"
    assert labels[1].startswith(f"{place}CoOp: 68.57 % at 900") and "at 3.536e+04" in labels[2] and len(labels) == 3
    for panel in panels[-3:]:
        assert panel.count('class="mark') == 2 and panel.count("line dashed m0") == 1
    assert "training (ms per image)" in panels[-3] and "memory (MiB)" in panels[-2] and "learned numbers" in panels[-1]


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0.7, 7, [1, 2, 5]), (700, 1100, [700, 800, 900, 1000, 1100]), (900, 3e6, [1e3, 1e4, 1e5, 1e6])],
)
def test_ticks_of_a_logarithmic_axis(low, high, expected):
    assert round_factors(low, high) == pytest.approx(expected)


@pytest.mark.parametrize(("low", "high"), [(0, 1), (37.8, 44.2), (0.001, 0.0023), (1, 200), (99.9, 100)])
def test_ticks_are_few_and_inside(low, high):
    steps = round_steps(low, high)
    assert 2 <= len(steps) <= 6
    assert low - 1e-9 <= steps[0] and steps[-1] <= high + 1e-9


def test_an_axis_of_one_value_has_a_width():
    assert around([0.0])[0] < around([0.0])[1] and around([100.0], 0, 100)[0] < 100


@pytest.mark.parametrize(
    ("options", "part"),
    [(["--pictures", "p"], "--html"), (["--html", "h", "--pictures", "p"], "pip install playwright")],
)
def test_pictures_that_cannot_be(options, part, folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "playwright.sync_api", None)
    assert main([str(folder), *options]) == 2
    error = capsys.readouterr().err
    assert part in error and error.count("\n") == 1 and not (tmp_path / "p").exists()


def test_no_average_curve_where_the_datasets_differ_between_shots(folder):
    (folder / "few_shot/CoOp/1/4/1/results.json").unlink()
    (folder / "few_shot/CoOp/1/4/2/results.json").unlink()
    (folder / "few_shot/CoOp/1/4/3/results.json").unlink()
    runs = collect([folder])
    assert "Averages are over the datasets that all methods have, of 2: 2 at 0 shots, 2 at 1 shot, 1 at 4 shots" in (
        text := render_page(runs, build(runs))
    )
    few_shot = text.split("Accuracy over shots")[1].split("</figure>")[0]
    assert "EuroSAT" in few_shot and "verage" not in few_shot


def test_a_method_that_is_not_ranked_stays_last(tmp_path):
    for trainer in ("CoOp", "PromptKD"):
        write(tmp_path / trainer, record(70.0, trainer))
    runs = collect([tmp_path])
    rows = re.findall(r'<tr[^>]*><th scope="row"><span>[^<]*', render_page(runs, build(runs)))
    assert [("data-last" in row, row.rpartition(">")[2]) for row in rows] == [
        (False, "CoOp"),
        (True, "PromptKD (transductive)"),
    ]
