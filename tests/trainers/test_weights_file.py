"""Untrusted backbone files: their weights are loaded, and no code in them runs."""

import hashlib
import io
import os
import pickle
import tarfile
import warnings
import zipfile

import pytest
import torch
from torch import Tensor, nn

from clip_prompts.backbones.loading import backbone_file, load_clip, openai
from clip_prompts.backbones.weights_file import read_weights
from clip_prompts.common.errors import UserError


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(2, 3)
        self.norm = nn.BatchNorm1d(3)  # has buffers

    def forward(self, x):
        return self.norm(self.linear(x))


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = nn.Sequential(Block(), nn.Linear(3, 3).half().float())
        self.tied = self.blocks[1].weight
        self.view = nn.Parameter(torch.arange(6.0).reshape(2, 3).t())
        self.halved = nn.Parameter(torch.ones(2).half())
        self.register_buffer("size", torch.tensor(224))
        self.words, self.numbers, self.flag = ["a", "b"], [1.0, 2.0], True

    def forward(self, x):
        return self.blocks(x) + self.view.sum() + self.halved.float().sum() + self.size + self.numbers[0]


@pytest.fixture(autouse=True)
def no_deprecation():
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*torch.jit.*")
        yield


@pytest.mark.parametrize("kind", ["script", "trace"])
def test_a_torchscript_archive_gives_what_torch_gives(tmp_path, kind):
    model = Model().eval()
    made = torch.jit.script(model) if kind == "script" else torch.jit.trace(model, torch.ones(4, 2))
    made.save(str(tmp_path / "m.pt"))
    expected, found = torch.jit.load(str(tmp_path / "m.pt")).state_dict(), read_weights(tmp_path / "m.pt").content
    assert set(found) == set(expected)
    for name, tensor in expected.items():
        assert torch.equal(found[name], tensor) and found[name].dtype == tensor.dtype


class Trap(nn.Module):
    """A module that makes a file when TorchScript loads it."""

    def __init__(self, place: str):
        super().__init__()
        self.weight, self.place = nn.Parameter(torch.ones(2)), place

    def forward(self, x: Tensor) -> Tensor:
        return x + self.weight

    @torch.jit.export
    def __getstate__(self) -> tuple[Tensor, str, bool]:
        return self.weight, self.place, self.training

    @torch.jit.export
    def __setstate__(self, state: tuple[Tensor, str, bool]) -> None:
        self.weight, self.place, self.training = state
        self.weight = torch.from_file(self.place, shared=True, size=4)


def test_the_program_of_a_torchscript_archive_is_not_run(tmp_path):
    trap = tmp_path / "trap"
    torch.jit.script(Trap(str(trap))).save(str(tmp_path / "m.pt"))
    torch.jit.load(str(tmp_path / "m.pt"))
    assert trap.exists()  # this is what torch.jit.load does
    trap.unlink()
    with pytest.raises(UserError) as caught:
        load_clip(str(tmp_path / "m.pt"))
    assert not trap.exists() and str(tmp_path / "m.pt") in str(caught.value) and "\n" not in str(caught.value)


def archive(path, pickled: bytes, packing=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", packing) as file:
        file.writestr("m/data.pkl", pickled)
        file.writestr("m/constants.pkl", b"\x80\x02).")
        file.writestr("m/data/0", bytes(16))
    return path


def refused(path, *words):
    with pytest.raises(UserError) as caught:
        load_clip(str(path))
    line = str(caught.value)
    assert str(path) in line and "\n" not in line and "weights_only" not in line
    for word in words:
        assert word in line


@pytest.mark.parametrize(
    "pickled, word",
    [
        (b"cos\nsystem\n(S'true'\ntR.", "os.system"),
        (b"cbuiltins\neval\n(S'1'\ntR.", "builtins.eval"),
        (b"ctorch.jit\nload\n(S'x'\ntR.", "torch.jit.load"),
        (b"r\xff\xff\xff\xff.", "remembers"),
        (b"(lp0\n", "no whole checkpoint"),
        (pickle.dumps({"a": 1}), "CLIP"),
    ],
)
def test_what_a_torchscript_archive_asks_for_is_named(tmp_path, pickled, word):
    refused(archive(tmp_path / "m.pt", pickled), word)


def test_numbers_that_are_compressed_are_refused(tmp_path):
    """A few bytes could fill the memory."""
    model = torch.jit.script(nn.Linear(2, 2))
    model.save(str(tmp_path / "whole.pt"))
    with zipfile.ZipFile(tmp_path / "whole.pt") as whole, zipfile.ZipFile(tmp_path / "m.pt", "w") as packed:
        for info in whole.infolist():
            packed.writestr(info.filename, whole.read(info), zipfile.ZIP_DEFLATED)
    refused(tmp_path / "m.pt", "compressed")


def test_numbers_that_are_repeated_without_end_are_refused(tmp_path):
    torch.save({"text_projection": torch.zeros(1).expand(10**12)}, tmp_path / "m.pt")
    refused(tmp_path / "m.pt", "tensors by name")


def test_sizes_that_ask_for_too_much_memory_are_refused(tmp_path, small):
    """The number of pixels of a patch is the last size of the first layer, and the layer has its square."""
    state = torch.load(small / "tiny_clip.pt", weights_only=True)
    state["visual.conv1.weight"] = torch.zeros(64, 3, 1, 100_000)
    torch.save(state, tmp_path / "m.pt")
    refused(tmp_path / "m.pt", "fits together")


class Runs:
    def __reduce__(self):
        return os.system, ("true",)


def test_a_state_dict_that_runs_something_is_refused(tmp_path):
    torch.save({"text_projection": Runs()}, tmp_path / "m.pt")
    refused(tmp_path / "m.pt", "system")
    torch.save({"text_projection": Runs()}, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    refused(tmp_path / "old.pt", "system")


def test_a_tar_file_is_refused(tmp_path):
    with tarfile.open(tmp_path / "m.pt", "w") as file:
        file.addfile(tarfile.TarInfo("storages"), io.BytesIO())
    refused(tmp_path / "m.pt", "tar")


def test_a_downloaded_file_is_downloaded_again_only_if_it_is_damaged(tmp_path, monkeypatch):
    folder, asked = tmp_path / ".cache/clip", []
    folder.mkdir(parents=True)
    monkeypatch.setenv("HOME", str(tmp_path))
    sha256 = hashlib.sha256(b"weights").hexdigest()
    monkeypatch.setitem(openai._MODELS, "ViT-B/16", f"https://example.org/{sha256}/ViT-B-16.pt")
    monkeypatch.setattr(openai, "_download", lambda url, root: asked.append(url) or str(folder / "again.pt"))
    (folder / "ViT-B-16.pt").write_bytes(b"weights")
    assert backbone_file("ViT-B/16") == folder / "ViT-B-16.pt" and asked == []
    (folder / "ViT-B-16.pt").write_bytes(b"damaged")
    assert backbone_file("ViT-B/16") == folder / "again.pt" and len(asked) == 1
