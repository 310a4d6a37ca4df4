"""Checkpoint files: what is written, what is read back, and what is refused."""

import os
from collections import OrderedDict

import pytest
import torch
from dassl.utils import CheckpointError, UserError, load_checkpoint, resume_from_checkpoint, save_checkpoint
from torch import nn


def _state(model, epoch=2, **more):
    return {
        "state_dict": model.state_dict(),
        "epoch": epoch,
        "optimizer": None,
        "scheduler": None,
        "val_result": None,
        **more,
    }


def test_module_prefix_is_stripped_and_the_argument_kept(tmp_path):
    state = _state(nn.Module())
    state["state_dict"] = OrderedDict({"module.a": torch.ones(1), "b.module.c": torch.zeros(1)})
    save_checkpoint(state, str(tmp_path))
    assert list(load_checkpoint(tmp_path / "model.pth.tar-2")["state_dict"]) == ["a", "b.module.c"]
    assert list(state["state_dict"]) == ["module.a", "b.module.c"]
    save_checkpoint(state, str(tmp_path), remove_module_from_keys=False)
    assert list(load_checkpoint(tmp_path / "model.pth.tar-2")["state_dict"]) == ["module.a", "b.module.c"]


class _Bomb:
    def __reduce__(self):
        return (print, ("executed",))


def test_interrupted_save_keeps_the_older_checkpoint(tmp_path):
    save_checkpoint(_state(nn.Linear(2, 2)), str(tmp_path))
    before = (tmp_path / "model.pth.tar-2").read_bytes()
    with pytest.raises(Exception, match="pickle|local object"):
        save_checkpoint(_state(nn.Linear(2, 2), val_result=lambda: None), str(tmp_path))
    assert sorted(os.listdir(tmp_path)) == ["checkpoint", "model.pth.tar-2"]
    assert (tmp_path / "model.pth.tar-2").read_bytes() == before


def test_unwritable_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="file"):
        save_checkpoint(_state(nn.Linear(2, 2)), str(tmp_path / "file"))


def _truncated(path):
    torch.save(_state(nn.Linear(64, 64)), path)
    path.write_bytes(path.read_bytes()[:2000])


CORRUPT = {
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("not a checkpoint\n" * 9),
    "truncated": _truncated,
    "folder": lambda path: path.mkdir(),
}


@pytest.mark.parametrize("kind", CORRUPT)
def test_corrupt_file_gives_one_line_that_names_it(tmp_path, capsys, kind):
    path = tmp_path / "model.pth.tar-1"
    CORRUPT[kind](path)
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    assert capsys.readouterr().out == f'Unable to load checkpoint from "{path}"\n'


def test_code_in_a_file_is_not_run(tmp_path, capsys):
    path = tmp_path / "model.pth.tar-1"
    torch.save({"state_dict": {}, "epoch": _Bomb()}, path)
    with pytest.raises(CheckpointError, match="print"):
        load_checkpoint(path)
    assert "executed" not in capsys.readouterr().out


def _parts(seed):
    torch.manual_seed(seed)
    model = nn.Linear(3, 2)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1)
    return model, optimizer, scheduler


def test_resume_without_optimizer_state(tmp_path, capsys):
    model, optimizer, scheduler = _parts(0)
    save_checkpoint(_state(model), str(tmp_path))
    assert resume_from_checkpoint(str(tmp_path), model, optimizer, scheduler) == 2
    assert "Loaded optimizer" not in capsys.readouterr().out


def test_resume_errors(tmp_path):
    model = nn.Linear(2, 2)
    with pytest.raises(FileNotFoundError, match="checkpoint"):
        resume_from_checkpoint(str(tmp_path), model)
    for pointed in ("../elsewhere", "", "a/b"):
        (tmp_path / "checkpoint").write_text(f"{pointed}\n")
        with pytest.raises(UserError, match="should hold the name"):
            resume_from_checkpoint(str(tmp_path), model)
    (tmp_path / "checkpoint").write_text("model.pth.tar-9\n")
    with pytest.raises(FileNotFoundError, match="model.pth.tar-9"):
        resume_from_checkpoint(str(tmp_path), model)
    save_checkpoint(_state(nn.Linear(5, 2)), str(tmp_path))
    with pytest.raises(CheckpointError, match=r"model.pth.tar-2.*size mismatch") as caught:
        resume_from_checkpoint(str(tmp_path), model)
    assert "\n" not in str(caught.value)
