"""A web server on loopback, ``prepare`` on what it serves, and the report's page of synthetic records."""

import hashlib
import json
import shutil
import threading

import pytest

from datafiles.catalogue import CATALOGUE, reader
from tests.datasets.replicas import REPLICAS, write_split
from tests.tools.pages import folder, page  # noqa: F401
from tests.tools.releases import BY_HAND, counts_of, pack
from tests.tools.webserver import Server
from tools.data import main


@pytest.fixture
def server():
    web = Server()
    thread = threading.Thread(target=web.serve_forever, args=(0.01,))
    thread.start()
    yield web
    web.shutdown()
    thread.join()
    web.server_close()


@pytest.fixture
def release(server, tmp_path, monkeypatch):
    """``release(name)``: the server's root serves every file of the dataset; the catalogue knows no other source."""

    def make(name="OxfordPets", split=True):
        source = tmp_path / "source"
        replica = REPLICAS[name](source)
        kind = reader(name)
        place = source / kind.dataset_dir
        monkeypatch.setitem(CATALOGUE, name, json.loads(json.dumps(CATALOGUE[name])))
        if split and kind.split_file:
            write_split(place / kind.split_file, replica)
        counts_of(source, name, monkeypatch)
        for file in CATALOGUE[name]["files"]:
            content = pack(file, place)
            file.pop("checksum", None)
            file.pop("drive", None)
            file["urls"] = [f"{server.url}/{file['file']}"]
            if content is not None:
                server.files[f"/{file['file']}"] = content
                file["checksum"] = "sha256:" + hashlib.sha256(content).hexdigest()
        if name in BY_HAND:
            shutil.copytree(place / BY_HAND[name], root / kind.dataset_dir / BY_HAND[name])
        return place

    root = make.root = tmp_path / "root"
    return make


@pytest.fixture
def prepare(release, capsys):
    """``prepare(*options, name=...)``: exit status; ``prepare.out`` and ``prepare.err`` are what it printed."""

    def run(*options, name="OxfordPets"):
        capsys.readouterr()
        status = main(["prepare", name, "--root", str(release.root), *map(str, options)])
        run.out, run.err = capsys.readouterr()
        return status

    return run
