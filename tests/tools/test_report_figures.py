"""``--figures``: curves over shots as PDF and SVG files, the same bytes from the same records."""

import re
import xml.etree.ElementTree as ET

import pytest

from clip_prompts.report import figures
from clip_prompts.report.reading import collect
from clip_prompts.report.shots import Curve, Panel, panels
from clip_prompts.report.tables import build
from tests.tools.records import record, write
from tools import report

NAMES = ("EuroSAT", "SUN397")
HOSTILE = "../../<b>$\\frac{x"


def few_shot(root, trainers=("CoOp", "CoCoOp"), datasets=NAMES, shots=(1, 4, 16), **more):
    """Three seeds of every method, dataset and number of shots, and zero-shot on every dataset."""
    for d, dataset in enumerate(datasets):
        zero = {"protocol": "zeroshot", "learned": 0, **more}
        write(root / f"{d}/zero", record(50.0 + d, "ZeroshotCLIP", dataset, shots=-1, **zero))
        for t, trainer in enumerate(trainers):
            for k in shots:
                for seed in (1, 2, 3):
                    accuracy = 55.0 + d + 3 * t + k + seed / 2
                    write(root / f"{d}/{trainer}/{k}/{seed}",
                          record(accuracy, trainer, dataset, seed=seed, shots=k, **more))  # fmt: skip
    return root


def draw(folder, out, *options):
    status = report.main([str(folder), "--figures", str(out), *options])
    return status, {path.name: path.read_bytes() for path in sorted(out.glob("*"))} if out.is_dir() else {}


def texts(svg):
    return [element.text for element in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


@pytest.mark.slow
def test_files_hold_text_and_the_same_bytes_every_time(tmp_path, capsys, monkeypatch):
    folder = few_shot(tmp_path / "in")
    status, files = draw(folder, tmp_path / "a")
    assert status == 0 and "6 figures" in capsys.readouterr().err
    assert list(files) == [f"{name}.{form}" for name in ("EuroSAT", "SUN397", "average") for form in ("pdf", "svg")]
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1")
    assert draw(folder, tmp_path / "b")[1] == files
    shown = texts(files["average.svg"])
    for text in ("CoOp", "CoCoOp", "ZeroshotCLIP", "0", "1", "4", "16", "Accuracy (%)", "Average over 2 datasets"):
        assert shown.count(text) == 1, text
    for name, content in files.items():
        if name.endswith(".pdf"):
            assert content.startswith(b"%PDF-") and b"Date" not in content
            assert b"/Type3" not in content and b"/Subtype /Image" not in content  # fonts and lines, no pixels
        else:
            assert b"<image" not in content and b"dc:date" not in content


def test_curves_are_the_numbers_of_the_table(tmp_path):
    (table,) = build(collect([few_shot(tmp_path / "in")]), "few_shot")
    average, second, first = panels(table, "std")  # datasets in the order of the papers
    spread = (1 / 6) ** 0.5  # population, of three seeds that are half a point apart
    assert (first.title, second.title, average.title) == (*NAMES, "Average over 2 datasets")
    assert first.shots == [0, 1, 4, 16]
    zero, coop, cocoop = first.curves
    assert zero == Curve("ZeroshotCLIP", True, [(0, 50.0, 0.0)])
    assert [p[:2] for p in coop.points] == [(1, 57.0), (4, 60.0), (16, 72.0)]
    assert [p[2] for p in cocoop.points] == pytest.approx([spread] * 3)
    assert [p[1] for p in average.curves[1].points] == [57.5, 60.5, 72.5]


def test_every_method_has_a_look_of_its_own():
    class Axes:
        looks: list = []

        def plot(self, *_, color, marker, **more):
            self.looks.append((color, marker))

        def fill_between(self, *_, **more):
            pass

    for style in range(56):
        figures._add(Axes(), Curve("m", False, [(1, 50.0, 0.0)]), style, with_band=True)
    assert len(set(Axes.looks)) == 56


def test_names_are_inert_and_files_stay_in_the_folder(tmp_path):
    folder = few_shot(tmp_path / "in", datasets=(HOSTILE, "a/b", "A_B"), shots=(1, 2))
    status, files = draw(folder, tmp_path / "out/figures")
    assert status == 0 and {path.name for path in (tmp_path / "out").iterdir()} == {"figures"}
    assert len({name.lower() for name in files}) == 2 * 4 and all(re.fullmatch(r"\w[\w.-]*", name) for name in files)
    assert any(HOSTILE in texts(content) for name, content in files.items() if name.endswith(".svg"))


def test_backbones_have_files_of_their_own(tmp_path):
    few_shot(tmp_path / "in/a")
    few_shot(tmp_path / "in/b", backbone="RN50")
    names = draw(tmp_path / "in", tmp_path / "out")[1]
    assert {"average-RN50.pdf", "average-ViT-B_16.pdf", "EuroSAT-RN50.svg"} < set(names) and len(names) == 12


def test_a_panel_of_many_methods_has_its_legend_next_to_the_axes():
    curves = [Curve(f"method {i}", False, [(1, 50.0 + i, 0.0), (2, 60.0, 1.0)]) for i in range(12)]
    widths = []
    for few in (curves[:2], curves):
        svg = figures._draw(Panel("a", [1, 2], few), {curve.label: i for i, curve in enumerate(few)})["svg"]
        assert {curve.label for curve in few} < set(texts(svg))
        widths.append(float(ET.fromstring(svg).get("width").removesuffix("pt")))
    assert widths[1] > widths[0] + 40


@pytest.mark.parametrize("shots, protocol", [((16,), "few_shot"), ((1, 16), "own")])
def test_a_single_number_of_shots_is_no_curve(shots, protocol, tmp_path, capsys):
    folder = few_shot(tmp_path / "in", shots=shots, **({} if protocol == "few_shot" else {"protocol": protocol}))
    status, files = draw(folder, tmp_path / "out")
    err = capsys.readouterr().err
    assert status == 2 and not files and "no method with two numbers of shots" in err and err.count("\n") == 1
