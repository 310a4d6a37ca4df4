"""The copy of stdout in a file."""

import gc
import io
import re
import sys

import pytest
from dassl.utils import Logger, UserError, setup_logger


@pytest.fixture
def install_console(monkeypatch):
    """Put a console in ASCII in the place of stdout; to be called in the test, where pytest's own is set."""

    def install():
        stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii", write_through=True)
        monkeypatch.setattr(sys, "stdout", stream)
        return stream

    return install


def _shown(console):
    return console.buffer.getvalue().decode()


def test_existing_logs_are_kept(install_console, tmp_path):
    install_console()
    for word in ("one", "two", "three"):
        setup_logger(str(tmp_path))
        print(word)
        sys.stdout.close()
    logs = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert sorted(logs.values()) == ["one\n", "three\n", "two\n"]
    assert logs.pop("log.txt") == "one\n"
    assert all(re.match(r"log\.txt-\d{4}(-\d\d){5}(-\d+)?$", name) for name in logs)


def test_second_run_in_a_process_leaves_the_first_log(install_console, tmp_path):
    console = install_console()
    setup_logger(str(tmp_path / "a"))
    print("one")
    setup_logger(str(tmp_path / "b"))
    print("two")
    assert (tmp_path / "a" / "log.txt").read_text() == "one\n"
    assert (tmp_path / "b" / "log.txt").read_text() == "two\n"
    assert _shown(console) == "one\ntwo\n"


def test_closing_leaves_the_console_open(install_console, tmp_path):
    console = install_console()
    with Logger(str(tmp_path / "log.txt")) as logger:
        assert isinstance(logger, Logger)
        logger.write("a")
    Logger(str(tmp_path / "other.txt"))
    del logger
    gc.collect()
    print("still here")
    assert _shown(console) == "astill here\n"


def test_close_gives_stdout_back(install_console, tmp_path):
    console = install_console()
    setup_logger(str(tmp_path))
    sys.stdout.close()
    assert sys.stdout is console


def test_failure_to_open_leaves_the_console(install_console, tmp_path):
    console = install_console()
    (tmp_path / "file").write_text("")
    for output in (tmp_path / "file" / "sub", tmp_path / "file" / "log.txt"):
        with pytest.raises(UserError, match="file"):
            setup_logger(str(output))
    (tmp_path / "folder.txt").mkdir()
    with pytest.raises(UserError, match="folder.txt"):
        Logger(str(tmp_path / "folder.txt"))
    gc.collect()
    print("fine")
    assert _shown(console) == "fine\n"


def test_text_a_narrow_console_cannot_show(install_console, tmp_path):
    console = install_console()
    setup_logger(str(tmp_path))
    print("café")
    assert (tmp_path / "log.txt").read_text(encoding="utf-8") == "café\n"
    assert _shown(console) == "caf\\xe9\n"


def test_it_is_a_text_stream(install_console, tmp_path):
    console = install_console()
    setup_logger(str(tmp_path))
    stream = sys.stdout
    assert isinstance(stream, io.TextIOBase)
    assert stream.isatty() is False
    assert stream.encoding == "ascii" and stream.errors == "strict"
    assert stream.buffer is console.buffer
    assert stream.writable() and not stream.readable()
    assert stream.write("abc") == 3
    stream.flush()
    assert (tmp_path / "log.txt").read_text() == "abc"
