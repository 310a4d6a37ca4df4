import sys
import tarfile
import zipfile

import pytest
from dassl.data.datasets import DatasetBase, Datum
from dassl.data.datasets.archives import extract_archive
from dassl.utils import ConfigError, MissingFileError, UserError


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(b"x")
    return str(path)


def items(image, labels, names=None):
    names = names or [f"class {label}" for label in labels]
    return [Datum(image, label=label, classname=name) for label, name in zip(labels, names, strict=True)]


def test_datum_names_the_missing_image(tmp_path):
    with pytest.raises(MissingFileError, match=r"no/such\.png") as error:
        Datum(str(tmp_path / "no/such.png"))
    assert isinstance(error.value, FileNotFoundError)
    with pytest.raises(MissingFileError, match="is a folder"):
        Datum(str(tmp_path))
    with pytest.raises(ConfigError, match="string"):
        Datum(tmp_path)


@pytest.mark.parametrize("train_x", [None, []])
def test_no_training_image(train_x):
    with pytest.raises(ValueError, match="train_x is empty"):
        DatasetBase(train_x=train_x)


def test_gap_in_the_labels(image):
    with pytest.raises(ConfigError, match="2 of 4 labels; none for label 1, 2"):
        DatasetBase(train_x=items(image, [0, 3]))


def test_archives_are_extracted(tmp_path):
    (tmp_path / "a.txt").write_text("hello")
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as archive:
        archive.write(tmp_path / "a.txt", "in_zip.txt")
    with tarfile.open(tmp_path / "t.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "a.txt", "in_tar.txt")
    extract_archive(tmp_path / "z.zip", tmp_path / "out")
    extract_archive(tmp_path / "t.tar.gz", tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"in_zip.txt", "in_tar.txt"}


def test_archive_cannot_write_outside_of_its_folder(tmp_path):
    (tmp_path / "a.txt").write_text("hello")
    with tarfile.open(tmp_path / "evil.tar", "w") as archive:
        archive.add(tmp_path / "a.txt", "../../outside.txt")
    with pytest.raises(ConfigError, match="evil.tar"):
        extract_archive(tmp_path / "evil.tar", tmp_path / "deep/out")
    assert not (tmp_path / "outside.txt").exists()
    (tmp_path / "broken.zip").write_text("no archive")
    with pytest.raises(ConfigError, match="broken.zip"):
        extract_archive(tmp_path / "broken.zip", tmp_path / "out")


def test_download_without_gdown_says_how_to_get_it(image, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "gdown", None)
    with pytest.raises(UserError, match="pip install gdown"):
        DatasetBase(train_x=items(image, [0])).download_data("https://example.org/x.zip", str(tmp_path / "x.zip"))
