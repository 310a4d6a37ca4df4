"""Features of images: the same results as without them, computed once, and never trusted blindly."""

import json
import multiprocessing
import re
import shutil

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch.utils.data import DataLoader
from torchvision import transforms as T

from clip_prompts.features.cache import FeatureFile, FeatureLoader, feature_folder, feature_key, has_fixed_order
from tests.conftest import METHODS

ZERO_SHOT = {"config": "configs/trainers/ZeroshotCLIP/vit_b16.yaml"}


@pytest.fixture
def cached(run, tmp_path, monkeypatch):
    """Call ``run`` with an own folder of features; ``cached.images`` counts the images that were encoded by test()."""
    from clip_prompts.features.image_features import ImageFeatures
    from clip_prompts.features.lookahead import LookaheadLoader

    original, ahead = ImageFeatures.encode, LookaheadLoader._encoded

    def counting(self, image):
        call.images += len(image)
        return original(self, image)

    def for_training(self, group):
        call.images -= sum(len(batch["img"]) for batch in group)
        return ahead(self, group)

    def call(*args, **settings):
        call.images = 0
        settings.setdefault("FEATURES__DIR", tmp_path / "features")
        status = run(*args, **settings)
        call.out, call.stdout, call.err = run.out, run.stdout, run.err
        return status

    monkeypatch.setattr(ImageFeatures, "encode", counting)
    monkeypatch.setattr(LookaheadLoader, "_encoded", for_training)
    call.folder = tmp_path / "features"
    call.file = lambda: next(call.folder.glob("*.safetensors"))
    return call


def metrics(out):
    return [record["metrics"] for record in json.loads((out / "results.json").read_text())]


def log(text):
    """Lines of an evaluation."""
    return re.findall(r"^(?:\*|=>|Evaluate) .*$", text, re.M)


@pytest.mark.parametrize("trainer", METHODS)
def test_results_are_the_same_without_first_and_later(trainer, cached):
    """Validation after every epoch, then the test; the losses too, since a loader's draws are made up for."""
    settings = {"TEST__FINAL_MODEL": "best_val", "OPTIM__MAX_EPOCH": 3, "OPTIM__LR": 0.1}
    settings["DATALOADER__TRAIN_X__BATCH_SIZE"] = 4
    found = []
    for out, cache in (("plain", False), ("first", True), ("later", True)):
        assert cached(trainer, out=out, FEATURES__CACHE=cache, **settings) == 0
        losses = re.findall(r"loss (\S+) ", cached.stdout)
        assert len(losses) == 15
        found.append((metrics(cached.out), losses, log(cached.stdout)))
        assert cached.images == (20 + 200 if out == "first" else 0)
        assert cached.stdout.count("Image features of") == (2 if out == "first" else 0)
        assert cached.stdout.count("Image features read") == (2 if out == "later" else 0)
    assert found[0] == found[1] == found[2]


def test_another_trainer_and_another_seed_encode_nothing(cached):
    assert cached("ZeroshotCLIP", **ZERO_SHOT) == 0
    assert cached.images == 200
    expected = metrics(cached.out)
    for trainer in METHODS:
        assert cached(trainer, out=trainer, SEED=7) == 0
        assert cached.images == 0
    assert cached("ZeroshotCLIP", out="again", **ZERO_SHOT) == 0
    assert cached.images == 0 and metrics(cached.out) == expected


def test_an_encoder_with_trainable_parameters_is_never_cached(cached, monkeypatch):
    from clip_prompts.clip.trainer import CLIPTrainer

    original = CLIPTrainer.load_clip

    def load_clip(self, precision):
        clip_model, encoder = original(self, precision)
        clip_model.visual.proj.requires_grad_()
        return clip_model, encoder

    monkeypatch.setattr(CLIPTrainer, "load_clip", load_clip)
    assert cached("ZeroshotCLIP", **ZERO_SHOT) == 0
    assert not list(cached.folder.glob("*.safetensors"))


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path):
    path.write_bytes(b"")


def flip_a_bit(path):
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)


def no_safetensors(path):
    path.write_text("not features at all")


def other_content(path):
    save_file({"features": torch.zeros(200, 64)}, path, metadata={"key": "another"})


def other_count(path):
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    save_file({"features": torch.zeros(3, 64)}, path, metadata=metadata)


@pytest.mark.parametrize("spoil", (cut, empty, flip_a_bit, no_safetensors, other_content, other_count))
def test_a_spoilt_file_is_made_anew_with_a_warning(spoil, cached):
    assert cached("ZeroshotCLIP", **ZERO_SHOT) == 0
    expected, features = metrics(cached.out), load_file(cached.file())["features"].clone()
    spoil(cached.file())
    assert cached("ZeroshotCLIP", out="second", **ZERO_SHOT) == 0
    assert f"Warning: the feature file {cached.file()} is not usable" in cached.stdout
    assert cached.images == 200 and metrics(cached.out) == expected
    assert torch.equal(load_file(cached.file())["features"], features)
    assert [path.name for path in cached.folder.iterdir() if path.is_file()] == [cached.file().name]


def test_a_folder_that_cannot_be_written_costs_a_warning_only(cached, tmp_path):
    (tmp_path / "file").write_text("")
    assert cached("ZeroshotCLIP", FEATURES__DIR=tmp_path / "file", **ZERO_SHOT) == 0
    assert "Warning: image features cannot be kept" in cached.stdout
    assert cached.images == 200


def test_by_default_files_lie_in_the_users_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert feature_folder() == tmp_path / "clip-prompt-toolbox/features"
    assert feature_folder("/elsewhere").as_posix() == "/elsewhere"


class Images:
    """A dataset as a loader sees it: ``data_source`` and ``transform``."""

    def __init__(self, folder, transform=None, items=None):
        from dassl.data.datasets import Datum

        paths = sorted((folder / "oxford_pets/images").glob("Bengal_1*.jpg"))
        self.data_source = [Datum(str(path), label) for label, path in enumerate(paths[:items])]
        self.transform = transform or T.Compose([T.Resize(32), T.ToTensor()])

    def __len__(self):
        return len(self.data_source)

    def __getitem__(self, index):
        item = self.data_source[index]
        image = torch.full((3, 2, 2), float(index))
        return {"label": item.label, "domain": 0, "impath": item.impath, "index": index, "img": image}


def key(dataset, weights="w", precision="fp32 on cpu", views=0):
    return feature_key(weights, precision, dataset, views)


def test_a_key_changes_with_all_that_determines_features_and_with_nothing_else(small, tmp_path):
    shutil.copytree(small / "oxford_pets", tmp_path / "oxford_pets")
    expected = key(Images(small))
    assert key(Images(tmp_path)) == expected  # a moved root

    resized = T.Compose([T.Resize(31), T.ToTensor()])
    others = [
        key(Images(small), weights="v"),
        key(Images(small), precision="bf16 on cpu"),
        key(Images(small, resized)),
        key(Images(small, items=3)),
        key(Images(small), views=2),
    ]
    images = Images(tmp_path)
    first = tmp_path / "oxford_pets/images" / images.data_source[0].impath.rpartition("/")[2]
    content = first.read_bytes()
    first.write_bytes(content + b"\0")  # another size
    others.append(key(images))
    first.write_bytes(content[:-1] + b"\0")  # the same size
    others.append(key(images))
    first.write_bytes(content)
    assert key(images) == expected
    drawn = key(images, views=2)
    first.rename(first.with_name(f"{first.stem}-.jpg"))
    assert key(Images(tmp_path)) == expected  # the name of a file does not change its pixels
    others.append(key(Images(tmp_path), views=2))  # but views are drawn from names
    assert drawn == others[4]
    assert len({expected, *others}) == 1 + len(others)


@pytest.mark.parametrize(
    "transform", [T.Lambda(lambda image: image), lambda image: image, T.Compose([T.RandomHorizontalFlip()])]
)
def test_a_transform_that_draws_or_does_not_describe_itself_has_no_key(transform, small):
    assert key(Images(small, transform)) is None


def test_an_image_that_cannot_be_read_has_no_key(small):
    images = Images(small)
    images.data_source[0]._impath = "/nowhere.jpg"
    assert key(images) is None


def loader_of(images, encode, folder):
    file = FeatureFile(folder, key(images), len(images))
    return FeatureLoader(DataLoader(images, batch_size=4), encode, file)


def mean(image):
    return image.mean(dim=(2, 3))


def test_a_loader_of_features_yields_what_the_loader_of_images_does(small, tmp_path):
    images = Images(small)
    plain = list(DataLoader(images, batch_size=4))
    passes = [loader_of(images, mean, tmp_path) for _ in range(2)]
    assert len(passes[0]) == len(plain) > 1
    for batches in (list(passes[0]), list(passes[0]), list(passes[1])):
        for ours, theirs in zip(batches, plain, strict=True):
            assert torch.equal(ours.pop("img"), mean(theirs["img"]))
            assert ours.keys() == theirs.keys() - {"img"}
            assert ours["impath"] == theirs["impath"]
            assert all(torch.equal(ours[name], theirs[name]) for name in ("label", "domain", "index"))


def test_every_pass_draws_what_a_loader_draws(small, tmp_path):
    images, states = Images(small), []
    features = loader_of(images, mean, tmp_path)
    for loader in (DataLoader(images), features, features, loader_of(images, mean, tmp_path)):
        torch.manual_seed(3)
        list(loader)
        states.append(torch.get_rng_state())
    assert all(torch.equal(state, states[0]) for state in states)


def test_an_evaluation_that_stops_halfway_keeps_nothing(small, tmp_path):
    batches = iter(loader_of(Images(small), mean, tmp_path))
    next(batches)
    batches.close()
    assert not list(tmp_path.iterdir())


def test_only_a_loader_in_the_order_of_its_list_is_cached(small):
    images = Images(small)
    assert has_fixed_order(DataLoader(images, batch_size=4))
    assert not has_fixed_order(DataLoader(images, batch_size=4, shuffle=True))
    assert not has_fixed_order(DataLoader(images, batch_size=4, drop_last=True))


def _build(root, folder, barrier, results):
    def encode(image):
        barrier.wait(20)  # both are encoding before either has written
        return mean(image)

    found = torch.cat([batch["img"] for batch in loader_of(Images(root), encode, folder)])
    results.put(found.tolist())


def test_two_processes_at_once_both_finish_with_right_results(small, tmp_path):
    context = multiprocessing.get_context("fork")
    barrier, results = context.Barrier(2), context.Queue()
    processes = [context.Process(target=_build, args=(small, tmp_path, barrier, results)) for _ in range(2)]
    for process in processes:
        process.start()
    found = [results.get(timeout=30) for _ in processes]
    for process in processes:
        process.join(30)
    expected = [[float(index)] * 3 for index in range(len(Images(small)))]
    assert found == [expected, expected]
    (file,) = tmp_path.iterdir()
    again = torch.cat([batch["img"] for batch in loader_of(Images(small), None, tmp_path)])
    assert again.tolist() == expected and file.suffix == ".safetensors"
