"""Data are known by content: hashes of files, answered from a manifest where nothing changed."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from clip_prompts.common import contents
from clip_prompts.common.contents import content_hashes, manifest_path


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(contents, "_GRAIN", -(10**12))  # files as old as a test are settled
    contents._warn.cache_clear()


@pytest.fixture
def looked(monkeypatch) -> list[str]:
    """Paths that were really read."""
    paths: list[str] = []
    hash_file = contents._hash_file
    monkeypatch.setattr(contents, "_hash_file", lambda path: paths.append(path) or hash_file(path))
    return paths


@pytest.fixture
def files(tmp_path) -> list[str]:
    paths = [tmp_path / "root" / f"{name}.bin" for name in "abc"]
    paths[0].parent.mkdir()
    for path in paths:
        path.write_bytes(path.stem.encode() * 100)
        os.utime(path, ns=(10**18, 10**18))
    return [str(path) for path in paths]


def plain(paths) -> list[str]:
    return [hashlib.sha256(Path(path).read_bytes()).hexdigest() for path in paths]


def test_hashes_are_sha256_in_order_and_the_second_look_reads_nothing(files, looked):
    assert content_hashes([*files, files[0]]) == plain([*files, files[0]])
    assert sorted(looked) == files
    assert content_hashes(files[::-1]) == plain(files[::-1]) and len(looked) == 3


def test_a_file_that_just_changed_is_not_stored(files, looked, monkeypatch):
    monkeypatch.setattr(contents, "_GRAIN", 2 * 10**9)
    assert content_hashes(files) == content_hashes(files) and len(looked) == 6


def swap(a, b):
    os.rename(a, f"{a}.x")
    os.rename(b, a)
    os.rename(f"{a}.x", b)


def edit_in_place(a, b):
    with open(a, "r+b") as file:
        file.write(b"X")
    os.utime(a, ns=(10**18, 10**18))


def overwrite(a, b):
    Path(a).write_bytes(Path(b).read_bytes())
    os.utime(a, ns=(10**18, 10**18))


@pytest.mark.parametrize("change", [swap, edit_in_place, overwrite])
def test_a_change_that_keeps_size_and_mtime_is_seen(files, change):
    before = content_hashes(files)
    change(files[0], files[1])
    assert content_hashes(files) == plain(files) != before


def test_a_renamed_root_is_answered_from_the_manifest(files, looked, tmp_path):
    before = content_hashes(files)
    (tmp_path / "root").rename(tmp_path / "moved")
    moved = [str(tmp_path / "moved" / Path(path).name) for path in files]
    assert content_hashes(moved) == before and len(looked) == 3


def test_links_are_followed(files, tmp_path):
    (tmp_path / "link").symlink_to(files[0])
    assert content_hashes([tmp_path / "link"]) == plain(files[:1])


def broken(path):
    path.write_bytes(b"SQLite format 3\0" + b"x" * 5000)


def folder(path):
    path.mkdir()


def fifo(path):
    os.mkfifo(path)


def other_table(path):
    import sqlite3

    with sqlite3.connect(path) as manifest:
        manifest.execute("CREATE TABLE files (a)")


@pytest.mark.parametrize("make", [broken, folder, fifo, other_table])
def test_an_unusable_manifest_costs_one_line(files, make, capsys):
    manifest_path().parent.mkdir(parents=True)
    make(manifest_path())
    assert content_hashes(files) == plain(files)
    assert content_hashes(files) == plain(files)
    printed = capsys.readouterr().out
    assert printed.startswith("Warning: content hashes are not stored in") and printed.count("\n") <= 2


def test_a_cache_that_is_a_file_costs_one_line(files, tmp_path, capsys):
    (tmp_path / "cache").write_text("")
    assert content_hashes(files) == plain(files)
    assert capsys.readouterr().out.count("\n") == 1


def test_nonsense_in_the_manifest_is_not_believed(files):
    import sqlite3

    content_hashes(files)
    with sqlite3.connect(manifest_path()) as manifest:
        manifest.execute("UPDATE files SET sha256 = 'x'")
    assert content_hashes(files) == plain(files)


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: os.symlink("/dev/zero", path)])
def test_only_regular_files_are_read(make, tmp_path):
    make(tmp_path / "x")
    with pytest.raises(OSError):
        content_hashes([tmp_path / "x"])


def test_a_missing_file_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        content_hashes([tmp_path / "none"])


def test_processes_may_share_the_manifest(files, tmp_path):
    many = []
    for number in range(200):
        many.append(str(tmp_path / "root" / f"{number}"))
        Path(many[-1]).write_bytes(b"%d" % number)
        os.utime(many[-1], ns=(10**18, 10**18))
    code = (
        "import sys; from clip_prompts.common import contents; contents._GRAIN = -10**12\n"
        "for start in range(0, len(sys.argv) - 1, 20): contents.content_hashes(sys.argv[1:][start:start + 20])"
    )
    started = [subprocess.Popen([sys.executable, "-c", code, *many], stdout=subprocess.PIPE) for _ in range(2)]
    assert [process.communicate()[0] for process in started] == [b"", b""]
    assert [process.returncode for process in started] == [0, 0]
    assert content_hashes(many) == plain(many)
