"""tools/data.py features: CoOp's layout of files, with the features of runs."""

import json

import numpy as np
import pytest
import torch
from clip.model import build_model
from PIL import Image
from torchvision import transforms

from datafiles.catalogue import reader
from tests.datasets.pictures import draw
from tools.data import main

CLIP = ["--set", "INPUT.SIZE", "(32, 32)", "DATALOADER.NUM_WORKERS", "0"]


@pytest.fixture
def export(small, tmp_path, capsys):
    """``export(*options)`` exports the small dataset: status, and split -> (features, labels)."""

    def call(*options, name="OxfordPets", out="feat", settings=()):
        given = ["--root", str(small), "--output", str(tmp_path / out), "--backbone", str(small / "tiny_clip.pt")]
        status = main(["features", name, *given, *options, *CLIP, *settings])
        call.out, call.err = capsys.readouterr()
        files = sorted((tmp_path / out / name).glob("*"))
        arrays = {}
        for file in files:
            with np.load(file) as archive:
                assert sorted(archive.files) == ["feature_list", "label_list"]
                arrays[file.name] = archive["feature_list"], archive["label_list"]
        return status, arrays

    return call


def test_every_split_has_a_file_of_the_features_that_clip_gives(export, small):
    status, arrays = export()
    assert status == 0 and list(arrays) == ["test.npz", "train.npz", "val.npz"]
    split = json.loads((small / "oxford_pets/split_zhou_OxfordPets.json").read_text())
    for name in ("train", "val", "test"):
        features, labels = arrays[f"{name}.npz"]
        assert features.dtype == np.float32 and features.shape == (len(split[name]), 64)
        assert labels.dtype == np.int64 and labels.tolist() == [label for _, label, _ in split[name]]
    names = [name for name, _, _ in split["train"]][:40]
    clip = build_model(torch.load(small / "tiny_clip.pt", weights_only=True)).float().eval()
    view = transforms.Compose([
        transforms.Resize(32, transforms.InterpolationMode.BICUBIC), transforms.CenterCrop(32), transforms.ToTensor(),
        transforms.Normalize((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)),
    ])  # fmt: skip
    images = torch.stack([view(Image.open(small / "oxford_pets/images" / name).convert("RGB")) for name in names])
    with torch.no_grad():
        plain = clip.encode_image(images)
    assert not torch.allclose(plain.norm(dim=1), torch.ones(40), atol=0.1)  # not unit vectors
    np.testing.assert_allclose(arrays["train.npz"][0][:40], plain, rtol=1e-4, atol=1e-5)
    assert all(f"{len(split[name])} features" in export.out for name in split)


def test_the_cache_is_that_of_runs(export, run):
    assert run("ZeroshotCLIP", "--eval-only") == 0  # keeps the features of the test images
    status, arrays = export("--split", "test")
    assert status == 0 and list(arrays) == ["test.npz"]
    assert "Image features read from" in export.out
    again = export("--split", "test", "--split", "val", out="again")[1]
    assert list(again) == ["test.npz", "val.npz"] and np.array_equal(again["test.npz"][0], arrays["test.npz"][0])


def test_embedded_data_need_neither_root_nor_backbone(tmp_path):
    assert main(["features", "Digits", "--split", "val", "--output", str(tmp_path)]) == 0
    with np.load(tmp_path / "Digits/val.npz") as archive:
        assert len(archive["feature_list"]) == len(archive["label_list"]) > 300
        assert set(archive["label_list"]) == set(range(10))


@pytest.mark.parametrize(
    "options, name, settings, part",
    [
        ((), "OxfordPet", (), "Did you mean 'OxfordPets'"),
        (("--backbone", "RN5"), "OxfordPets", (), "RN5"),
        ((), "OxfordPets", ("INPUT.SIZES", "3"), "Did you mean 'INPUT.SIZE'"),
        ((), "OxfordPets", ("INPUT.SIZE", "(64, 64)"), 'set INPUT.SIZE "(32, 32)"'),
    ],
)
def test_mistakes_are_one_line(options, name, settings, part, export):
    status, arrays = export(*options, name=name, settings=settings)
    assert status == 2 and not arrays and part in export.err and export.err.count("\n") == 1


def test_a_split_that_is_not_there_is_named(export, monkeypatch):
    monkeypatch.setattr(reader("OxfordPets"), "test_only", True)  # like the variants of ImageNet
    status, arrays = export("--split", "train")
    assert status == 2 and not arrays and "OxfordPets has no train images. Choose from:" in export.err
    status, arrays = export()
    assert status == 0 and "test.npz" in arrays and "train.npz" not in arrays


def test_own_pictures(tmp_path):
    draw(tmp_path / "own", 10, seed=0)
    given = ["--root", str(tmp_path / "own"), "--output", str(tmp_path / "feat"), "--backbone", "tiny"]
    assert main(["features", "ImageFolder", *given]) == 0
    sizes = {file.stem: len(np.load(file)["label_list"]) for file in (tmp_path / "feat/ImageFolder").iterdir()}
    assert sizes == {"train": 20, "val": 8, "test": 12}
