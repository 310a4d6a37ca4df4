"""The report's page: its numbers, that names in it are inert and nothing is fetched, and its look in a browser."""

import contextlib
import re
import sys
from html.parser import HTMLParser

import pytest

from clip_prompts.report import formats, pictures
from clip_prompts.report.html import render_page
from clip_prompts.report.page.evaluations import calibration, calibration_error, groups
from clip_prompts.report.page.svg import around, round_factors, round_steps
from clip_prompts.report.reading import ReportError, collect
from clip_prompts.report.tables import build
from tests.tools.records import record, write
from tools.report import main

pytestmark = pytest.mark.integration

HOSTILE = "<script>window.hacked = 1</script><img src=x onerror='window.hacked = 1'>\"'&</script>"
TRAINERS = {"ZeroshotCLIP": 60.0, "CoOp": 70.0, "CoCoOp": 72.0}


def details(accuracy, names=("cat", HOSTILE, "dog")):
    """What an evaluation adds to a record: 100 images of each class."""
    classes = [
        {"label": i, "name": name, "total": 100, "correct": round(accuracy) - i * 5} for i, name in enumerate(names)
    ]
    bins = [{"count": 0, "confidence": None, "accuracy": None}] * 13
    bins += [{"count": 200, "confidence": 0.9, "accuracy": 0.6}, {"count": 100, "confidence": 0.95, "accuracy": 0.95}]
    curve = [{"epoch": e, "loss": 2.0 / e, "acc": 50.0, "lr": 0.1} for e in range(1, 6)]
    return {"per_class": classes, "confusion": [[0, 1, 30], [1, 2, 7]], "calibration": bins, "curve": curve}


@pytest.fixture
def folder(tmp_path):
    """Few-shot and base-to-new results of three methods on two datasets."""
    for t, (trainer, level) in enumerate(TRAINERS.items()):
        for d, dataset in enumerate(("EuroSAT", HOSTILE)):
            for seed in (1,) if t == 0 else (1, 2, 3):
                for k in (16,) if t == 0 else (1, 4, 16):
                    accuracy = level + 3.17 * d + 0.71 * seed + k / 2
                    protocol = "zeroshot" if t == 0 else "few_shot"
                    place = tmp_path / "in" / protocol / trainer / str(d) / str(k) / str(seed)
                    write(place, record(accuracy, trainer, dataset, seed=seed, shots=k, protocol=protocol,
                                        **details(accuracy)))  # fmt: skip
                for c, part in enumerate(("base", "new")):
                    accuracy = level + 2.13 * d - 4.3 * c * t + (0.37 + c * 0.2) * seed
                    place = tmp_path / "in" / part / trainer / str(d) / str(seed)
                    write(place, record(accuracy, trainer, dataset, part, seed, protocol="base2new",
                                        **details(accuracy)))  # fmt: skip
    return tmp_path / "in"


@pytest.fixture
def page(folder, tmp_path):
    runs = collect([folder])
    (tmp_path / "page.html").write_text(render_page(runs, build(runs)), encoding="utf-8")
    return tmp_path / "page.html"


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
    with pytest.raises(ReportError, match="results.json: the field 'calibration' is not as train.py writes it"):
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


# In a real browser


@pytest.fixture(scope="module")
def browser():
    with contextlib.ExitStack() as stack:
        try:
            opened = stack.enter_context(pictures.browser())
        except ReportError as error:
            pytest.skip(str(error))
        yield opened


@pytest.fixture
def tab(browser, page):
    """``tab(width)``: the page opened; fails at the end of a test with whatever its console complained about."""
    opened, complaints = [], []

    def at(width=1280):
        view = browser.new_page(viewport={"width": width, "height": 900})
        opened.append(view)
        view.on("console", lambda m: complaints.append(m.text) if m.type in ("error", "warning") else None)
        view.on("pageerror", lambda error: complaints.append(str(error)))
        view.on("request", lambda r: complaints.append(r.url) if not r.url.startswith("file:") else None)
        view.goto(page.as_uri())
        return view

    yield at
    for view in opened:
        view.close()
    assert not complaints


@pytest.mark.parametrize("width", [390, 500, 768, 1280])
def test_h_is_in_sight(tab, width):
    """Next to the method's name, although the window cuts the table off: there are columns behind it."""
    view = tab(width)
    table = view.locator("section", has_text="Base-to-new").locator("table").first
    table.evaluate("""table => { for (const row of table.rows) if (row.className !== "block")
        for (let i = 0; i < 9; i++) row.insertCell().textContent = "12.34" }""")
    for name in table.locator("th[scope=row]").all():
        key = name.locator("xpath=..").locator(".key")
        left, right = name.bounding_box(), key.bounding_box()
        assert 0 <= left["x"] and left["x"] + left["width"] <= right["x"] and right["x"] + right["width"] <= width


@pytest.mark.parametrize("width", [390, 1280])
def test_fits_its_window_and_runs_no_name(tab, width):
    view = tab(width)
    assert view.evaluate("document.documentElement.scrollWidth") <= width
    for select in view.locator(".closer > label select").all():
        for index in range(select.locator("option").count()):
            select.select_option(index=index)
            assert view.evaluate("document.documentElement.scrollWidth") <= width
    assert view.locator("article:visible .bars .name", has_text="<script>").first.is_visible()
    assert view.evaluate("window.hacked") is None


def test_sorts_numbers_on_click_and_keeps_averages_last(tab):
    view = tab()
    table = view.locator("section", has_text="Base-to-new").locator("table").first
    column = 2
    body = table.locator("tbody").first

    def shown():
        cells = body.locator(f"tr:not(.block) > :nth-child({column + 1})").all_inner_texts()
        return [float(cell.split()[0]) for cell in cells]

    def state():
        return table.locator(f"thead th:nth-child({column + 1})").get_attribute("aria-sort")

    original = shown()
    button = table.locator(f"thead th:nth-child({column + 1}) [role=button]")
    assert state() == "none" and original != sorted(original)
    button.click()
    assert state() == "descending" and shown() == sorted(original, reverse=True)
    button.press("Enter")
    assert state() == "ascending" and shown() == sorted(original)
    heads = table.locator("tbody tr:first-child").all_inner_texts()
    assert [head.startswith("average") for head in heads] == [False, False, True]
    button.click()
    assert state() == "none" and shown() == original


def test_compares_two_chosen_methods_by_class(tab):
    view = tab()
    figure = view.locator(".changes").first
    assert "CoCoOp minus ZeroshotCLIP" in figure.locator("figcaption").inner_text()
    one, other = figure.locator("select").all()
    one.select_option(label="CoOp")
    other.select_option(label="nothing")
    assert figure.locator("figcaption").inner_text() == "Accuracy by class, all seeds together: CoOp, in %."
    values = [float(text) for text in figure.locator(".bars .value").all_inner_texts()]
    assert len(values) == 3 and values == sorted(values, reverse=True)


def test_a_number_leads_to_its_runs(tab):
    view = tab()
    section = view.locator("section", has_text="Base-to-new")
    run = section.locator(".part", has_text="seed 3").first
    assert not run.is_visible()
    section.locator("table.results tbody tr", has_text="CoOp").first.locator("td a").first.click()
    assert run.is_visible() and "base: " in run.inner_text()


def test_tables_are_copied(tab, page, folder):
    view = tab()
    view.context.grant_permissions(["clipboard-read", "clipboard-write"])
    section = view.locator("section", has_text="Base-to-new")
    table = next(t for t in build(collect([folder])) if t.key["protocol"] == "base2new")
    for title, form in (("LaTeX", "latex"), ("CSV", "csv"), ("Markdown", "markdown")):
        section.locator("button", has_text=f"Copy {title}").click()
        section.locator("button", has_text="Copied").first.wait_for()
        assert view.evaluate("navigator.clipboard.readText()") == formats.render([table], form).strip()


def test_is_read_without_scripts(browser, page):
    context = browser.new_context(java_script_enabled=False)
    try:
        view = context.new_page()
        view.goto(page.as_uri())
        assert not view.locator("button.copy").count() and view.locator("noscript table").first.is_visible()
        view.locator("summary", has_text="Copy as LaTeX").first.click()
        assert "\\toprule" in view.locator(".copies pre").first.inner_text()
        assert view.locator("article").count() == view.locator("article:visible").count() > 3
    finally:
        context.close()


def test_a_legend_picks_a_method_out(tab):
    figure = tab().locator("figure:has(.legend)").first
    button = figure.locator(".legend button", has_text="CoCoOp")

    def faded():
        return figure.evaluate("f => [...f.querySelectorAll('.chart .mark')].map(m => getComputedStyle(m).opacity < 1)")

    assert not any(faded())
    button.click()
    assert any(faded()) and not all(faded())
    button.press("Enter")
    assert not any(faded())


def test_paper_has_no_controls_and_whole_tables(tab):
    view = tab()
    controls = view.locator("nav, .closer label, .changes label").all()
    assert len(controls) > 4 and any(c.is_visible() for c in controls)
    view.emulate_media(media="print", color_scheme="dark")
    assert not any(c.is_visible() for c in controls)
    assert view.locator("table").first.is_visible() and view.locator("svg.chart").first.is_visible()
    assert view.evaluate("getComputedStyle(document.querySelector('.scroll')).overflowX") == "visible"
    assert view.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"


def test_is_dark_where_the_system_is(tab):
    view = tab()
    view.emulate_media(color_scheme="dark")
    assert view.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 24, 31)"


def test_tables_and_pictures_have_words(tab):
    view = tab()
    assert view.locator("table:not(:has(caption))").count() == 0
    labels = [chart.get_attribute("aria-label") for chart in view.locator("svg.chart").all()]
    assert len(labels) > 10 and all(len(label) > 20 for label in labels)


def test_pictures_of_every_section(browser, page, tmp_path, monkeypatch):
    from PIL import Image

    monkeypatch.setattr(pictures, "TALLEST", 500)
    written = pictures.take(browser, page, ["few_shot", "zeroshot", "base2new"], tmp_path / "pictures")
    names = {file.name for file in written}
    assert names == {f.name for f in (tmp_path / "pictures").iterdir()}
    assert {"few_shot-desktop.png", "few_shot-phone.png", "base2new-detail-phone.png"} <= names and len(names) == 12
    for file in written:
        with Image.open(file) as picture:
            assert picture.width == {"desktop": 1280, "phone": 780}[file.stem.rpartition("-")[2]]
            assert 150 < picture.height <= 2 * (500 + pictures.MARGIN)
            assert len(picture.getcolors()) > 20  # not a blank page
        assert file.stat().st_size < 400_000


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
