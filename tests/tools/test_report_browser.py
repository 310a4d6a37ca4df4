"""The report's page in a browser: its widths, controls, copies, paper, and the pictures of it."""

import contextlib

import pytest

from clip_prompts.report import formats, pictures
from clip_prompts.report.reading import ReportError, collect
from clip_prompts.report.tables import build

pytestmark = pytest.mark.integration


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
