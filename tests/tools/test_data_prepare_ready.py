"""tools/data.py prepare: when it calls a dataset ready, and what it says of what is partial or not the best."""

import shutil
import sys
from types import SimpleNamespace

import pytest

from datafiles.catalogue import CATALOGUE, reader
from datafiles.state import build
from tests.tools.releases import counts_of, entry, row
from tools.data import main


@pytest.mark.parametrize("name, folder", [("OxfordPets", "images"), ("FGVCAircraft", "images"), ("EuroSAT", "2750")])
def test_a_partial_folder_is_not_taken_as_complete(name, folder, release, prepare, server):
    release(name)
    images = release.root / reader(name).dataset_dir / folder
    images.mkdir(parents=True)
    (images / "readme.txt").touch()
    assert prepare(name=name) == 1
    assert row(prepare, name)[1] == "partial"
    assert f"{images}: there before, and left as it is." in prepare.out and "move away" in prepare.out
    images.rename(release.root / "old")  # as the step says
    assert prepare(name=name) == 0


def test_the_aircraft_archive_gives_the_folder_its_lists(release, prepare):
    release("FGVCAircraft")
    assert prepare(name="FGVCAircraft") == 0
    folder = release.root / "fgvc_aircraft"
    assert {path.name for path in folder.iterdir()} == {
        "images", "variants.txt", "images_variant_train.txt", "images_variant_val.txt", "images_variant_test.txt",
    }  # fmt: skip


def test_another_release_is_not_ready(release, prepare, server):
    """Right places, too few images."""
    release()
    CATALOGUE["OxfordPets"]["counts"] = [2944, 736, 3669]
    assert prepare() == 1
    assert "OxfordPets: train: " in prepare.out and "of 2944 images" in prepare.out
    assert "not the release that is expected" in prepare.out


NO_GDOWN = "it is on Google Drive, and gdown is not installed (pip install gdown)"


@pytest.fixture
def drive(release, monkeypatch):
    """The split file is on Google Drive only; ``drive(content)`` sets what gdown brings (None: an error)."""
    release()
    file = entry("OxfordPets", "split_zhou_OxfordPets.json")
    file.pop("urls")
    file["drive"] = "some-id"

    def download(id, output, quiet):
        assert id == "some-id"
        if drive.content is None:
            raise RuntimeError("Too many users have viewed\n or downloaded this file")
        with open(output, "wb") as target:
            target.write(drive.content)
        return output

    def drive(content):
        drive.content = content
        monkeypatch.setitem(sys.modules, "gdown", SimpleNamespace(download=download))

    monkeypatch.setitem(sys.modules, "gdown", None)  # not installed
    return drive


def test_without_the_released_split_the_dataset_is_ready_with_a_note(drive, release, prepare, monkeypatch):
    counts_of_raw(release, monkeypatch)
    assert prepare() == 0
    assert row(prepare)[1] == "ready" and row(prepare)[7] == "made here"
    assert "note: the split is made by the published rule" in prepare.out
    assert "note: to use the released split: Get split_zhou_OxfordPets.json" in prepare.out and NO_GDOWN in prepare.out
    assert "to do by hand" not in prepare.out


def counts_of_raw(release, monkeypatch):
    source = release.root.parent / "source"
    (source / "oxford_pets" / "split_zhou_OxfordPets.json").unlink()
    counts_of(source, "OxfordPets", monkeypatch)


def test_the_released_split_is_fetched_once_it_can_be(drive, release, prepare, server, monkeypatch):
    split = (release.root.parent / "source/oxford_pets/split_zhou_OxfordPets.json").read_bytes()
    released = CATALOGUE["OxfordPets"]["counts"]
    counts_of_raw(release, monkeypatch)
    assert prepare() == 0
    server.requests.clear()
    drive(split)
    CATALOGUE["OxfordPets"]["counts"] = released
    assert prepare() == 0 and row(prepare)[7] == "released"
    assert not server.requests and "note:" not in prepare.out


def test_a_drive_that_refuses_is_a_note(drive, release, prepare, monkeypatch):
    counts_of_raw(release, monkeypatch)
    drive(None)
    assert prepare() == 0
    assert "(Google Drive: Too many users have viewed or downloaded this file)" in prepare.out


def test_a_split_of_an_earlier_run_is_told_and_kept(drive, release, prepare, monkeypatch):
    counts_of_raw(release, monkeypatch)
    assert prepare() == 0
    path = release.root / "oxford_pets" / "split_zhou_OxfordPets.json"
    data = build("OxfordPets", str(release.root))
    data.save_split(data.train_x, data.val, data.test, str(path), data.image_dir, made_here=True)
    before = path.read_bytes()
    drive(b"{}")
    assert prepare() == 0
    assert row(prepare)[7] == "made here" and f"{path} was made by an earlier run" in prepare.out
    assert path.read_bytes() == before


def test_what_the_released_split_makes_needless_is_a_note(release, prepare, server):
    release()
    del server.files["/annotations.tar.gz"]
    assert prepare() == 0
    assert row(prepare)[7] == "released"
    assert "note: annotations.tar.gz is not there; what is there does without it" in prepare.out


@pytest.mark.parametrize("name", ["ImageNetV2", "ImageNetSketch", "ImageNetA", "ImageNetR"])
def test_a_variant_reads_imagenets_class_names(name, release, prepare, server):
    folder = release(name)
    (release.root / "imagenet").mkdir(parents=True, exist_ok=True)
    shutil.copy(folder / "classnames.txt", release.root / "imagenet")
    server.files.pop("/classnames.txt")
    assert prepare(name=name) == 0
    assert "/classnames.txt" not in dict(server.requests)
    assert not (release.root / folder.name / "classnames.txt").exists()
    assert main(["check", name, "--root", str(release.root)]) == 0


@pytest.mark.parametrize(
    "name, words", [("Food", "Did you mean 'Food101'?"), ("Shapes", "nothing to download. Known: ImageNet, ")]
)
def test_names_that_cannot_be_prepared(name, words, release, prepare):
    assert prepare(name=name) == 2
    assert words in prepare.err and prepare.err.count("\n") == 1


def test_a_root_that_cannot_be_written(release, prepare):
    release()
    release.root.write_text("a file")
    assert prepare() == 2
    assert prepare.err.startswith(f"Error: Cannot write {release.root}") and prepare.err.count("\n") == 1
