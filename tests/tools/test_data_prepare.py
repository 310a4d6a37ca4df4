"""tools/data.py prepare, against a web server on loopback that serves the replicas' files as small archives."""

import errno
import shutil
import tarfile

import pytest

from datafiles import download
from datafiles.catalogue import reader
from tests.datasets.replicas import REPLICAS
from tests.tools.releases import entry, pack, row
from tests.tools.webserver import tar, zipped
from tools.data import main


@pytest.mark.parametrize("name", sorted(REPLICAS))
def test_every_dataset_is_ready_from_its_files(name, release, prepare, server):
    """The places that the catalogue names are those where the reader looks."""
    release(name)
    assert prepare(name=name) == 0, prepare.out
    assert row(prepare, name)[1] == "ready"
    assert row(prepare, name)[7] == ("released" if reader(name).split_file else "official")
    assert not [path for path in release.root.rglob("*") if path.is_file() and ".downloads" in path.parts]
    server.requests.clear()
    assert prepare(name=name) == 0 and not server.requests  # nothing is fetched twice


def test_interrupted_and_resumed(release, prepare, server):
    release()
    size, server.cut = len(server.files["/images.tar.gz"]), 1
    assert prepare() == 0
    assert server.requests[:2] == [("/images.tar.gz", None), ("/images.tar.gz", f"bytes={size // 2}-")]


def test_a_file_that_changes_between_two_calls_is_not_patched_together(release, prepare, server, monkeypatch):
    release()
    good = server.files["/images.tar.gz"]
    del entry("OxfordPets", "images.tar.gz")["checksum"]
    server.files["/images.tar.gz"], server.headers, server.cut = bytes(len(good)), {"ETag": '"old"'}, 1
    with monkeypatch.context() as patch:
        patch.setattr(download, "TRIES", 1)
        assert prepare() == 1 and "the connection was cut" in prepare.out
    server.files["/images.tar.gz"], server.headers = good, {"ETag": '"new"'}
    assert prepare() == 0


def test_wrong_checksum_keeps_nothing(release, prepare):
    release()
    entry("OxfordPets", "images.tar.gz")["checksum"] = "md5:" + "0" * 32
    assert prepare() == 1
    assert "wrong md5" in prepare.out and "OxfordPets: not there: " in prepare.out
    assert not (release.root / "oxford_pets" / "images").exists()
    assert not list((release.root / ".downloads").rglob("images*"))


@pytest.mark.parametrize("kind", [tar, zipped])
@pytest.mark.parametrize("bad", [("images/../../x", b"x"), ("/tmp/x", b"x"), None], ids=["up", "absolute", "link"])
def test_archives_that_reach_out_are_refused(release, prepare, server, kind, bad):
    release()
    members, link = (
        ([("images/a.jpg", b"x"), bad], None) if bad else ([("images/a.jpg", b"x")], ("images/l", "../../x"))
    )
    server.files["/images.tar.gz"] = kind(*members, link=link)
    del entry("OxfordPets", "images.tar.gz")["checksum"]
    assert prepare() == 2
    assert prepare.err.startswith("Error: Archive ") and "is refused" in prepare.err and prepare.err.count("\n") == 1
    assert not [path for path in release.root.rglob("*") if path.is_file()]


def test_mirrors_are_tried_first_by_file_and_by_dataset_folder(release, prepare, server):
    release()
    content = server.files.pop("/images.tar.gz")
    server.files["/b/oxford_pets/images.tar.gz"] = content
    assert prepare("--mirror", server.url + "/a/", "--mirror", server.url + "/b") == 0
    assert [path for path, _ in server.requests if path.endswith("images.tar.gz")] == [
        "/a/images.tar.gz", "/a/oxford_pets/images.tar.gz", "/b/images.tar.gz", "/b/oxford_pets/images.tar.gz",
    ]  # fmt: skip
    assert ("/annotations.tar.gz", None) in server.requests  # not at the mirrors: from its source


@pytest.mark.parametrize("address", ["ftp://here/", "/home/me", "file:///etc"])
def test_a_mirror_that_is_no_web_address(release, prepare, address):
    release()
    assert prepare("--mirror", address) == 2
    assert address.rstrip("/") in prepare.err and "neither http:// nor https://" in prepare.err


def test_404_everywhere_prints_the_steps(release, prepare, server):
    release()
    del server.files["/images.tar.gz"]
    assert prepare() == 1
    images = release.root / "oxford_pets" / "images"
    (step,) = [line for line in prepare.out.splitlines() if line.startswith("  1. ")]
    for part in ("Get images.tar.gz (checksum sha256:", f"{server.url}/images.tar.gz", str(images), "HTTP status 404"):
        assert part in step
    assert "  2. " in prepare.out and "prompt_learning_dataset" in prepare.out
    assert prepare.out.endswith(f"Then: python tools/data.py check OxfordPets --root {release.root}\n")


def test_steps_name_hearsay(release, prepare, server):
    release("ImageNetV2")
    server.files.clear()
    assert prepare(name="ImageNetV2") == 1
    assert "vaishaal/ImageNetV2 has a copy (unverified)" in prepare.out


def test_imagenet_says_what_to_put_where(release, prepare):
    release("ImageNet")
    shutil.rmtree(release.root / "imagenet" / "images")
    assert prepare(name="ImageNet") == 1
    for part in ("image-net.org", "ILSVRC2012_img_train.tar (md5 1d67", "images/train/WNID/", "images/val/WNID/"):
        assert part in prepare.out
    assert (release.root / "imagenet" / "classnames.txt").is_file()
    assert "prompt_learning_dataset" not in prepare.out  # has all but ImageNet


@pytest.mark.parametrize("inner", ["", "oxford_pets"])
def test_from_dir_needs_no_network(release, prepare, server, tmp_path, inner):
    release()
    mine = tmp_path / "mine" / inner
    mine.mkdir(parents=True)
    for path, content in server.files.items():
        (mine / path[1:]).write_bytes(content)
    assert prepare("--from-dir", tmp_path / "mine") == 0
    assert not server.requests
    assert len(list(mine.iterdir())) == len(server.files)  # the user's files stay


def test_from_dir_with_another_file(release, prepare, tmp_path):
    release()
    (tmp_path / "images.tar.gz").write_bytes(b"something else")
    assert prepare("--from-dir", tmp_path) == 1
    assert f"{tmp_path / 'images.tar.gz'}: wrong sha256" in prepare.out
    assert (tmp_path / "images.tar.gz").read_bytes() == b"something else"
    assert prepare("--from-dir", tmp_path / "nowhere") == 2
    assert prepare.err == f"Error: Folder '{tmp_path / 'nowhere'}' of --from-dir does not exist\n"


@pytest.mark.parametrize("where", ["download", "unpack tar", "unpack zip", "copy"])
def test_full_disk(release, prepare, server, monkeypatch, where):
    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    release()
    with monkeypatch.context() as patch:
        if where == "download":
            patch.setattr(download, "open", full, raising=False)
        elif where == "copy":
            patch.setattr(shutil, "copyfile", full)
        else:
            patch.setattr(shutil, "copyfileobj", full)
            patch.setattr(tarfile, "copyfileobj", full)
        if where == "unpack zip":
            server.files["/images.tar.gz"] = zipped(("images/a.jpg", b"x"))
            del entry("OxfordPets", "images.tar.gz")["checksum"]
        assert prepare() == 2
    assert prepare.err.startswith("Error: The disk is full: ") and prepare.err.count("\n") == 1
    folder = release.root / "oxford_pets"
    if where != "copy":  # nothing half-extracted stands there
        assert not folder.exists() or not list(folder.iterdir())
    assert main(["check", "OxfordPets", "--root", str(release.root)]) == 1
    if where == "unpack zip":  # a second archive has another time in its header, so another checksum
        server.files["/images.tar.gz"] = pack(
            entry("OxfordPets", "images.tar.gz"), release.root.parent / "source/oxford_pets"
        )
    assert prepare() == 0


def test_an_archive_without_checksum_that_cannot_be_unpacked_is_fetched_anew(release, prepare, server):
    release()
    del entry("OxfordPets", "images.tar.gz")["checksum"]
    good = server.files["/images.tar.gz"]
    server.files["/images.tar.gz"] = good[: len(good) // 2]
    assert prepare() == 2
    assert "fetch it again" in prepare.err
    assert not (release.root / "oxford_pets" / "images").exists()
    server.files["/images.tar.gz"] = good
    assert prepare() == 0
