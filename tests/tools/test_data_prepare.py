"""tools/data.py prepare, against a web server on loopback that serves small archives."""

import errno
import hashlib
import io
import shutil
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tools.data import main
from tools.datafiles import download
from tools.datafiles.catalogue import CATALOGUE


def archive(*members: tuple[str, bytes], link: str = "") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as file:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            file.addfile(info, io.BytesIO(content))
        if link:
            info = tarfile.TarInfo("images/link")
            info.type, info.linkname = tarfile.SYMTYPE, link
            file.addfile(info)
    return buffer.getvalue()


GOOD = archive(("images/a.jpg", bytes(range(256)) * 20))


@pytest.fixture
def server():
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            web.requests.append((self.path, self.headers.get("Range")))
            content = web.files.get(self.path)
            if content is None:
                return self.send_error(404)
            start = int(self.headers.get("Range", "bytes=0-")[6:-1])
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(content) - start))
            self.end_headers()
            end = len(content) // 2 if web.cut and not start else len(content)
            self.wfile.write(content[start:end])

        def log_message(self, *args):
            pass

    web = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    web.files, web.requests, web.cut = {}, [], False
    web.url = f"http://127.0.0.1:{web.server_port}"
    thread = threading.Thread(target=web.serve_forever, args=(0.01,))
    thread.start()
    yield web
    web.shutdown()
    thread.join()
    web.server_close()


@pytest.fixture
def prepare(server, tmp_path, monkeypatch):
    def run(content=GOOD, checksum=None, options=()):
        if content is not None:
            server.files["/images.tar.gz"] = content
        sha = checksum or "sha256:" + hashlib.sha256(content or GOOD).hexdigest()
        file = {"file": "images.tar.gz", "urls": [f"{server.url}/images.tar.gz"]}
        if checksum != "unknown":
            file["checksum"] = sha
        file["moves"] = [["images", "images"]]
        monkeypatch.setitem(CATALOGUE, "OxfordPets", {**CATALOGUE["OxfordPets"], "files": [file]})
        return main(["prepare", "OxfordPets", "--root", str(tmp_path / "root"), *options])

    run.images = tmp_path / "root" / "oxford_pets" / "images"
    return run


def test_complete(prepare):
    assert prepare() == 0
    assert (prepare.images / "a.jpg").read_bytes() == bytes(range(256)) * 20


def test_interrupted_is_resumed(prepare, server):
    server.cut = True
    assert prepare() == 0
    assert server.requests[1] == ("/images.tar.gz", f"bytes={len(GOOD) // 2}-")
    assert (prepare.images / "a.jpg").read_bytes() == bytes(range(256)) * 20


def test_wrong_checksum_keeps_nothing(prepare, tmp_path, capsys):
    assert prepare(checksum="md5:" + "0" * 32) == 1
    assert "wrong md5" in capsys.readouterr().out
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    "content",
    [
        archive(("images/../../x", b"x")),
        archive(("/tmp/x", b"x")),
        archive(("images/a.jpg", b"x"), link="../../../x"),
    ],
    ids=["up", "absolute", "link"],
)
def test_archives_that_reach_out_are_refused(prepare, content, capsys):
    assert prepare(content) == 2
    assert "is refused" in capsys.readouterr().err
    assert not prepare.images.exists()


def test_mirror_first_and_404_falls_through(prepare, server):
    assert prepare(options=["--mirror", server.url + "/gone"]) == 0
    assert [path for path, _ in server.requests] == ["/gone/images.tar.gz", "/images.tar.gz"]


def test_404_everywhere_prints_the_steps(prepare, server, capsys):
    assert prepare(content=None) == 1
    out = capsys.readouterr().out
    assert "404" in out and server.url + "/images.tar.gz" in out and str(prepare.images) in out


def test_from_dir_needs_no_network(prepare, server, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "images.tar.gz").write_bytes(GOOD)
    assert prepare(options=["--from-dir", str(tmp_path / "mine")]) == 0
    assert prepare.images.is_dir() and not server.requests


@pytest.mark.parametrize("where", ["download", "unpack"])
def test_full_disk(prepare, monkeypatch, where, capsys):
    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    if where == "download":
        monkeypatch.setattr(download, "open", full, raising=False)
    else:
        monkeypatch.setattr(shutil, "copyfileobj", full)
        monkeypatch.setattr(tarfile, "copyfileobj", full)
    assert prepare() == 2
    assert "disk is full" in capsys.readouterr().err
    assert not prepare.images.exists()


def test_archive_without_checksum_that_cannot_be_unpacked_is_fetched_anew(prepare, capsys):
    assert prepare(GOOD[: len(GOOD) // 2], checksum="unknown") == 2
    assert capsys.readouterr().err.startswith("Error: ")
    assert not prepare.images.exists()
    assert prepare(checksum="unknown") == 0
    assert (prepare.images / "a.jpg").is_file()
