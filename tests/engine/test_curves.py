"""TensorBoard's curves are those of PyTorch's own writer, in fewer records."""

import time

import numpy as np
import pytest
import torch
from dassl.engine.curves import CurveWriter
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
from torch.utils.tensorboard import SummaryWriter


def events(folder):
    """(step, time, [(tag, value), ...]) of each record of scalars."""
    (file,) = folder.iterdir()
    found = [event for event in EventFileLoader(str(file)).Load() if event.summary.value]
    return [(e.step, e.wall_time, [(v.tag, v.tensor.float_val[0]) for v in e.summary.value]) for e in found]


def write(writer):
    writer.add_scalar("train/loss", 1.5, 1)
    writer.add_scalar("train/acc", torch.tensor(50.0), 1)
    writer.add_scalar("train/lr", np.float64(0.1), 2, walltime=7.0)
    writer.add_scalar("train/loss", torch.tensor([0.5]), 2)
    writer.add_scalar("count", 3, 2)
    writer.add_scalar("train/loss", 2.5, 1)  # back to an earlier step
    writer.add_scalar("no step", 1.0)
    writer.close()


def test_the_same_values_at_the_same_steps(tmp_path):
    write(CurveWriter(str(tmp_path / "ours")))
    write(SummaryWriter(str(tmp_path / "theirs")))
    ours, theirs = events(tmp_path / "ours"), events(tmp_path / "theirs")
    assert [(step, pair) for step, _, pairs in ours for pair in pairs] == [
        (step, pair) for step, _, pairs in theirs for pair in pairs
    ]
    assert [len(pairs) for _, _, pairs in ours] == [2, 3, 1, 1]
    assert ours[1][1] == 7.0 and abs(ours[0][1] - time.time()) < 60


def test_what_is_kept_is_written_after_a_second_and_by_flush(tmp_path, monkeypatch):
    writer = CurveWriter(str(tmp_path))
    written = []
    monkeypatch.setattr(writer._get_file_writer(), "add_summary", lambda s, step, when: written.append(step))
    monkeypatch.setattr(time, "time", lambda: now)
    now = writer._written + 0.5
    writer.add_scalar("a", 1, 1)
    assert written == []
    now += 1.0
    writer.add_scalar("a", 2, 2)
    assert written == [1, 2]
    writer.add_scalar("a", 3, 3)
    writer.flush()
    assert written == [1, 2, 3]
    writer.close()
    assert written == [1, 2, 3]


def test_what_is_no_number_is_refused_at_once(tmp_path):
    writer = CurveWriter(str(tmp_path))
    with pytest.raises((AssertionError, NotImplementedError)):
        writer.add_scalar("a", torch.ones(2), 1)
    writer.close()


def test_other_forms_and_kinds_go_their_way(tmp_path):
    with CurveWriter(str(tmp_path)) as writer:
        writer.add_scalar("a", 1.25, 1, new_style=True)
        writer.add_histogram("h", torch.arange(4.0), 1)
        writer.add_scalar("b", 2.5, 1)
    tags = [v for _, _, pairs in events_with_any(tmp_path) for v in pairs]
    assert sorted(tags) == ["a", "b", "h"]


def events_with_any(folder):
    (file,) = folder.iterdir()
    return [(e.step, e.wall_time, [v.tag for v in e.summary.value]) for e in EventFileLoader(str(file)).Load()]
