"""The benchmark: a run at the smallest size, its numbers' meaning, and what it says to wrong input."""

import json
import subprocess
import sys

import pytest
import torch
from dassl.engine import TRAINER_REGISTRY

from clip_prompts.encoders import blocks
from measuring import counters
from measuring.task import Setting, Task, class_names, random_clip
from tests.conftest import ROOT
from tools import benchmark

pytestmark = pytest.mark.slow

IMAGES = ("image encoder, plain", "image encoder")
TINY = ["--backbone", "tiny", "--classes", "6", "--repeat", "1", "--threads", "1"]


def measure(tmp_path, *flags) -> dict:
    path = tmp_path / "numbers.json"
    assert benchmark.main([*TINY, *flags, "--json", str(path)]) == 0
    assert [file.name for file in tmp_path.iterdir()] == ["numbers.json"]
    return json.loads(path.read_text())


@pytest.fixture(autouse=True)
def _threads():
    """The program sets the number of threads of its process, which is this one here."""
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("method, batch", [("CoOp", 2), ("CoCoOp", 1), ("CoCoOp", 3)])
def test_both_ways_are_equal_and_all_parts_are_timed(tmp_path, capsys, method, batch):
    record = measure(tmp_path, "--method", method, "--batch", str(batch), "--no-memory")
    assert record["equality"]["holds"] is True
    assert 0 < record["equality"]["loss"] + record["equality"]["gradient"] < 2e-4
    assert set(record["ways"]) == {"text, plain", "text, ours", *IMAGES, "step, ours"}
    assert all(way["seconds"] > 0 for way in record["ways"].values())
    contexts = batch if method == "CoCoOp" else 1
    assert record["ways"]["text, plain"]["positions"] == contexts * 6 * 77
    assert record["ways"]["text, ours"]["positions"] < contexts * 6 * 77 / 8
    said = capsys.readouterr().out
    assert f"{method}, tiny, 6 classes, batch {batch}, fp32" in said
    assert "equal (fp32: 1e-5, 1e-4)" in said


# Settings that the three text layers of ``tiny`` can take.
TINY_SETTINGS = {
    "MaPLe": ("TRAINER.MAPLE.PROMPT_DEPTH", "2"),
    "VPT": ("TRAINER.VPT.PROMPT_DEPTH_VISION", "3"),
    "TCP": ("TRAINER.TCP.LAYER", "2"),
    "ProGrad": (),
}


@pytest.mark.parametrize("method", TINY_SETTINGS)
def test_any_method_is_measured_next_to_its_plain_implementation(tmp_path, capsys, method):
    path = tmp_path / "numbers.json"
    flags = ["--method", method, "--no-memory", "--json", str(path)]
    assert benchmark.main([*TINY, *flags, *TINY_SETTINGS[method]]) == 0
    record, said = json.loads(path.read_text()), capsys.readouterr().out
    assert record["equality"]["holds"] is True
    text = {"text, plain", "text, ours"} if method != "VPT" else set()
    prompted = {"prompted images, plain", "prompted images", "step, plain"} if method in ("MaPLe", "VPT") else set()
    assert set(record["ways"]) == {*text, *IMAGES, *prompted, "step, ours"}
    assert ("forward and backward pass of its prompted images" in said) == bool(prompted)
    assert ("it is encoded once" in said) == (method == "VPT")


def test_a_method_without_a_plain_implementation_is_measured_alone(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(TRAINER_REGISTRY, "_objects", dict(TRAINER_REGISTRY._objects))
    record = measure(tmp_path, "--method", "DeepText", "--plugin", str(ROOT / "tests/examples/deep_text.py"))
    assert record["equality"] is None and set(record["ways"]) == {"text, ours", *IMAGES, "step, ours"}
    assert all(way["process_bytes"] > 2**20 for way in record["ways"].values())


def test_rows_of_their_own_are_counted_from_their_layer_on():
    """TCP's prompts share no row from layer 2 of 3 on."""
    settings = Setting("TCP", "tiny", 6, opts=("TRAINER.TCP.LAYER", "2"))
    task = Task(settings, with_plain=False)
    shape, prompts = task.encoder.shape, task.learner.prompts
    counted = [counters.text_flops(shape, prompts, 1, False, start) for start in (None, task.separate_from, 1)]
    assert task.separate_from == 2 and counted[0] < counted[1] < counted[2]


def test_a_memory_limit_leaves_the_ways_equal(tmp_path):
    record = measure(tmp_path, "--batch", "2", "--no-memory", "--memory-gb", "0.0005")
    assert record["equality"]["holds"] is True


def test_evaluation_is_equal_and_scaled(tmp_path, capsys):
    record = measure(tmp_path, "--evaluate", "--images", "8", "--plain-images", "2")
    assert record["difference"] < 1e-5
    assert (record["images"], record["plain_images"]) == (8, 2)
    assert "timed on 2 of them" in capsys.readouterr().out


def test_memory_is_measured_in_a_process_of_its_own(tmp_path):
    """As a program, for one way only."""
    command = [sys.executable, str(ROOT / "tools/benchmark.py"), *TINY, "--only-memory", "text, plain"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    record = json.loads(done.stdout)
    assert 2**20 < record["peak_bytes"] < record["process_bytes"]


MEASURED = """
import pathlib, sys, torch
from measuring import counters
if sys.argv[1] == "no reset":
    counters._CLEAR = pathlib.Path("/proc/there/is/none")
print(*counters.peak_memory(lambda: torch.ones(2**26).sum(), torch.device("cpu")))
"""


@pytest.mark.parametrize("system", ["as it is", "no reset"])
def test_peak_memory_sees_what_a_call_takes_and_gives_back(system):
    """256 MiB in a process of its own: where the system lets the peak be reset, and where it does not."""
    command = [sys.executable, "-W", "ignore", "-c", MEASURED, system]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT / "tools")
    peak, process = map(int, done.stdout.split())
    assert 0.9 * 2**28 < peak < 1.5 * 2**28
    assert process > peak


def test_necessary_operations_are_those_of_the_packed_rows(monkeypatch):
    """Against a count of every product of one encoding by PyTorch."""
    from torch.utils.flop_counter import FlopCounterMode

    task = Task(Setting(backbone="tiny", classes=6), with_plain=False)
    prompts = task.learner.prompts
    monkeypatch.setattr(blocks, "_PRODUCT", None)  # the counter does not know oneDNN's operator
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        task.encoder(prompts, task.learner.ctx.detach().unsqueeze(0))
    counted = counters.text_flops(task.encoder.shape, prompts, 1, backward=False)
    assert counted < counter.get_total_flops() < 1.15 * counted  # blocks of attention hold masked products, too
    assert 1 < prompts.packing().spread < 3


@pytest.mark.parametrize("name", ("ViT-B/16", "ViT-B/32", "RN50", "ViT-L/14", "tiny"))
def test_shapes_are_openais(name):
    """Parameters of the published models (those of ``tiny`` are in its model card)."""
    with torch.device("meta"):
        model = random_clip(name)
    million = sum(p.numel() for p in model.parameters()) / 1e6
    published = {"ViT-B/16": 149.6, "ViT-B/32": 151.3, "RN50": 102.0, "ViT-L/14": 427.6}
    assert million == pytest.approx(published.get(name, 7.8), rel=0.01)


def test_class_names_are_spread_and_different():
    assert len(set(class_names(50))) == 50
    assert class_names(2)[0] == class_names(1000)[0]
    assert class_names(2)[1] == class_names(1000)[500]


@pytest.mark.parametrize(
    "flags, line",
    [
        (["--classes", "1001"], "--classes 1001 is not between 1 and 1000"),
        (["--batch", "0"], "--batch 0 is not 1 or more"),
        (["--backbone", "ViT-B/17"], "invalid choice: 'ViT-B/17'"),
        (["--method", "CoOpp"], "Unknown method 'CoOpp'. Did you mean 'CoOp'?"),
        (["--method", "MaPLe"], "Lower the prompt depth"),
        (["TRAINER.COCOOP.N_CTX"], "'TRAINER.COCOOP.N_CTX' has no value"),
    ],
)
def test_bad_input_is_one_clear_line(flags, line, capsys):
    try:
        status = benchmark.main([*TINY, *flags])
    except SystemExit as stop:  # argparse
        status = stop.code
    assert status == 2
    assert line in capsys.readouterr().err
