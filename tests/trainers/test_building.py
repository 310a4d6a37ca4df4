"""A CLIP that is built weight by weight is OpenAI's, to the bit and to the random stream, and takes little memory."""

import sys

import pytest
import torch
from clip.model import CLIP, build_model
from torch import nn

from clip_prompts.backbones.building import build
from clip_prompts.backbones.weights_file import free_mapped, read_weights
from clip_prompts.common.errors import UserError

SHAPES = {
    "ViT": (32, 32, 2, 64, 8, 77, 1000, 64, 1, 2),
    "ViT, another grid": (16, 64, 1, 128, 16, 77, 500, 128, 2, 3),
    "ResNet": (32, 64, (1, 2, 1, 3), 64, None, 77, 1000, 64, 1, 2),
}


@pytest.fixture(params=SHAPES)
def weights(request):
    """A state dict in float32 whose values are rounded in half precision, with OpenAI's numbers next to it."""
    with torch.random.fork_rng():
        torch.manual_seed(5)
        state = CLIP(*SHAPES[request.param]).state_dict()
    return state | {"input_resolution": torch.tensor(32), "vocab_size": torch.tensor(1000)}


def test_the_model_and_the_random_stream_are_openais(weights):
    with torch.random.fork_rng():
        torch.manual_seed(1)
        expected, next_draw = build_model(dict(weights)), torch.rand(3)
        torch.manual_seed(1)
        given = dict(weights)
        model = build(given, "file")
        assert torch.equal(torch.rand(3), next_draw)
    assert given == {} and not any(module.training for module in model.modules())
    found = model.state_dict()
    for name, value in expected.state_dict().items():
        assert found[name].dtype == value.dtype and torch.equal(found[name], value), name
    assert str(model) == str(expected) and model.visual.input_resolution == expected.visual.input_resolution
    assert [m.num_heads for m in model.modules() if hasattr(m, "num_heads")] == [
        m.num_heads for m in expected.modules() if hasattr(m, "num_heads")
    ]


def test_float32_holds_the_numbers_of_half_precision(weights):
    model, expected = build(dict(weights), "file", half=False), build(dict(weights), "file").float()
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert all(torch.equal(one, other) for one, other in zip(model.parameters(), expected.parameters(), strict=True))


def test_each_weight_is_freed_when_it_has_been_copied(monkeypatch):
    monkeypatch.setattr("clip_prompts.backbones.building._AT_ONCE", 1000)
    state, freed = CLIP(*SHAPES["ViT"]).state_dict(), []

    def free(part):
        freed.append(part.clone())
        part.fill_(torch.nan)

    given = {name: value.clone() for name, value in state.items()}
    model = build(given, "file", half=False, free=free)
    assert sum(part.numel() for part in freed) == sum(value.numel() for value in state.values())
    assert max(part.numel() for part in freed) < 2000  # large ones in parts
    assert torch.equal(model.token_embedding.weight, state["token_embedding.weight"])


@pytest.fixture(params=("state dict", "TorchScript", "safetensors"))
def mapped(request, tmp_path):
    """A large tensor (8 MB) and a transposed one, in a file of each format, and as they are read."""
    large = torch.arange(2**21, dtype=torch.float32).reshape(2048, 1024)
    path = tmp_path / "weights"
    if request.param == "TorchScript":
        module = nn.Module()
        module.large, module.turned = nn.Parameter(large), nn.Parameter(large.t())
        torch.jit.script(module).save(str(path))
    elif request.param == "safetensors":
        from safetensors.torch import save_file

        save_file({"large": large, "turned": large.t().contiguous()}, path)
    else:
        torch.save({"large": large, "turned": large.t()}, path)
    content, is_mapped = read_weights(path)
    assert is_mapped
    return large, content


@pytest.mark.filterwarnings("ignore:.*torch.jit")
def test_freed_memory_is_read_again(mapped):
    large, content = mapped
    for name, value in {"large": large, "turned": large.t()}.items():
        for _ in range(2):
            assert torch.equal(content[name], value)
            free_mapped(content[name])


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.filterwarnings("ignore:.*torch.jit")
def test_freed_memory_is_free(mapped):
    def of_files():
        with open("/proc/self/status") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("RssFile"))  # KiB

    large, content = mapped
    large.sum()
    before = of_files()
    content["large"].sum()
    used = of_files()
    free_mapped(content["large"])
    assert used - before > 6000 and used - of_files() > 6000  # of 8192; the kernel counts roughly


def test_a_file_before_pytorch_1_6_is_not_mapped(tmp_path):
    torch.save({"a": torch.ones(2)}, tmp_path / "w.pt", _use_new_zipfile_serialization=False)
    assert not read_weights(tmp_path / "w.pt").is_mapped
    torch.save({"a": torch.ones(2)}, tmp_path / "w.safetensors")  # torch.load takes it for what its ending says
    content, is_mapped = read_weights(tmp_path / "w.safetensors")
    assert not is_mapped and torch.equal(content["a"], torch.ones(2))


@pytest.mark.filterwarnings("ignore:.*torch.jit")
def test_a_damaged_number_in_a_torchscript_archive_is_found(tmp_path):
    module = nn.Module()
    module.weight = nn.Parameter(torch.full((3,), 1.2345))
    torch.jit.script(module).save(str(tmp_path / "w.pt"))
    content = (tmp_path / "w.pt").read_bytes()
    number = torch.tensor([1.2345]).numpy().tobytes()
    (tmp_path / "w.pt").write_bytes(content.replace(number, number[::-1], 1))
    with pytest.raises(UserError, match="CRC-32"):
        read_weights(tmp_path / "w.pt")
