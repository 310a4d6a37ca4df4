"""Downloads: going on after a cut connection, and never joining the halves of two files."""

import hashlib
import random

import pytest

from datafiles import download
from datafiles.download import Unavailable, fetch

OLD, NEW, LONGER = (random.Random(seed).randbytes(n) for seed, n in ((1, 5000), (2, 5000), (3, 6000)))
HALF = len(OLD) // 2
MARKS = [{"ETag": '"a"'}, {"Last-Modified": "Sat, 01 Jan 2022 00:00:00 GMT"}]


@pytest.fixture
def target(tmp_path):
    return tmp_path / "cache" / "file.bin"


@pytest.fixture
def stopped(server, target, monkeypatch):
    """A download that broke off in the middle and was given up, of OLD with the server's ``headers``."""

    def stop(headers):
        server.files["/file.bin"], server.headers, server.cut = OLD, headers, 1
        with monkeypatch.context() as patch:
            patch.setattr(download, "TRIES", 1)
            with pytest.raises(Unavailable, match="cut"):
                fetch([f"{server.url}/file.bin"], target)
        assert target.with_name("file.bin.part").read_bytes() == OLD[:HALF]
        server.requests.clear()

    return stop


def again(server, target, expected=OLD):
    """The next call brings ``expected``; the ranges that it asked for."""
    fetch([f"{server.url}/file.bin"], target)
    assert target.read_bytes() == expected
    assert [path.name for path in target.parent.iterdir()] == ["file.bin"]
    return [wanted for _, wanted in server.requests]


@pytest.mark.parametrize("headers", [*MARKS, {"ETag": 'W/"weak"'}, {}])
def test_a_later_call_goes_on_where_the_first_stopped(server, target, stopped, headers):
    stopped(headers)
    assert again(server, target) == [f"bytes={HALF}-"]


@pytest.mark.parametrize("headers", MARKS)
def test_a_file_that_changed_on_the_server_is_fetched_anew(server, target, stopped, headers):
    stopped(headers)
    server.files["/file.bin"], server.headers = NEW, {name: value[:-2] + 'b"' for name, value in headers.items()}
    assert again(server, target, NEW) == [f"bytes={HALF}-"]  # If-Range: the server sends all of it


@pytest.mark.parametrize("first, then", [({}, {}), ({"ETag": 'W/"a"'}, {"ETag": 'W/"b"'})])
def test_without_a_mark_for_if_range_size_and_weak_tag_tell_a_change(server, target, stopped, first, then):
    stopped(first)
    server.files["/file.bin"], server.headers = LONGER, then
    assert again(server, target, LONGER) == [f"bytes={HALF}-", None]


def test_a_weak_tag_alone_tells_a_change(server, target, stopped):
    stopped({"ETag": 'W/"a"'})
    server.files["/file.bin"], server.headers = NEW, {"ETag": 'W/"b"'}
    assert again(server, target, NEW) == [f"bytes={HALF}-", None]


def test_a_server_that_ignores_if_range(server, target, stopped, monkeypatch):
    """It sends the rest of another file; its ETag gives it away."""
    stopped({"ETag": '"a"'})
    server.files["/file.bin"], server.headers = NEW, {"ETag": '"b"', "X-Old": '"a"'}  # takes "a" for its own
    assert again(server, target, NEW) == [f"bytes={HALF}-", None]


def test_a_server_that_ignores_ranges(server, target, stopped):
    stopped({"ETag": '"a"'})
    server.ranges = False
    assert again(server, target) == [f"bytes={HALF}-"]


@pytest.mark.parametrize("place", [f"bytes 0-{len(OLD) - 1}/{len(OLD)}", f"bytes {HALF + 1}-", "bits", ""])
def test_a_part_from_another_place_is_not_joined(server, target, stopped, place):
    stopped({"ETag": '"a"'})
    server.place = place
    assert again(server, target) == [f"bytes={HALF}-", None]


def test_a_file_that_became_shorter_is_fetched_anew(server, target, stopped):
    stopped({})
    server.files["/file.bin"] = NEW[:100]
    assert again(server, target, NEW[:100]) == [f"bytes={HALF}-", None]


def test_a_complete_part_needs_no_byte_more(server, target, stopped):
    stopped({"ETag": '"a"'})
    target.with_name("file.bin.part").write_bytes(OLD)
    assert again(server, target) == [f"bytes={len(OLD)}-"]


def test_the_part_of_another_source_is_not_joined(server, target, stopped):
    stopped({"ETag": '"a"'})
    server.files["/copy/file.bin"] = NEW
    fetch([f"{server.url}/copy/file.bin"], target)
    assert target.read_bytes() == NEW
    assert server.requests == [("/copy/file.bin", None)]


@pytest.mark.parametrize("note", ["", "{", "[]", "http://127.0.0.1/file.bin"])
def test_a_part_without_a_readable_note_is_not_joined(server, target, stopped, note):
    stopped({"ETag": '"a"'})
    target.with_name("file.bin.source").write_text(note)
    assert again(server, target) == [None]


def test_a_wrong_checksum_leaves_nothing_and_the_next_source_is_tried(server, target):
    server.files |= {"/bad": NEW, "/good": OLD}
    used = fetch([server.url + "/bad", server.url + "/good"], target, "md5:" + hashlib.md5(OLD).hexdigest())
    assert used == server.url + "/good" and target.read_bytes() == OLD
    with pytest.raises(Unavailable, match="wrong sha256: .*, expected 00"):
        fetch([server.url + "/bad"], target.with_name("x"), "sha256:00")
    assert [path.name for path in target.parent.iterdir()] == ["file.bin"]
