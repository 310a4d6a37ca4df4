"""Untrusted pictures and archives: refused in one line; no code runs, and nothing is written elsewhere."""

import io
import struct
import subprocess
import tarfile
import zipfile
import zlib

import pytest
from dassl.data.datasets.archives import extract_archive
from dassl.utils import ConfigError, ImageReadError, OutputError, UserError, read_image, read_json
from PIL import Image


def png(width, height, rows=b""):
    """A PNG file that says it has so many pixels, whatever follows."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def test_an_image_bomb_is_refused_with_its_pixels_and_the_limit(tmp_path):
    path = tmp_path / "bomb.jpg"
    path.write_bytes(png(20_000, 10_000))
    with pytest.raises(ImageReadError) as caught:
        read_image(path)
    for part in (str(path), "200,000,000 pixels", f"{2 * Image.MAX_IMAGE_PIXELS:,}"):
        assert part in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_limit_of_pixels_is_pillows(tmp_path, monkeypatch):
    Image.new("RGB", (30, 10)).save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png").size == (30, 10)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(ImageReadError, match="300 pixels, and the limit is 200"):
        read_image(tmp_path / "a.png")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "GIF", "PPM", "TIFF", "WEBP", "TGA", "ICO"])
def test_formats_of_pixels_are_read_whatever_the_name(tmp_path, kind):
    Image.new("RGB", (16, 16), "red").save(tmp_path / "a.jpg", kind)
    assert read_image(tmp_path / "a.jpg").size == (16, 16)


def test_a_program_is_no_image(tmp_path, monkeypatch):
    """Pillow hands PostScript to Ghostscript, and finds it by its content, not by its name."""
    Image.new("RGB", (16, 16)).save(tmp_path / "a.jpg", "EPS")
    for name in ("Popen", "run", "call", "check_call", "check_output"):
        monkeypatch.setattr(subprocess, name, lambda *a, **k: pytest.fail("a program was started"))
    with pytest.raises(ImageReadError, match="a.jpg"):
        read_image(tmp_path / "a.jpg")


def packed(tmp_path, **member):
    info = tarfile.TarInfo("link")
    for key, value in member.items():
        setattr(info, key, value)
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        archive.addfile(info, io.BytesIO())
    return tmp_path / "a.tar"


@pytest.mark.parametrize(
    "member",
    [
        {"name": "/tmp/fuzz-outside"},
        {"name": "a/../../x"},
        {"type": tarfile.SYMTYPE, "linkname": "../../x"},
        {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"},
        {"type": tarfile.LNKTYPE, "linkname": "../../x"},
        {"type": tarfile.CHRTYPE},
        {"type": tarfile.FIFOTYPE},
    ],
    ids=str,
)
def test_tar_members_stay_inside_and_are_plain(tmp_path, member):
    """An absolute name loses its slash; all else is refused."""
    archive, folder = packed(tmp_path, **member), tmp_path / "deep" / "out"
    if member.get("name", "").startswith("/"):
        extract_archive(archive, folder)
        assert (folder / "tmp" / "fuzz-outside").exists()
    else:
        with pytest.raises(ConfigError, match="a.tar"):
            extract_archive(archive, folder)
    assert {path.name for path in tmp_path.iterdir()} <= {"a.tar", "deep"}


def test_zip_members_stay_inside(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("../../x", b"x")
        archive.writestr("/y", b"y")
    extract_archive(tmp_path / "a.zip", tmp_path / "deep" / "out")
    assert sorted(path.name for path in (tmp_path / "deep" / "out").iterdir()) == ["x", "y"]
    assert {path.name for path in tmp_path.iterdir()} == {"a.zip", "deep"}


def test_a_damaged_archive_and_a_full_place_are_one_line(tmp_path):
    with tarfile.open(tmp_path / "a.tar.xz", "w:xz") as archive:
        info = tarfile.TarInfo("a")
        info.size = 5000
        archive.addfile(info, io.BytesIO(bytes(range(250)) * 20))
    content = bytearray((tmp_path / "a.tar.xz").read_bytes())
    content[60] ^= 255
    (tmp_path / "b.tar.xz").write_bytes(content)
    with pytest.raises(ConfigError, match="b.tar.xz"):
        extract_archive(tmp_path / "b.tar.xz", tmp_path / "out")
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="file"):
        extract_archive(tmp_path / "a.tar.xz", tmp_path / "file")


def test_json_without_end_is_refused(tmp_path):
    (tmp_path / "a.json").write_text("[" * 100_000)
    with pytest.raises(ConfigError, match="a.json"):
        read_json(tmp_path / "a.json")


def test_a_message_is_one_line_that_moves_no_cursor():
    line = str(UserError("the class 'a\n\x1b[2Jb\x07\ud800' " + "x" * 10_000))
    assert line.startswith("the class 'a \\x1b[2Jb\\x07\\ud800' xxx") and len(line) <= 4000
    assert line.isprintable()
