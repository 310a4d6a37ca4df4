"""``predict --html``: a page of pictures in one file, most uncertain first, whatever the names of files are."""

import base64
import io
import re
import shutil

import pytest
from PIL import Image

from clip_prompts import load_prompt
from clip_prompts.prompt.cli import main
from clip_prompts.prompt.contact_sheet import contact_sheet
from clip_prompts.prompt.prompt import Prediction
from clip_prompts.report import pictures
from clip_prompts.report.reading import ReportError

pytestmark = pytest.mark.integration

HOSTILE = "<script>document.title='hacked'&\".png"


@pytest.fixture
def photos(learned, tmp_path):
    """Four small pictures, one with a hostile name, one that is large, and a file that is no picture."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for i, path in enumerate(sorted((learned / "pictures").glob("*/*.png"))[::10]):
        shutil.copy(path, folder / f"{i}.png")
    shutil.copy(folder / "0.png", folder / HOSTILE)
    Image.new("RGB", (900, 300), (200, 30, 30)).save(folder / "large.png")
    (folder / "broken.jpg").write_bytes(b"no picture")
    return folder


def entries(page: str) -> list[str]:
    return re.findall(r"<figure>.*?</figure>", page, re.S)


def percents(page: str) -> list[float]:
    """Of the first class of each picture."""
    return [float(re.search(r'"value">([\d.]+) %', entry)[1]) for entry in entries(page)]


def test_most_uncertain_come_first_and_the_unreadable_last(learned, photos, tmp_path, capsys):
    page_file, csv_file = tmp_path / "out/page.html", tmp_path / "rows.csv"
    assert main(["predict", str(learned / "run"), str(photos), "--html", str(page_file), "--csv", str(csv_file)]) == 0
    assert str(page_file) in capsys.readouterr().out
    page = page_file.read_text()

    found = percents(page)
    assert len(found) == 6 and found == sorted(found)
    assert csv_file.read_text().startswith("path,class,probability\n")  # the page's further classes are not in it
    written = [round(100 * float(line.rsplit(",", 1)[1]), 1) for line in csv_file.read_text().splitlines()[1:]]
    assert sorted(written) == found

    tail = page.rpartition("</figure>")[2]
    assert "1 unreadable" in tail and "broken.jpg" in tail and "broken.jpg" not in page.removesuffix(tail)
    assert "not shown" not in page
    for jpeg in re.findall(r"data:image/jpeg;base64,([\w+/=]+)", page):
        with Image.open(io.BytesIO(base64.b64decode(jpeg))) as picture:
            assert picture.format == "JPEG" and max(picture.size) <= 160
    assert "<script" not in page and not re.search(r'(src|href)="(?!data:)', page)
    assert not [file for file in page_file.parent.iterdir() if file != page_file]  # of the atomic writing


def test_pictures_beyond_the_limit_are_counted(learned, photos):
    prompt = load_prompt(learned / "run")
    paths = [str(photos / f"{i}.png") for i in range(4)]
    order = [0.9, 0.3, 0.8, 0.25]
    ranked = {i: Prediction(["dog"], [p], [0]) for i, p in enumerate(order)}
    page = contact_sheet(prompt, paths, ranked, {}, most=2)
    assert percents(page) == [25.0, 30.0]
    assert "2 pictures with more certain predictions are not shown" in page
    assert "unreadable" not in page

    (photos / "3.png").unlink()  # between prediction and page
    assert "cannot be read any more" in contact_sheet(prompt, paths, ranked, {}, most=2)


def test_a_browser_shows_it_without_scripts_in_light_and_dark(learned, photos, tmp_path):
    page_file = tmp_path / "page.html"
    main(["predict", str(learned / "run"), str(photos), "--html", str(page_file)])
    try:
        with pictures.browser() as opened:
            papers, requests = [], []
            for scheme in ("light", "dark"):
                view = opened.new_page(color_scheme=scheme, viewport={"width": 390, "height": 800})
                view.on("request", lambda request: requests.append(request.url))
                view.goto(page_file.as_uri())
                papers.append(view.evaluate("getComputedStyle(document.body).backgroundColor"))
                assert view.title() == "Predictions"  # the name of a file has run nothing
                assert view.evaluate("document.documentElement.scrollWidth") <= 390
                assert view.evaluate("[...document.images].every(i => i.complete && i.naturalWidth > 0)")
            assert papers[0] != papers[1]
            assert all(url == page_file.as_uri() or url.startswith("data:") for url in requests)
    except ReportError as error:
        pytest.skip(str(error))
