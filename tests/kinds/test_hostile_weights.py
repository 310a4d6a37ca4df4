"""Files of weights that would take long, or much memory, are refused at once."""

import zipfile

import pytest
import torch

from clip_prompts.backbones.loading import load_clip
from clip_prompts.common.errors import UserError
from tests.kinds.limits import SPECIAL, is_one_line, limited

pytestmark = pytest.mark.integration

LAYERS = {f"visual.transformer.resblocks.{i}.attn.in_proj_weight": torch.zeros(1) for i in range(50_000)}


def many_layers(path):
    torch.save(LAYERS, path)


def many_layers_before_pytorch_1_6(path):
    torch.save(LAYERS, path, _use_new_zipfile_serialization=False)


def instructions(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/data.pkl", b"\x80\x02N" + b"K\x01" * 5_000_000 + b".")


def compressed(path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/data.pkl", bytes(2**28))


def zeros(path):
    """xz skips zeros without end."""
    SPECIAL["a terabyte"](path)


@pytest.mark.parametrize(
    "write", [many_layers, many_layers_before_pytorch_1_6, instructions, compressed, zeros, SPECIAL["FIFO"],
              SPECIAL["device"]],
)  # fmt: skip
def test_a_backbone_is_refused_at_once(write, tmp_path):
    path = tmp_path / "weights.pt"
    write(path)
    with limited(), pytest.raises(UserError) as caught:
        load_clip(str(path))
    assert is_one_line(str(caught.value)) and "weights.pt" in str(caught.value)


def test_a_safetensors_file_of_many_layers(tmp_path):
    from safetensors.torch import save_file

    save_file(LAYERS, tmp_path / "weights.safetensors")
    with limited(), pytest.raises(UserError, match="header is too long"):
        load_clip(str(tmp_path / "weights.safetensors"))
