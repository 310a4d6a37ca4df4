"""Checkpoints, backbones, cached features, pictures and archives."""

import hashlib
import io
import json
import random
import shutil
import tarfile
import warnings
import zipfile
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
import torch
from dassl.config import get_cfg_default
from dassl.data.datasets.archives import extract_archive
from dassl.engine.run_state import random_states, restore_random_states, restore_run_state
from dassl.optim import build_lr_scheduler
from dassl.utils import UserError as EngineError
from dassl.utils import (
    load_checkpoint,
    load_pretrained_weights,
    read_image,
    resume_from_checkpoint,
    save_checkpoint,
    set_random_seed,
)
from PIL import Image
from torch import nn

from clip_prompts.backbones.loading import load_clip
from clip_prompts.common.errors import UserError
from clip_prompts.features.cache import FeatureFile
from datafiles.unpack import unpack
from tests.fuzz.mutate import spoil_bytes, spoil_value, spoil_zip

from .base import Format


class Trained:
    """A small model with what is trained beside it, as a trainer holds them."""

    STATE = ("queue",)

    def __init__(self) -> None:
        self.model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
        self.optim = torch.optim.SGD(self.model.parameters(), lr=0.1, momentum=0.9)
        cfg = get_cfg_default().OPTIM
        cfg.LR_SCHEDULER, cfg.WARMUP_EPOCH, cfg.WARMUP_TYPE = "cosine", 1, "constant"
        self.sched = build_lr_scheduler(self.optim, cfg)
        self.best_result, self.queue = 1.0, [1, 2]

    def state(self) -> dict:
        return {
            "state_dict": self.model.state_dict(),
            "epoch": 2,
            "optimizer": self.optim.state_dict(),
            "scheduler": self.sched.state_dict(),
            "val_result": None,
            "best_result": 1.0,
            "state": {"queue": {"value": [1, 2]}},
            "random_states": random_states(),
        }


def checkpoint_seeds(folder: Path) -> list[bytes]:
    """Ours; one without checksum; upstream's, with pickled objects; an old one, which is no archive."""
    trained = Trained()
    trained.model(torch.ones(2, 3)).sum().backward()
    for _ in range(3):
        trained.optim.step()
        trained.sched.step()
    state = trained.state()
    save_checkpoint(state, str(folder))
    upstreams = {**state, "scheduler": {**state["scheduler"], "successor": trained.sched.successor}}
    upstreams |= {"val_result": np.float64(61.5)}
    del upstreams["random_states"], upstreams["state"]
    return [
        (folder / "model.pth.tar-2").read_bytes(),
        _saved(state),
        _saved(upstreams),
        _saved(upstreams, _use_new_zipfile_serialization=False),
    ]


def _saved(state: object, **options) -> bytes:
    file = io.BytesIO()
    torch.save(state, file, **options)
    return file.getvalue()


def _state() -> dict:
    """The same whatever was drawn before."""
    before = random_states()
    set_random_seed(0)
    try:
        return Trained().state()
    finally:
        restore_random_states(before)


def read_checkpoint(path: Path) -> None:
    checkpoint = load_checkpoint(str(path))
    load_pretrained_weights(Trained().model, str(path))
    trained = Trained()
    resume_from_checkpoint(str(path.parent), trained.model, trained.optim, trained.sched)
    restore_run_state(trained, checkpoint)
    trained.model(torch.ones(2, 3)).sum().backward()
    trained.optim.step()
    trained.sched.step()


def backbone_seeds(folder: Path) -> list[bytes]:
    """A CLIP of one layer and all words: as TorchScript, as a state dict of both kinds, and in a checkpoint."""
    from clip.model import CLIP

    model = CLIP(
        embed_dim=4, image_resolution=4, vision_layers=1, vision_width=64, vision_patch_size=2, context_length=5,
        vocab_size=49408, transformer_width=64, transformer_heads=1, transformer_layers=1,
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is deprecated
        script = torch.jit.trace(model.float(), (torch.zeros(1, 3, 4, 4), torch.zeros(1, 5, dtype=torch.long)))
        buffer = io.BytesIO()
        torch.jit.save(script, buffer)
    state = model.state_dict()
    seeds = [buffer.getvalue(), _saved(state), _saved({"state_dict": state, "epoch": 3})]
    return [*seeds, _saved(state, _use_new_zipfile_serialization=False)]


def read_backbone(path: Path) -> None:
    load_clip(str(path))


def safetensors_seeds(folder: Path) -> list[bytes]:
    from safetensors.torch import save

    return [_in_order(save(torch.load(io.BytesIO(backbone_seeds(folder)[1]))))]


KEY = '{"format": 1, "weights": "abc"}'


def feature_seeds(folder: Path) -> list[bytes]:
    found = []
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        file = FeatureFile(folder, KEY, 4)
        file.write(torch.arange(12.0).reshape(4, 3).to(dtype))
        found.append(_in_order(file.path.read_bytes()))
        file.path.unlink()
    return found


def _in_order(data: bytes) -> bytes:
    """A safetensors file with its keys in order; its writer has them in another one each time."""
    size = int.from_bytes(data[:8], "little")
    header = json.dumps(json.loads(data[8 : 8 + size]), sort_keys=True).encode()
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header + data[8 + size :]


def read_features(path: Path) -> str | None:
    """A file of features that is not used is named in a line that is printed."""
    file = FeatureFile(path.parent, KEY, 4)
    file.path = path
    with redirect_stdout(io.StringIO()) as said:
        found = file.read()
    assert found is not None or said.getvalue()
    return None if found is not None else said.getvalue().removesuffix("\n")


def image_seeds(folder: Path) -> list[bytes]:
    picture = Image.fromarray((np.arange(20 * 16 * 3) % 251).astype(np.uint8).reshape(20, 16, 3))
    found = []
    for kind, options in (
        ("JPEG", {}), ("JPEG", {"progressive": True}), ("PNG", {}), ("GIF", {}), ("BMP", {}), ("TIFF", {}),
        ("WEBP", {}), ("PPM", {}), ("TIFF", {"compression": "tiff_lzw"}), ("TGA", {}),
    ):  # fmt: skip
        buffer = io.BytesIO()
        picture.save(buffer, kind, **options)
        found.append(buffer.getvalue())
    return found


def read_picture(path: Path) -> None:
    assert read_image(str(path)).mode == "RGB"


def archive_seeds(folder: Path) -> list[bytes]:
    members = {"top/images/a.jpg": b"a" * 300, "top/images/b/c.jpg": bytes(range(256)), "top/list.txt": b"a.jpg 1\n"}
    found = []
    for mode in ("w", "w:gz", "w:bz2", "w:xz"):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode=mode) as archive:
            for name, content in members.items():
                info = tarfile.TarInfo(name)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
            if mode == "w":
                link = tarfile.TarInfo("top/images/d.jpg")
                link.type, link.linkname = tarfile.SYMTYPE, "a.jpg"
                archive.addfile(link)
        found.append(buffer.getvalue())
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return [*found, buffer.getvalue()]


def read_archive(path: Path) -> None:
    for place in ("unpacked", "extracted"):
        shutil.rmtree(path.parent / place, ignore_errors=True)
    extract_archive(str(path), str(path.parent / "extracted"))
    unpack(path, path.parent / "unpacked", [("images", "images"), ("list.txt", "list.txt")])


def spoil_checkpoint(data: bytes, r: random.Random, other: bytes = b"") -> bytes:
    """The file of ``torch.save`` changed, or what was saved."""
    if r.random() < 0.6:
        return _saved(_spoil_field(_state(), r) if r.random() < 0.4 else spoil_value(_state(), r))
    return spoil_saved(data, r, other)


def _spoil_field(state: dict, r: random.Random) -> dict:
    """A field of another type: lists that hold each other without end, a tensor of another shape."""
    node: object = state
    while isinstance(node, dict) and node:
        parent, key = node, r.choice(list(node))
        node = node[key]
        if r.random() < 0.3:
            break
    shared: list = ["lol"] * 2
    for _ in range(40):
        shared = [shared, shared]
    parent[key] = _other_tensor(node, r) if isinstance(node, torch.Tensor) and r.random() < 0.7 else shared
    return state


def spoil_backbone(data: bytes, r: random.Random, other: bytes = b"") -> bytes:
    """The file changed, or the tensors: their sizes, their types, their names."""
    if r.random() < 0.6 or b"constants.pkl" in data:
        return spoil_saved(data, r, other)
    state = torch.load(io.BytesIO(data), weights_only=True)
    state = state.get("state_dict", state)
    for _ in range(r.choice((1, 1, 3))):
        name = r.choice(list(state))
        state[name] = _other_tensor(state[name], r)
    return _saved(spoil_value(state, r) if r.random() < 0.2 else state)


def _other_tensor(tensor: torch.Tensor, r: random.Random) -> torch.Tensor:
    match r.randrange(6):
        case 0:
            return tensor.flatten()[:0]
        case 1:
            return tensor.flatten()
        case 2:
            return tensor.to(r.choice((torch.int64, torch.float64, torch.bool, torch.uint8)))
        case 3:
            return tensor.sum()
        case 4:
            return tensor.flatten()[:1].expand(10 ** r.randrange(9))  # a few numbers, repeated without end
        case _:
            return torch.cat([tensor.flatten()] * 2)


def spoil_saved(data: bytes, r: random.Random, other: bytes = b"") -> bytes:
    """Of a file before PyTorch 1.6, several pickles and then numbers, the first kilobytes are changed."""
    if data.startswith(b"PK"):
        return spoil_zip(data, r, other)
    return spoil_bytes(data, r, other) if r.random() < 0.5 else spoil_bytes(data[:4000], r, other) + data[4000:]


def spoil_features(data: bytes, r: random.Random, other: bytes = b"") -> bytes:
    """The file changed, or written again with another tensor or other metadata."""
    if r.random() < 0.5:
        return spoil_bytes(data, r, other)
    from safetensors.torch import save

    shape = r.choice(((4, 3), (4, 3), (4,), (4, 0), (0, 3), (3, 4), (4, 3, 2), (), (1, 12)))
    kinds = (torch.float32, torch.float16, torch.float64, torch.int8, torch.bool, torch.float8_e4m3fn)
    features = torch.full(shape, r.choice((0.0, 1.0, float("nan")))).to(r.choice(kinds))
    right = hashlib.sha256(features.flatten().view(torch.uint8).numpy()).hexdigest()
    metadata = {"key": r.choice((KEY, KEY, "", "\0")), "sha256": r.choice((right, right, "0" * 64))}
    return _in_order(save({r.choice(("features", "features", "x")): features}, r.choice((metadata, metadata, None))))


def spoil_archive(data, r, other=b""):
    return spoil_bytes(data, r, other) if r.random() < 0.5 else spoil_zip(data, r, other, "a.jpg", spoil_bytes)


ENGINE, PLUGIN = (EngineError,), (UserError,)
FORMATS = [
    Format("checkpoint", "model.pth.tar-2", ENGINE, checkpoint_seeds, spoil_checkpoint, read_checkpoint),
    Format("backbone", "clip.pt", PLUGIN, backbone_seeds, spoil_backbone, read_backbone),
    Format("backbone, safetensors", "clip.safetensors", PLUGIN, safetensors_seeds, spoil_bytes, read_backbone),
    Format("feature cache", "features.safetensors", (), feature_seeds, spoil_features, read_features),
    Format("image", "picture.jpg", ENGINE, image_seeds, spoil_bytes, read_picture),
    Format("archive", "archive", ENGINE + PLUGIN, archive_seeds, spoil_archive, read_archive),
]
