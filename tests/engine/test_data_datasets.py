import pickle
import random
import sys
import tarfile
import zipfile

import pytest
from dassl.data.datasets import DATASET_REGISTRY, DatasetBase, Datum, build_dataset
from dassl.data.datasets.archives import extract_archive
from dassl.utils import ConfigError, MissingFileError, UnknownNameError, UserError


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(b"x")
    return str(path)


def items(image, labels, names=None):
    names = names or [f"class {label}" for label in labels]
    return [Datum(image, label=label, classname=name) for label, name in zip(labels, names, strict=True)]


def test_datum_keeps_what_it_is_given(image):
    datum = Datum(impath=image, label=3, domain=2, classname="cat")
    assert (datum.impath, datum.label, datum.domain, datum.classname) == (image, 3, 2, "cat")
    with pytest.raises(AttributeError):
        datum.label = 4


def test_datum_pickles_under_the_names_that_old_caches_hold(image):
    datum = pickle.loads(pickle.dumps(Datum(image, 1, 0, "cat")))
    assert type(datum).__module__ == "dassl.data.datasets.base_dataset"
    assert datum.__dict__ == {"_impath": image, "_label": 1, "_domain": 0, "_classname": "cat"}


def test_datum_names_the_missing_image(tmp_path):
    with pytest.raises(MissingFileError, match=r"no/such\.png") as error:
        Datum(str(tmp_path / "no/such.png"))
    assert isinstance(error.value, FileNotFoundError)
    with pytest.raises(MissingFileError, match="is a folder"):
        Datum(str(tmp_path))
    with pytest.raises(ConfigError, match="string"):
        Datum(tmp_path)


def test_classes_are_counted_and_named_by_the_training_images(image):
    dataset = DatasetBase(train_x=items(image, [2, 0, 1, 0]), test=items(image, [5]))
    assert dataset.num_classes == 3
    assert dataset.classnames == ["class 0", "class 1", "class 2"]
    assert list(dataset.lab2cname.items()) == [(0, "class 0"), (1, "class 1"), (2, "class 2")]
    assert dataset.train_u is None and dataset.val is None and len(dataset.test) == 1


def test_the_first_of_two_names_for_a_label_counts(image):
    assert DatasetBase(train_x=items(image, [0, 0], ["z", "a"])).classnames == ["z"]


@pytest.mark.parametrize("train_x", [None, []])
def test_no_training_image(train_x):
    with pytest.raises(ValueError, match="train_x is empty"):
        DatasetBase(train_x=train_x)


def test_gap_in_the_labels(image):
    with pytest.raises(ConfigError, match="2 of 4 labels; none for label 1, 2"):
        DatasetBase(train_x=items(image, [0, 3]))


def test_domains_are_checked(image):
    class Domains(DatasetBase):
        domains = ["photo", "sketch"]

    dataset = Domains(train_x=items(image, [0]))
    dataset.check_input_domains(["photo"], ["sketch"])
    with pytest.raises(AssertionError, match=r"source_domains \(list\) is empty") as error:
        dataset.check_input_domains([], ["sketch"])
    assert isinstance(error.value, UserError)
    with pytest.raises(ValueError, match=r"Input domain must belong to \['photo', 'sketch'\], but got \[art\]"):
        dataset.check_input_domains(["photo"], ["art"])


def test_few_shots_are_drawn_as_by_upstream(image, capsys):
    source = items(image, [2, 0, 2, 0, 0, 1])
    random.seed(1)
    drawn = DatasetBase(train_x=source).generate_fewshot_dataset(source, num_shots=2)
    assert [source.index(item) for item in drawn] == [0, 2, 3, 1, 5]
    assert capsys.readouterr().out == "Creating a 2-shot dataset\n"


def test_few_shots_of_a_class_with_too_few_images(image):
    source = items(image, [0, 0])
    dataset = DatasetBase(train_x=source)
    state = random.getstate()
    assert dataset.generate_fewshot_dataset(source, num_shots=3) == source
    assert random.getstate() == state, "taking a whole class draws nothing"
    repeated = dataset.generate_fewshot_dataset(source, num_shots=5, repeat=True)
    assert len(repeated) == 5 and set(repeated) <= set(source)


def test_few_shots_of_several_lists_and_of_none(image):
    a, b = items(image, [0, 0, 0]), items(image, [0, 0])
    dataset = DatasetBase(train_x=a)
    shots = dataset.generate_fewshot_dataset(a, b, num_shots=1)
    assert [len(part) for part in shots] == [1, 1]
    assert dataset.generate_fewshot_dataset(a) is a
    assert dataset.generate_fewshot_dataset(a, b, num_shots=0) == (a, b)


def test_split_by_domain(image):
    photo, sketch = Datum(image, domain=1), Datum(image, domain=0)
    assert dict(DatasetBase(train_x=[photo]).split_dataset_by_domain([photo, sketch])) == {1: [photo], 0: [sketch]}


def test_build_dataset(make_cfg, capsys):
    assert build_dataset(make_cfg("VERBOSE", True)).num_classes == 3
    assert "Loading dataset: StockPictures\n" in capsys.readouterr().out
    with pytest.raises(UnknownNameError, match=r"StockPicture\].*do you mean \[StockPictures\]"):
        build_dataset(make_cfg("DATASET.NAME", "StockPicture"))
    assert "StockPictures" in DATASET_REGISTRY.registered_names()


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
