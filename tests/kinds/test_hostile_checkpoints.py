"""Checkpoints are untrusted data: refused in one line, at once and in little memory."""

import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from dassl.engine.resume_point import find_resume_point
from dassl.engine.run_state import random_states, restore_run_state
from dassl.utils import CheckpointError, MissingFileError, load_checkpoint
from dassl.utils.checkpoint import resume_from_checkpoint
from torch import nn

from .limits import SPECIAL, is_one_line, limited

pytestmark = pytest.mark.integration


def nested(levels: int):
    """Lists that hold each other: written out, 40 levels have a million million words."""
    node = ["lol"] * 2
    for _ in range(levels):
        node = [node, node]
    return node


def refusal(path, call=load_checkpoint) -> str:
    with limited(), pytest.raises((CheckpointError, MissingFileError)) as caught:
        call(path)
    assert is_one_line(str(caught.value)) and Path(path).name in str(caught.value)
    return str(caught.value)


def repacked(path, change):
    """Write the archive at ``path`` again; ``change(name, content)`` gives content and compression of a member."""
    with zipfile.ZipFile(path) as archive:
        members = [(info.filename, archive.read(info)) for info in archive.infolist()]
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members:
            content, how = change(name, content)
            archive.writestr(name, content, how)


@pytest.mark.parametrize("kind", SPECIAL)
def test_special_files_in_the_place_of_a_checkpoint(kind, tmp_path):
    SPECIAL[kind](tmp_path / "c")
    refusal(tmp_path / "c")


@pytest.mark.parametrize("kind", SPECIAL)
def test_special_files_in_the_place_of_the_pointer(kind, tmp_path):
    SPECIAL[kind](tmp_path / "checkpoint")
    refusal(tmp_path / "checkpoint", lambda path: resume_from_checkpoint(str(tmp_path), nn.Linear(1, 1)))


@pytest.mark.parametrize("member", ["data.pkl", "data/0", "version", "byteorder", "x"])
@pytest.mark.parametrize("how", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_compressed_members(member, how, tmp_path):
    torch.save({"state_dict": {"x": torch.zeros(3)}, "epoch": 1}, tmp_path / "c")
    with zipfile.ZipFile(tmp_path / "c", "a") as archive:
        archive.writestr("c/x", b"x")
    zeros = bytes(2**24)
    repacked(tmp_path / "c", lambda name, content: (zeros, how) if name.endswith(f"/{member}") else (content, 0))
    assert "compressed" in refusal(tmp_path / "c")


def test_members_that_share_their_bytes(tmp_path):
    """A thousand entries of one megabyte would be read as a gigabyte."""
    torch.save({"state_dict": {}}, tmp_path / "c")
    with zipfile.ZipFile(tmp_path / "c", "a") as archive:
        archive.writestr("c/data/0", bytes(2**20))
        first = archive.infolist()[-1]
        for number in range(1, 1000):
            again = zipfile.ZipInfo(f"c/data/{number}")
            again.header_offset, again.CRC = first.header_offset, first.CRC
            again.file_size = again.compress_size = first.file_size
            archive.filelist.append(again)
    refusal(tmp_path / "c")


@pytest.mark.parametrize("is_zip", [True, False])
def test_instructions_without_end(is_zip, tmp_path):
    torch.save({}, tmp_path / "c", _use_new_zipfile_serialization=is_zip)
    many = b"\x80\x02N" + b"K\x01" * 2_100_000 + b"."
    if is_zip:
        repacked(tmp_path / "c", lambda name, content: (many if name.endswith("data.pkl") else content, 0))
    else:
        (tmp_path / "c").write_bytes((tmp_path / "c").read_bytes().replace(b"\x80\x02}q\x00.", many, 1))
    assert "instructions" in refusal(tmp_path / "c")


FIELDS = {
    "epoch": [nested(40), "\x1b[2Jx", [], -5, 10**9, 10**5000, True, 1.5, None, torch.ones(10**6), {"a": nested(40)}],
    "val_result": [nested(40), "61", [1.0], torch.zeros(5)],
    "state_dict": [nested(40), [], None, "x", {"x": "y"}, {1: torch.zeros(1)}, {"x": torch.zeros(1).to(torch.cfloat)},
                   {"x": torch.zeros(1).to(torch.float8_e4m3fn)}, {"x": torch.zeros(2, 2).to_sparse()},
                   {"x": torch.zeros(1, device="meta")}, {"x": torch.zeros(1).expand(10**6, 10**6)}],
}  # fmt: skip


@pytest.mark.parametrize(
    "field,value", [(name, v) for name, values in FIELDS.items() for v in values], ids=lambda v: ""
)
def test_a_field_of_another_type(field, value, tmp_path):
    torch.save({"state_dict": {"x": torch.zeros(1)}, "epoch": 1, field: value}, tmp_path / "c")
    assert field in refusal(tmp_path / "c")


@pytest.mark.parametrize("result", [None, 61, 61.5, np.float64(61.5), np.bool_(True), torch.tensor(61.5)], ids=repr)
def test_results_that_programs_write_are_read(result, tmp_path):
    torch.save({"state_dict": {"x": torch.zeros(1)}, "epoch": np.int64(3), "val_result": result}, tmp_path / "c")
    assert load_checkpoint(tmp_path / "c")["epoch"] == 3


def trained(kind=torch.optim.SGD, **settings):
    model = nn.Linear(3, 2)
    optimizer = kind(model.parameters(), lr=0.1, **settings)
    scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, [2, 4])
    model(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    scheduler.step()
    return model, optimizer, scheduler


def resumed(folder, change, kind=torch.optim.SGD, **settings):
    """Save what is trained, with a change, and resume it; then make a step."""
    model, optimizer, scheduler = trained(kind, **settings)
    state = {"state_dict": model.state_dict(), "epoch": 1}
    state |= {"optimizer": optimizer.state_dict(), "scheduler": scheduler.state_dict()}
    change(state)
    torch.save(state, folder / "model.pth.tar-1")
    (folder / "checkpoint").write_text("model.pth.tar-1\n")
    model, optimizer, scheduler = trained(kind, **settings)
    with limited():
        resume_from_checkpoint(str(folder), model, optimizer, scheduler)
        model(torch.ones(1, 3)).sum().backward()
        optimizer.step()
        scheduler.step()


def state_of(name, value, index=0):
    return lambda state: state["optimizer"]["state"][index].update({name: value})


def group_of(name, value):
    return lambda state: state["optimizer"]["param_groups"][0].update({name: value})


def scheduler_of(name, value):
    return lambda state: state["scheduler"].update({name: value})


SGD, ADAM = (torch.optim.SGD, {"momentum": 0.9}), (torch.optim.Adam, {})
BROKEN = [
    (SGD, state_of("momentum_buffer", torch.zeros(7))),
    (SGD, state_of("momentum_buffer", torch.zeros(1))),
    (SGD, state_of("momentum_buffer", "x")),
    (SGD, state_of("momentum_buffer", 3)),
    (ADAM, state_of("exp_avg", torch.zeros(2, 3, 4))),
    (ADAM, state_of("exp_avg_sq", nested(40))),
    (ADAM, state_of("step", "x")),
    (ADAM, state_of("step", torch.zeros(4))),
    (SGD, group_of("lr", "x")),
    (SGD, group_of("lr", float("nan"))),
    (SGD, group_of("momentum", nested(40))),
    (ADAM, group_of("betas", (0.9,))),
    (ADAM, group_of("betas", "ab")),
    (SGD, lambda state: state["optimizer"]["param_groups"][0].pop("momentum")),
    (SGD, group_of("params", [0])),
    (SGD, group_of("params", "ab")),
    (SGD, lambda state: state.update(optimizer=nested(40))),
    (SGD, lambda state: state["optimizer"].update(state=[])),
    (SGD, lambda state: state["optimizer"].update(state={0: nested(40)})),
    (SGD, lambda state: state["optimizer"].update(param_groups="x")),
    (SGD, lambda state: state.update(scheduler=[])),
    (SGD, scheduler_of("last_epoch", "x")),
    (SGD, scheduler_of("_last_lr", [1, 2, 3])),
    (SGD, scheduler_of("base_lrs", nested(40))),
    (SGD, scheduler_of("milestones", {"a": "b"})),
    (SGD, scheduler_of("step", 5)),
    (SGD, scheduler_of("get_lr", "x")),
    (SGD, scheduler_of("optimizer", None)),
]


@pytest.mark.parametrize("number", range(len(BROKEN)))
def test_a_training_state_that_does_not_fit_is_refused_before_the_first_step(number, tmp_path):
    (kind, settings), change = BROKEN[number]
    with pytest.raises(CheckpointError) as caught:
        resumed(tmp_path, change, kind, **settings)
    assert is_one_line(str(caught.value)) and "does not fit this run" in str(caught.value)


KINDS = [
    SGD, ADAM, (torch.optim.SGD, {}), (torch.optim.AdamW, {"amsgrad": True}), (torch.optim.RMSprop, {"centered": True}),
    (torch.optim.Adagrad, {}), (torch.optim.Adafactor, {}) if hasattr(torch.optim, "Adafactor") else SGD,
]  # fmt: skip


@pytest.mark.parametrize("kind,settings", KINDS)
def test_a_whole_training_state_goes_on(kind, settings, tmp_path):
    resumed(tmp_path, lambda state: None, kind, **settings)


def mid_epoch() -> dict:
    """The content of ``mid_epoch/state.pth.tar`` after one of two steps."""
    states = random_states()
    model = {"state_dict": {"x": torch.zeros(1)}, "optimizer": None, "scheduler": None}
    steps = {"done": 1, "losses": [{"loss": 1.0}], "passes": [random_states()]}
    return {"epoch": 1, "models": {"m": model}, "steps": steps, "random_states": states, "best_result": 1.0}


def of_steps(**changed):
    return lambda content: content["steps"].update(changed)


def of_states(part, **changed):
    return lambda content: content["random_states"][part].update(changed)


MID_EPOCH = [
    lambda content: content.update(epoch=[], batch=[], models=["x"]),
    lambda content: content.update(epoch=nested(40)),
    lambda content: content.update(models={"m": nested(40)}),
    lambda content: content.update(models={1: {}}),
    lambda content: content.update(batch=nested(40)),
    lambda content: content.update(best_result="x"),
    lambda content: content.update(scaler=[1]),
    lambda content: content.update(state=nested(40)),
    lambda content: content.update(steps=nested(40)),
    lambda content: content.update(random_states=nested(40)),
    lambda content: content.pop("random_states"),
    of_steps(done="x"),
    of_steps(done=2),
    of_steps(losses=nested(40)),
    of_steps(losses=[{"loss": "x"}]),
    of_steps(passes=[nested(40)]),
    of_steps(passes=None),
    of_states("python", words=torch.zeros(1, dtype=torch.int64).expand(10**12)),
    of_states("python", words=torch.full((625,), -1)),
    of_states("python", words=torch.full((625,), 10**12)),
    of_states("python", version=1),
    of_states("python", gauss="x"),
    of_states("numpy", words=torch.zeros(3, dtype=torch.int64)),
    of_states("numpy", position=10**5),
    lambda content: content["random_states"].update(torch=torch.zeros(5000, dtype=torch.uint8)),
    lambda content: content["random_states"].update(torch="x"),
    lambda content: content["random_states"].update(cuda="x"),
]


@pytest.mark.parametrize("number", range(len(MID_EPOCH)))
def test_a_state_within_an_epoch_that_is_broken_is_named(number, tmp_path):
    content = mid_epoch()
    MID_EPOCH[number](content)
    (tmp_path / "mid_epoch").mkdir()
    torch.save(content, tmp_path / "mid_epoch/state.pth.tar")
    before = random_states()
    with limited(), pytest.raises(CheckpointError) as caught:
        find_resume_point(str(tmp_path), ["m"])
    assert is_one_line(str(caught.value)) and "state.pth.tar" in str(caught.value)
    assert torch.equal(random_states()["python"]["words"], before["python"]["words"])


def test_a_whole_state_within_an_epoch_is_found(tmp_path):
    (tmp_path / "mid_epoch").mkdir()
    torch.save(mid_epoch(), tmp_path / "mid_epoch/state.pth.tar")
    assert find_resume_point(str(tmp_path), ["m"]).steps["done"] == 1


@pytest.mark.parametrize("kind", SPECIAL)
def test_special_files_in_the_place_of_a_state_within_an_epoch(kind, tmp_path):
    (tmp_path / "mid_epoch").mkdir()
    SPECIAL[kind](tmp_path / "mid_epoch/state.pth.tar")
    with limited():
        if kind == "loop of links":
            assert find_resume_point(str(tmp_path), ["m"]) is None
        else:
            refusal(tmp_path / "mid_epoch/state.pth.tar", lambda _: find_resume_point(str(tmp_path), ["m"]))


class Owner:
    """A trainer with a count and a list that are saved with the run."""

    STATE = ("count", "queue")

    def __init__(self) -> None:
        self.count, self.queue = 3, [1]


@pytest.mark.parametrize("value", [nested(40), "x", {}, [1], None], ids=lambda v: type(v).__name__)
def test_a_trainers_own_state_keeps_its_type(value):
    with limited(), pytest.raises(CheckpointError) as caught:
        restore_run_state(Owner(), {"state": {"count": {"value": value}}})
    assert is_one_line(str(caught.value))


@pytest.mark.parametrize("states", [{"python": {}}, {"python": {"version": nested(40)}}, nested(40), {"torch": "x"}])
def test_random_states_of_another_kind(states):
    with limited(), pytest.raises(CheckpointError):
        restore_run_state(Owner(), {"random_states": states})


@pytest.fixture(scope="module")
def learned(small, tmp_path_factory):
    """The checkpoint of a CoOp run of one epoch."""
    import train

    out = tmp_path_factory.mktemp("learned") / "run"
    config = "configs/trainers/CoOp/vit_b16.yaml"
    assert not train.main([
        "--trainer", "CoOp", "--root", str(small), "--output-dir", str(out), "--config-file", config,
        "--dataset-config-file", "configs/datasets/oxford_pets.yaml", "--backbone", str(small / "tiny_clip.pt"),
        "INPUT.SIZE", "(32, 32)", "DATASET.NUM_SHOTS", "2", "OPTIM.MAX_EPOCH", "1", "DATALOADER.NUM_WORKERS", "0",
        "SEED", "1",
    ])  # fmt: skip
    return torch.load(out / "prompt_learner/model.pth.tar-1", weights_only=True)


@pytest.mark.parametrize(
    "change",
    [
        lambda state: state.update(epoch="\x1b[2Jx"),
        lambda state: state.update(epoch=nested(40)),
        lambda state: state["state_dict"].update(ctx=torch.zeros(4, 64, dtype=torch.cfloat)),
    ],
)
def test_an_evaluation_names_a_broken_field(change, learned, run, tmp_path):
    import copy

    state = copy.deepcopy(learned)
    change(state)
    folder = tmp_path / "model/prompt_learner"
    folder.mkdir(parents=True)
    torch.save(state, folder / "model.pth.tar-1")
    with limited(30, 3 * 2**30):
        assert run("CoOp", "--eval-only", "--model-dir", str(tmp_path / "model")) == 2
    assert is_one_line(run.err.strip()) and "\x1b" not in run.stdout + run.err


@pytest.mark.parametrize("kind", ["FIFO", "device", "folder"])
def test_an_evaluation_of_a_special_file_ends_at_once(kind, run, tmp_path):
    folder = tmp_path / "model/prompt_learner"
    folder.mkdir(parents=True)
    SPECIAL[kind](folder / "model.pth.tar-1")
    with limited(30, 3 * 2**30):
        assert run("CoOp", "--eval-only", "--model-dir", str(tmp_path / "model")) == 2
    assert is_one_line(run.err.strip()) and "model.pth.tar-1" in run.err
