"""Files as upstream's Dassl writes them: read as data, without creating the pickled objects."""

import io
import os
import pickle
import tarfile
import warnings

import numpy as np
import pytest
import torch
from dassl.optim.radam import RAdam
from dassl.utils import CheckpointError, load_checkpoint
from dassl.utils.safe_load import InertRecord
from torch import nn
from torch.optim import lr_scheduler

OPTIMIZERS = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9),
    "adam": lambda p: torch.optim.Adam(p, lr=0.1),
    "adamw": lambda p: torch.optim.AdamW(p, lr=0.1),
    "rmsprop": lambda p: torch.optim.RMSprop(p, lr=0.1),
    "radam": lambda p: RAdam(p, lr=0.1),
}
SCHEDULERS = {
    "single_step": lambda o: lr_scheduler.StepLR(o, 2),
    "multi_step": lambda o: lr_scheduler.MultiStepLR(o, (2, 4)),
    "cosine": lambda o: lr_scheduler.CosineAnnealingLR(o, 10.0),
}


@pytest.mark.parametrize("sched", SCHEDULERS)
@pytest.mark.parametrize("optim", OPTIMIZERS)
def test_pickled_successor_comes_out_as_attributes(tmp_path, optim, sched):
    model = nn.Linear(2, 2)
    optimizer = OPTIMIZERS[optim](model.parameters())
    successor = SCHEDULERS[sched](optimizer)
    for _ in range(3):
        model(torch.ones(1, 2)).sum().backward()
        optimizer.step()
        successor.step()
    torch.save({"scheduler": {"successor": successor, "cons_lr": 1e-5}}, tmp_path / "c")

    read = load_checkpoint(tmp_path / "c")["scheduler"]["successor"]
    assert isinstance(read, InertRecord) and not isinstance(read, lr_scheduler.LRScheduler)
    assert isinstance(read.optimizer, InertRecord) and not isinstance(read.optimizer, torch.optim.Optimizer)
    assert read.last_epoch == 3
    assert read.base_lrs == [0.1]
    assert read._last_lr == successor.get_last_lr()


@pytest.mark.parametrize("value", [np.float64(61.5), np.float32(0.5), np.int64(3), np.bool_(True)], ids=repr)
def test_numpy_numbers(tmp_path, value):
    torch.save({"val_result": value}, tmp_path / "c")
    read = load_checkpoint(tmp_path / "c")["val_result"]
    assert read == value and read.dtype == value.dtype


def test_numpy_number_written_by_numpy_1(tmp_path):
    torch.save({"val_result": np.float64(61.5)}, tmp_path / "c", _use_new_zipfile_serialization=False)
    data = (tmp_path / "c").read_bytes()
    assert b"numpy._core.multiarray" in data or b"numpy.core.multiarray" in data
    (tmp_path / "c").write_bytes(data.replace(b"cnumpy._core.", b"cnumpy.core."))
    assert load_checkpoint(tmp_path / "c")["val_result"] == 61.5


def test_numpy_array(tmp_path):
    matrix = np.arange(6.0).reshape(2, 3)
    torch.save(matrix, tmp_path / "cmat.pt")
    assert np.array_equal(load_checkpoint(tmp_path / "cmat.pt"), matrix)


class _Runs:
    """Pickles as a call of ``function``."""

    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize(
    "function,args",
    [
        (os.system, ("true",)),
        (eval, ("1",)),
        (getattr, (1, "real")),
        (lr_scheduler.LambdaLR, (None, None)),
        (pickle.loads, (b"",)),
        (np.load, ("x",)),
    ],
    ids=lambda x: getattr(x, "__name__", ""),
)
def test_nothing_else_is_allowed(tmp_path, function, args):
    torch.save({"scheduler": {"successor": _Runs(function, *args)}}, tmp_path / "c")
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(tmp_path / "c")
    assert str(tmp_path / "c") in str(caught.value)
    assert f"{function.__name__}, and loading it could run untrusted code" in str(caught.value)


def test_object_array_cannot_smuggle_a_call(tmp_path):
    torch.save(np.array([_Runs(eval, "1")], dtype=object), tmp_path / "c")
    with pytest.raises(CheckpointError):
        load_checkpoint(tmp_path / "c")


def test_the_allow_list_of_the_process_is_left_as_it_was(tmp_path):
    class Own:
        pass

    before = list(torch.serialization.get_safe_globals())
    try:
        torch.serialization.clear_safe_globals()
        torch.serialization.add_safe_globals([Own])
        torch.save({}, tmp_path / "c")
        load_checkpoint(tmp_path / "c")
        assert torch.serialization.get_safe_globals() == [Own]
        (tmp_path / "c").write_text("broken")
        with pytest.raises(CheckpointError):
            load_checkpoint(tmp_path / "c")
        assert torch.serialization.get_safe_globals() == [Own]
    finally:
        torch.serialization.clear_safe_globals()
        torch.serialization.add_safe_globals(before)


def refused(path, word):
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(path)
    line = str(caught.value)
    assert str(path) in line and word in line and "weights_only" not in line


def test_programs_are_refused_unread(tmp_path, monkeypatch):
    """PyTorch 2.4 and 2.5 read both kinds without restriction."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is deprecated
        torch.jit.script(nn.Linear(2, 2)).save(str(tmp_path / "script.pt"))
    with tarfile.open(tmp_path / "old.pt", "w") as file:
        file.addfile(tarfile.TarInfo("storages"), io.BytesIO())
    monkeypatch.setattr(torch, "load", lambda *args, **kwargs: pytest.fail("it was read"))
    refused(tmp_path / "script.pt", "TorchScript")
    refused(tmp_path / "old.pt", "tar file")


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04", b"\x80\x02.", b"\x80\x02}r\xff\xff\xff\xff."])
def test_no_advice_to_read_it_all_the_same(tmp_path, content):
    (tmp_path / "c").write_bytes(content)
    refused(tmp_path / "c", "not a readable checkpoint")
