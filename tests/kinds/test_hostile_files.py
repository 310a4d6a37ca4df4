"""A FIFO, a device, a folder or an endless link in the place of a file: one line, at once and in little memory."""

import contextlib
import errno
import os
import pickle

import pytest
from dassl.data.datasets.archives import extract_archive
from dassl.data.datasets.shared.pictures import read_list
from dassl.utils import UserError as EngineError
from dassl.utils import read_image
from dassl.utils import read_json as engine_json

from clip_prompts.common import files
from clip_prompts.common.errors import UserError
from clip_prompts.common.files import FileRefused
from clip_prompts.common.yaml_files import read_yaml
from clip_prompts.data.annotations import read_lines, read_names
from clip_prompts.data.fewshot import read_shots
from clip_prompts.data.folders.names import name_by_file
from clip_prompts.data.folders.table import list_table
from clip_prompts.data.legacy_pickle import read_legacy
from clip_prompts.data.split_file import read_split
from clip_prompts.features.cache import FeatureFile
from clip_prompts.records.results_file import read_records
from clip_prompts.report.reading import ReportError, collect
from clip_prompts.run.config import import_plugin
from clip_prompts.run.errors import user_message
from clip_prompts.sweep import plan, state
from datafiles.unpack import unpack
from tests.kinds.limits import SPECIAL, is_one_line, limited
from tools import report, sweep

pytestmark = pytest.mark.integration

REFUSALS = (UserError, EngineError, ReportError, UserError, OSError, pickle.UnpicklingError)
READERS = {
    "JSON": ("a.json", files.read_json),
    "JSON of the engine": ("a.json", engine_json),
    "YAML": ("a.yaml", read_yaml),
    "split file": ("split_x.json", lambda path: read_split(str(path), str(path.parent))),
    "shots file": ("shots.json", lambda path: read_shots(str(path), "X", 1, [], [], str(path.parent))),
    "CSV": ("annotations.csv", lambda path: list_table(str(path), str(path.parent))),
    "JSON lines": ("annotations.jsonl", lambda path: list_table(str(path), str(path.parent))),
    "class names": ("classnames.txt", lambda path: name_by_file(str(path.parent), ["a"])),
    "lines": ("list.txt", lambda path: read_lines(str(path))),
    "names by number": ("names.json", lambda path: read_names(str(path))),
    "image list": ("list.txt", lambda path: read_list(str(path), str(path.parent))),
    "legacy shots": ("a.pkl", lambda path: read_legacy(str(path))),
    "report": ("results.json", lambda path: collect([path.parent])),
    "sweep": ("sweep.json", lambda path: plan.read(path.parent)),
    "archive of the engine": ("a.tar", lambda path: extract_archive(str(path), str(path.parent / "out"))),
    "archive": ("a.tar", lambda path: unpack(path, path.parent / "out", [])),
    "plugin": ("plugin.py", lambda path: import_plugin(str(path))),
}


@pytest.mark.parametrize("kind", SPECIAL)
@pytest.mark.parametrize("reader", READERS)
def test_a_reader_refuses_all_but_regular_files(reader, kind, tmp_path):
    name, read = READERS[reader]
    SPECIAL[kind](tmp_path / name)
    with limited(), pytest.raises(REFUSALS) as caught:
        read(tmp_path / name)
    assert is_one_line(str(caught.value)) and name in str(caught.value)


# What the project writes itself and can do without: nothing is read, and the file is written again.
QUIET = {
    "records": ("results.json", lambda folder: read_records(folder / "results.json"), []),
    "marker of a sweep": ("done.json", lambda folder: state.read_object(folder / "done.json"), {}),
    "console": ("console.txt", state.last_line, "no output"),
    "console, epoch": ("console.txt", state.epoch, ""),
    "lock": (".lock", lambda folder: state.is_locked(folder) and None, False),
    "state of a job": ("failed.json", lambda folder: state.state_of(folder, "x").name, "waiting"),
}  # fmt: skip


@pytest.mark.parametrize("kind", SPECIAL)
@pytest.mark.parametrize("reader", QUIET)
def test_files_of_the_project_itself_are_passed_over(reader, kind, tmp_path):
    name, read, expected = QUIET[reader]
    SPECIAL[kind](tmp_path / name)
    with limited(), contextlib.suppress(FileRefused):
        assert read(tmp_path) == expected or (name == "console.txt" and kind == "a terabyte")


@pytest.mark.parametrize("kind", SPECIAL)
def test_a_special_file_in_the_feature_cache_costs_a_warning(kind, tmp_path, capsys):
    file = FeatureFile(tmp_path, "key", 3)
    SPECIAL[kind](file.path)
    with limited():
        assert file.read() is None
    line = capsys.readouterr().out.strip()
    assert is_one_line(line) and "recomputed" in line


@pytest.mark.parametrize("kind", SPECIAL)
def test_programs_end_with_status_2(kind, tmp_path, capsys):
    (tmp_path / "runs").mkdir()
    SPECIAL[kind](tmp_path / "runs/results.json")
    SPECIAL[kind](tmp_path / "runs/sweep.json")
    for main, argv in ((report.main, [str(tmp_path / "runs")]), (sweep.main, ["status", str(tmp_path / "runs")])):
        with limited():
            assert main(argv) == 2
        line = capsys.readouterr().err.strip()
        assert is_one_line(line) and line.startswith("Error: ")


def test_a_link_to_a_regular_file_is_read(tmp_path):
    (tmp_path / "a.json").write_text("[1]")
    (tmp_path / "b.json").symlink_to("a.json")
    assert files.read_json(tmp_path / "b.json") == engine_json(tmp_path / "b.json") == [1]


@pytest.mark.parametrize("text", ["[[],", '"ab",', "1,"])
def test_json_of_too_many_values(text, tmp_path):
    (tmp_path / "a.json").write_text("[" + text * 11_000_000)
    with limited(), pytest.raises(ValueError, match="values"):
        files.read_json(tmp_path / "a.json", files.LIST)


def test_a_list_of_too_many_lines(tmp_path):
    (tmp_path / "annotations.csv").write_text("path,label\n" + "\n" * 11_000_000)
    with limited(), pytest.raises(UserError, match="lines and cells"):
        list_table(str(tmp_path / "annotations.csv"), str(tmp_path))


def test_a_file_that_grows_while_it_is_read(tmp_path):
    """Files of /proc say that they have no bytes."""
    with pytest.raises(FileRefused, match="more than 3 bytes"):
        files.read_bytes("/proc/self/status", 3)


@pytest.mark.parametrize(
    "content,word",
    [
        ("x = (\n", "SyntaxError"),
        ("def f():\n    raise ValueError('a\\n\\x1b[2Jb')\nf()\n", "line 2"),
        ("raise SystemExit(3)\n", "SystemExit"),
        ("import no_such_module\n", "no_such_module"),
        ("\0", "source"),
        ("1 / 0", "ZeroDivisionError"),
    ],
)
def test_a_plugin_that_cannot_be_imported_is_one_line(content, word, tmp_path):
    (tmp_path / "plugin_that_fails.py").write_text(content)
    for _ in range(2):
        with pytest.raises(UserError) as caught:
            import_plugin(str(tmp_path / "plugin_that_fails.py"))
        assert is_one_line(str(caught.value)) and word in str(caught.value)


LISTS = {"annotations.csv": "CSV", "split_x.json": "split", "annotations.jsonl": "JSON lines"}


@pytest.mark.parametrize("kind", ["FIFO", "device"])
@pytest.mark.parametrize("name", LISTS)
def test_train_refuses_a_special_list_at_once(name, kind, run, tmp_path):
    (tmp_path / "data").mkdir()
    SPECIAL[kind](tmp_path / "data" / name)
    with limited(30, 3 * 2**30):
        assert run("ZeroshotCLIP", "--root", str(tmp_path / "data"), dataset="image_folder") == 2
    assert is_one_line(run.err.strip()) and name in run.err


@pytest.mark.parametrize("kind", ["FIFO", "device", "folder", "a terabyte"])
def test_train_refuses_a_special_shots_file_at_once(kind, run, tmp_path):
    SPECIAL[kind](tmp_path / "shots.json")
    with limited(30, 3 * 2**30):
        assert run("CoOp", DATASET__SHOTS_FILE=str(tmp_path / "shots.json")) == 2
    assert is_one_line(run.err.strip()) and "shots.json" in run.err


@pytest.mark.parametrize("kind", ["FIFO", "device", "folder", "loop of links", "socket"])
def test_train_finds_a_special_record_before_it_trains(kind, run, tmp_path):
    (tmp_path / "run").mkdir()
    SPECIAL[kind](tmp_path / "run/results.json")
    with limited(30, 3 * 2**30):
        assert run("CoOp") == 2
    assert is_one_line(run.err.strip()) and "results.json" in run.err
    assert os.listdir(run.out) == ["results.json"]


def test_a_nul_byte_in_a_list_is_named(tmp_path):
    (tmp_path / "annotations.csv").write_bytes(b"path,classname\na\0.jpg,cat\n")
    with pytest.raises(UserError, match=r"line 2: the path a\\x00.jpg holds a NUL byte"):
        list_table(str(tmp_path / "annotations.csv"), str(tmp_path))


@pytest.mark.parametrize("kind", ["FIFO", "device", "folder"])
def test_an_image_is_a_regular_file(kind, tmp_path):
    SPECIAL[kind](tmp_path / "a.png")
    with limited(), pytest.raises(EngineError, match="not a regular file"):
        read_image(str(tmp_path / "a.png"))


@pytest.mark.parametrize("content", [b"", b"no picture", b"\x89PNG\r\n\x1a\n" + bytes(30)])
def test_a_message_on_a_broken_image_names_the_path_once(content, tmp_path):
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(EngineError) as caught:
        read_image(str(tmp_path / "a.png"))
    assert str(caught.value).count("a.png") == 1


def test_a_full_disk_names_the_file(tmp_path, monkeypatch):
    def full(self, content):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    with pytest.raises(OSError) as caught:
        files.write_text_atomically(tmp_path / "results.json", "[]")
    assert user_message(caught.value).startswith(f'Cannot use "{tmp_path / "results.json"}" (No space left')


@pytest.mark.parametrize(
    "opts",
    [
        ["INPUT.SIZE", "(" * 50_000],
        ["OPTIM.LR", "x" * 50_000],
        ["TRAINER.COOP.N_CTX", "9" * 50_000],
        ["X" * 50_000, "1"],
        ["OPTIM.NAME", "x" * 50_000],
        ["DATASET.SUBSAMPLE_CLASSES", "x" * 50_000],
        ["TRAINER.NAME", "\x1b[2J" * 10_000],
    ],
    ids=lambda opts: opts[0][:30],
)
def test_long_settings_are_cut_in_messages(opts, run):
    with limited(20, 3 * 2**30):
        assert run("CoOp", opts=opts) == 2
    line = run.err.strip()
    assert is_one_line(line) and len(line) < 2000
