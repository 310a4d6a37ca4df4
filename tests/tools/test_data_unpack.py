"""Untrusted archives: members that are unpacked, and members that are refused."""

import pytest

from clip_prompts.common.errors import UserError
from datafiles.unpack import unpack
from tests.tools.webserver import tar, zipped

PACKERS = {"tar": tar, "zip": zipped}


@pytest.fixture(params=PACKERS)
def pack(request, tmp_path):
    """Write an archive of that kind; gives its path."""

    def write(*members, **kwargs):
        path = tmp_path / "archive"
        path.write_bytes(PACKERS[request.param](*members, **kwargs))
        return path

    return write


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "root" / "data"


def refused(archive, folder, words, moves=(("images", "images"),)):
    """The archive is refused with one line of these words, and leaves no file anywhere."""
    with pytest.raises(UserError) as caught:
        unpack(archive, folder, moves)
    assert words in str(caught.value) and str(archive) in str(caught.value) and "\n" not in str(caught.value)
    assert [path for path in folder.parents[1].rglob("*") if not path.is_dir()] == [archive]


OUT = {"up": "images/../../x", "up at once": "../x", "absolute": "/tmp/x", "backslash": "..\\x", "drive": "C:\\x"}


@pytest.mark.parametrize("case", OUT)
def test_a_member_that_reaches_out_is_refused(pack, folder, case):
    refused(pack(("images/a.jpg", b"x"), (OUT[case], b"x")), folder, "is refused")


@pytest.mark.parametrize("leads", ["../../../x", "/etc/passwd", "../annotations/list.txt"])
def test_a_link_that_leads_out_of_what_is_taken_is_refused(pack, folder, leads):
    archive = pack(("images/a.jpg", b"x"), ("annotations/list.txt", b"x"), link=("images/link", leads))
    refused(archive, folder, "is refused")


def test_a_link_within_what_is_taken_is_fine(tmp_path, folder):
    archive = tmp_path / "archive.tar"
    archive.write_bytes(tar(("top/images/a/a.jpg", b"x"), link=("top/images/b.jpg", "a/a.jpg")))
    unpack(archive, folder, [("images", "images")])
    assert (folder / "images" / "b.jpg").read_bytes() == b"x"


def test_parts_are_found_at_any_depth_and_junk_is_left(pack, folder):
    archive = pack(
        ("release-1.0/data/images/a.jpg", b"a"), ("release-1.0/data/images/images/b.jpg", b"b"),
        ("release-1.0/list.txt", b"list"), ("__MACOSX/list.txt", b"junk"),
    )  # fmt: skip
    unpack(archive, folder, [("images", "pictures"), ("list.txt", "lists/list.txt")])
    found = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert found == {"pictures/a.jpg", "pictures/images/b.jpg", "lists/list.txt"}
    assert (folder / "lists/list.txt").read_bytes() == b"list"


def test_the_content_of_a_folder_joins_what_is_there(pack, folder):
    """As of FGVCAircraft: data/ of the archive becomes the dataset's folder."""
    folder.mkdir(parents=True)
    (folder / "mine.txt").write_text("mine")
    (folder / "variants.txt").write_text("mine")
    unpack(
        pack(("x/data/images/a.jpg", b"a"), ("x/data/variants.txt", b"new"), ("x/README", b"")), folder, [("data", ".")]
    )
    assert {path.name for path in folder.iterdir()} == {"images", "mine.txt", "variants.txt"}
    assert (folder / "variants.txt").read_text() == "mine"


def test_an_archive_in_the_archive(pack, folder):
    """As of Caltech101."""
    inner = tar(("101_ObjectCategories/Faces/a.jpg", b"a"))
    archive = pack(("caltech-101/101_ObjectCategories.tar.gz", inner), ("caltech-101/Annotations.tar", b""))
    unpack(archive, folder, [("101_ObjectCategories", "101_ObjectCategories")], "101_ObjectCategories.tar.gz")
    assert [p.name for p in folder.iterdir()] == ["101_ObjectCategories"]
    assert (folder / "101_ObjectCategories" / "Faces" / "a.jpg").read_bytes() == b"a"


def test_a_bad_archive_in_the_archive_is_refused(pack, folder):
    archive = pack(("inner.tar.gz", tar(("images/a.jpg", b"x"), ("../x", b"x"))))
    with pytest.raises(UserError, match="inner.tar.gz is refused"):
        unpack(archive, folder, [("images", "images")], "inner.tar.gz")
    assert not list(folder.iterdir())


def test_what_is_not_the_release(pack, folder):
    refused(pack(("pictures/a.jpg", b"x")), folder, "holds no images")
    refused(pack(("a/images/x.jpg", b"x"), ("b/images/x.jpg", b"x")), folder, "holds several images")
    # all or nothing: the images alone are not put in place
    refused(pack(("images/a.jpg", b"x")), folder, "holds no list", [("images", "images"), ("list", "list")])


def test_what_is_no_archive(pack, folder, tmp_path):
    archive = pack(("images/a.jpg", bytes(range(256)) * 400))
    content = archive.read_bytes()
    archive.write_bytes(content[: len(content) // 2])
    refused(archive, folder, "fetch it again")
    archive.write_bytes(b"<html>Sorry</html>")
    refused(archive, folder, "neither a tar nor a zip archive")


def test_a_damaged_archive(tmp_path, folder):
    content = bytearray(tar(("images/a.jpg", bytes(range(256)) * 400)))
    content[-6] ^= 255  # of the checksum that gzip keeps
    (tmp_path / "archive").write_bytes(content)
    refused(tmp_path / "archive", folder, "damaged")
