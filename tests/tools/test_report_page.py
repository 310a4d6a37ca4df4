"""Parts of the report's page: best numbers, markers that do not hide each other, commands, misclassified pictures."""

import base64
import csv
import io
import itertools
import math
import re
import shlex

import pytest
from PIL import Image

from clip_prompts.records.predictions import COLUMNS
from clip_prompts.report.commands import ROOT, command_of
from clip_prompts.report.html import render_page
from clip_prompts.report.page.evaluations import groups
from clip_prompts.report.page.mistakes import SIDE, Gallery
from clip_prompts.report.page.svg import apart, colour, shape
from clip_prompts.report.page.tables import table_view
from clip_prompts.report.reading import collect
from clip_prompts.report.tables import build
from clip_prompts.run.arguments import parse
from tests.tools.records import record, write
from tools.report import main

BOX = (0.0, 0.0, 400.0, 300.0)


# Tables


def test_zero_shot_is_repeated_and_competes(tmp_path):
    write(tmp_path / "zero", record(60.0, "ZeroshotCLIP", protocol="zeroshot"))
    for shots, accuracy in ((1, 55.0), (16, 70.0)):
        write(tmp_path / str(shots), record(accuracy, shots=shots))
    (table,) = (t for t in build(collect([tmp_path])) if t.key["protocol"] == "few_shot")
    zero, coop = table_view(table, "std", "t")["bodies"][0]["rows"]
    assert [c["name"] for c in table_view(table, "std", "t")["columns"]] == ["1", "16"]
    assert [(c["mean"], c["repeated"], c["best"]) for c in zero["cells"]] == [
        ("60.00", True, True), ("60.00", True, False),
    ]  # fmt: skip
    assert [(c["mean"], c["best"]) for c in coop["cells"]] == [("55.00", False), ("70.00", True)]
    assert zero["cells"][0]["link"] == zero["cells"][1]["link"] == "t-r1-c1"


# Markers


def test_markers_that_hide_each_other_part():
    places = [(100.0, 100.0, 4.0)] * 5 + [(399.0, 1.0, 6.0)] * 3 + [(200.0, 150.0, 4.0)]
    found = apart(places, BOX)
    assert found[-1] == places[-1]
    for one, other in itertools.combinations(found, 2):
        assert math.dist(one[:2], other[:2]) > 0.7 * (one[2] + other[2])
    for (x, y, r), (h, v, _) in zip(places, found, strict=True):
        assert math.dist((x, y), (h, v)) < 5 * r and 0 <= h <= 400 and 0 <= v <= 300


def test_twins_are_two_markers_on_the_page(tmp_path):
    for trainer, classes in itertools.product(("CoOp", "KgCoOp"), ("base", "new")):
        write(tmp_path / trainer / classes, record(70.0, trainer, classes=classes, protocol="base2new"))
    runs = collect([tmp_path])
    figure = render_page(runs, build(runs)).split("New against base")[1].split("</figure>")[0]
    places = re.findall(r'class="mark m[12] k[12]" d="M([\d.]+) ([\d.]+)', figure)
    assert len(places) == 2 and math.dist(*[tuple(map(float, p)) for p in places]) > 4
    assert 'class="hair"' in figure


def test_methods_look_different():
    assert len({(colour(style), shape(style)) for style in range(33)}) == 33


# Commands


def log(folder, *flags):
    """The head of a log as train.py writes it."""
    lines = ["Setting fixed seed: 1", "** Arguments **"]
    lines += [f"{key}: {value}" for key, value in sorted(vars(parse(list(flags))).items())]
    (folder / "log.txt").write_text("\n".join([*lines, "** Config **", "SEED: 1"]))


FLAGS = (
    "--trainer", "CoOp", "--seed", "3", "--config-file", "configs/trainers/CoOp/tiny.yaml", "--output-dir", "my output",
    "--source-domains", "a", "b", "--plugin", "more.py", "--again", "--protocol", "few_shot", "DATASET.NUM_SHOTS", "4",
    "DATASET.LABEL", "it's; rm -rf /",
)  # fmt: skip


def test_a_command_is_the_one_that_was_given(tmp_path):
    log(write(tmp_path / "run", record(60.0)), *FLAGS)
    (run,) = collect([tmp_path])
    words = shlex.split(command_of(run))
    assert words[:2] == ["python", "train.py"] and "\n" not in command_of(run)
    assert vars(parse(words[2:])) == vars(parse(list(FLAGS))) | {"again": False}


def test_configs_of_another_checkout_are_found_in_this_one(tmp_path):
    configs = ("--config-file", "/elsewhere/configs/trainers/CoOp/tiny.yaml",
               "--dataset-config-file", str(ROOT / "configs/datasets/digits.yaml"))  # fmt: skip
    log(write(tmp_path / "run", record(60.0)), "--trainer", "CoOp", *configs, "--root", "/data/configs/x")
    (run,) = collect([tmp_path])
    assert command_of(run) == (
        "python train.py --trainer CoOp --config-file configs/trainers/CoOp/tiny.yaml "
        "--dataset-config-file configs/datasets/digits.yaml --root /data/configs/x"
    )


@pytest.mark.parametrize(
    "flags", [("--trainer", "CoCoOp"), ("--trainer", "CoOp", "--eval-only", "--model-dir", "x")], ids=["other", "eval"]
)
def test_a_log_of_another_run_tells_no_command(tmp_path, flags):
    log(write(tmp_path / "run", record(60.0)), *flags)
    (run,) = collect([tmp_path])
    assert command_of(run) == ""
    assert "No log tells the command" in render_page([run], build([run]))


def test_the_page_names_runs_and_commands(tmp_path):
    for seed in (1, 2):
        log(write(tmp_path / str(seed), record(60.0, seed=seed)), "--trainer", "CoOp", "--seed", str(seed))
    runs = collect([tmp_path])
    page = render_page(runs, build(runs))
    target = re.search(r'<td[^>]*><a href="#([^"]+)">60.00', page)[1]
    part = page.split(f'id="{target}"')[1].split("</div>")[0]
    assert "python train.py --trainer CoOp --seed 1\npython train.py --trainer CoOp --seed 2</pre>" in part
    assert str(tmp_path / "2") in part


# Misclassified pictures


def predict(folder, pictures, rows, **more):
    """A run with predictions: (file, truth, prediction, probability) each."""
    right = sum(truth == prediction for _, truth, prediction, _ in rows)
    more = {"image_dir": str(pictures), "counts": {"total": len(rows), "correct": right}} | more
    write(folder, record(100 * right / len(rows), **more))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for file, truth, prediction, probability in rows:
        writer.writerow([file, f"class {truth}", f"class {prediction}", probability, truth, prediction])
    (folder / "predictions.csv").write_text(text.getvalue())


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for i in range(6):
        Image.new("RGB", (300, 40 * i + 40), (40 * i, 0, 0)).save(folder / f"{i}.png", pnginfo=None)
    (folder / "broken.png").write_bytes((folder / "1.png").read_bytes()[:60])
    return folder


def gallery(folder, most=24):
    (table,) = build(collect([folder]))
    (group,) = groups(table)
    return Gallery(1, most).view(group, {"CoOp": 1, "CoCoOp": 2})


ROWS = [("0.png", 0, 1, 0.5), ("1.png", 0, 0, 0.99), ("2.png", 1, 0, 0.9), ("broken.png", 1, 0, 0.98),
        ("missing.png", 1, 0, 0.97), ("../pictures/3.png", 1, 0, 0.96), ("4.png", 2, 0, 0.7)]  # fmt: skip


def test_errors_are_shown_the_most_confident_first(tmp_path, pictures):
    predict(tmp_path / "runs/a", pictures, ROWS)
    found = gallery(tmp_path / "runs")
    assert [(p["file"], p["truth"], p["lines"][0]["name"], p["lines"][0]["percent"]) for p in found] == [
        ("2.png", "class 1", "class 0", "90"),
        ("4.png", "class 2", "class 0", "70"),
        ("0.png", "class 0", "class 1", "50"),
    ]
    for picture, red in zip(found, (80, 160, 0), strict=True):
        with Image.open(io.BytesIO(base64.b64decode(picture["picture"].split(",")[1]))) as image:
            assert max(image.size) == SIDE and abs(image.convert("RGB").getpixel((5, 5))[0] - red) < 6


def test_a_picture_is_shown_once_for_all_methods(tmp_path, pictures):
    predict(tmp_path / "runs/a", pictures, [("0.png", 0, 1, 0.5), ("1.png", 0, 1, 0.6)])
    predict(tmp_path / "runs/b", pictures, [("0.png", 0, 1, 0.9), ("1.png", 0, 0, 0.9)], trainer="CoCoOp")
    shared, alone = gallery(tmp_path / "runs")
    assert [m["label"] for m in shared["lines"][0]["methods"]] == ["CoCoOp", "CoOp"]
    assert (shared["lines"][0]["percent"], [m["label"] for m in alone["lines"][0]["methods"]]) == ("90", ["CoOp"])


def test_methods_take_turns_up_to_the_limit(tmp_path, pictures):
    predict(tmp_path / "runs/a", pictures, [(f"{i}.png", 0, 1, 0.9) for i in (0, 1, 2)])
    predict(tmp_path / "runs/b", pictures, [(f"{i}.png", 0, 1, 0.3) for i in (3, 4, 5)], trainer="CoCoOp")
    assert [p["file"] for p in gallery(tmp_path / "runs", 2)] == ["0.png", "3.png"]
    assert gallery(tmp_path / "runs", 0) == []


@pytest.mark.parametrize(
    "more", [{"counts": {"total": 9, "correct": 1}}, {"counts": {"total": 7, "correct": 2}}, {"image_dir": None}]
)
def test_predictions_of_another_evaluation_are_left_alone(tmp_path, pictures, more):
    predict(tmp_path / "runs/a", pictures, ROWS, **more)
    assert gallery(tmp_path / "runs") == []


def test_names_in_predictions_are_text(tmp_path, pictures):
    predict(tmp_path / "runs/a", pictures, [("0.png", 0, 1, 0.5), ("1.png", 0, 0, 0.6)])
    file = tmp_path / "runs/a/predictions.csv"
    file.write_text(file.read_text().replace("class 1", "<script>x\x1b[2J</script>"))
    runs = collect([tmp_path / "runs"])
    page = render_page(runs, build(runs))
    assert "<script>x" not in page and "\x1b" not in page and "&lt;script&gt;x\\x1b[2J" in page


def test_the_report_takes_as_many_pictures_as_asked_for(tmp_path, pictures):
    predict(tmp_path / "runs/a", pictures, ROWS)
    for options, count in (([], 3), (["--mistakes", "1"], 1), (["--mistakes", "0"], 0)):
        page = tmp_path / "page.html"
        assert main([str(tmp_path / "runs"), "--html", str(page), *options]) == 0
        assert page.read_text().count("<img ") == count


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", "\0", "path,label\n" * 3, ",".join(COLUMNS) + "\nx,1,2,nan,1,2\n"])
def test_broken_predictions_are_left_alone(tmp_path, pictures, text):
    predict(tmp_path / "runs/a", pictures, ROWS)
    (tmp_path / "runs/a/predictions.csv").write_text(text)
    runs = collect([tmp_path / "runs"])
    assert "Left out: misclassified pictures: " in render_page(runs, build(runs))


def test_the_page_holds_the_pictures_itself(tmp_path, pictures):
    predict(tmp_path / "runs/a", pictures, ROWS)
    runs = collect([tmp_path / "runs"])
    page = render_page(runs, build(runs))
    assert page.count("<img ") == page.count('<img src="data:image/') == 3
    assert "img-src data:" in page and "Left out: misclassified" not in page
