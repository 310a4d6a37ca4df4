"""A small dataset, a small CLIP, and a short way to call the training program."""

import json
import os
import signal
import sys
from pathlib import Path

import pytest

from tests.golden.fixture import write_clip, write_pets

ROOT = Path(__file__).resolve().parents[1]
UNIT_SECONDS = 3.0  # an unmarked test that takes longer is reported
METHODS = {"CoOp": "vit_b16", "CoCoOp": "vit_b16_c4_ep10_batch1"}


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory):
    """Nothing is written to the user's cache folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session", autouse=True)
def _ctrl_c_is_heard():
    """A shell starts what runs in the background with SIGINT ignored, and its children would inherit that."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def small(tmp_path_factory) -> Path:
    """Folder with ``oxford_pets/`` (10 classes of 50 pictures) and ``tiny_clip.pt``."""
    root = tmp_path_factory.mktemp("small")
    write_pets(root)
    write_clip(root / "tiny_clip.pt")
    return root


def remembered(factory) -> Path:
    """File with a line of JSON per record that the whole test run has written, by all its processes."""
    folder = factory.getbasetemp()
    return (folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder) / "records.jsonl"


def records_of(folder: Path) -> list[str]:
    """The test records of a finished run, as JSON, for ``test_replay.py``."""
    file = folder / "results.json"
    found = json.loads(file.read_text()) if file.is_file() else []
    return [json.dumps(record) for record in found if record["split"] == "test"]


def pytest_terminal_summary(terminalreporter):
    """List the tests that are too slow for a unit test, so that somebody marks them or makes them faster."""
    calls = [report for kind in ("passed", "failed") for report in terminalreporter.getreports(kind)]
    slow = [report for report in calls if report.when == "call" and report.duration > UNIT_SECONDS]
    slow = [report for report in slow if not {"integration", "slow", "zoo", "gpu"} & set(report.keywords)]
    if slow:
        terminalreporter.section(f"unit tests that took more than {UNIT_SECONDS:g} s: mark them or make them faster")
        for report in sorted(slow, key=lambda report: -report.duration):
            terminalreporter.write_line(f"{report.duration:.1f} s  {report.nodeid}")


def pytest_collection_modifyitems(items):
    """Mark the tests that train with ``run``, and put the replay last, when there are records of all kinds."""
    for item in items:
        if "run" in getattr(item, "fixturenames", ()) and ROOT / "tests/engine" not in item.path.parents:
            item.add_marker(pytest.mark.integration)
    items.sort(key=lambda item: item.path.name == "test_replay.py")


@pytest.fixture
def run(small, tmp_path, tmp_path_factory, capsys):
    """Call ``train.py`` on the small dataset and the small CLIP: 2 shots, 1 epoch by default.

    ``run(trainer, *flags, out=..., opts=[...], **settings)`` gives the exit status; keys of settings have ``__`` for
    dots, opts are appended as they are;
    ``run.out`` is the folder of the last call, ``run.err`` what it printed on stderr.
    """
    import train

    def call(trainer="CoOp", *flags, out="run", config=None, dataset="oxford_pets", opts=(), **settings):
        config = config or ROOT / f"configs/trainers/{trainer}/{METHODS.get(trainer, 'vit_b16')}.yaml"
        defaults = {
            "INPUT__SIZE": "(32, 32)", "DATASET__NUM_SHOTS": 2, "OPTIM__MAX_EPOCH": 1, "DATALOADER__NUM_WORKERS": 0,
            "TRAIN__PRINT_FREQ": 1, "SEED": 1,
        }  # fmt: skip
        pairs = [str(x) for key, value in (defaults | settings).items() for x in (key.replace("__", "."), value)]
        call.out = tmp_path / out
        capsys.readouterr()
        call.status = train.main([
            "--trainer", trainer, "--root", str(small), "--output-dir", str(call.out), "--config-file", str(config),
            "--dataset-config-file", str(ROOT / f"configs/datasets/{dataset}.yaml"),
            "--backbone", str(small / "tiny_clip.pt"), *flags, *pairs, *opts,
        ])  # fmt: skip
        captured = capsys.readouterr()
        call.stdout, call.err = captured.out, captured.err
        if call.status == 0 and "--plugin" not in flags and "--root" not in flags:  # the data stay as they are
            records.extend(records_of(call.out))
        return call.status

    records, console = [], sys.stdout
    yield call
    sys.stdout = console
    with open(remembered(tmp_path_factory), "a", encoding="utf-8") as lines:
        lines.writelines(f"{record}\n" for record in records)
