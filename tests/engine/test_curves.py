"""TensorBoard's curves are those of PyTorch's own writer, in fewer records."""

import time

import numpy as np
import pytest
import torch
from dassl.utils.meters import Curves
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
from torch.utils.tensorboard import SummaryWriter

POINTS = [
    ("train/loss", 1.5, 1),
    ("train/acc", torch.tensor(50.0), 1),
    ("train/lr", np.float64(0.1), 2),
    ("train/loss", torch.tensor([0.5]), 2),
    ("count", 3, 2),
    ("train/loss", 2.5, 1),  # back to an earlier step
    ("no step", 1.0, None),
]


def events(folder):
    """(step, time, [(tag, value), ...]) of each record of scalars."""
    (file,) = folder.iterdir()
    found = [event for event in EventFileLoader(str(file)).Load() if event.summary.value]
    return [(e.step, e.wall_time, [(v.tag, v.tensor.float_val[0]) for v in e.summary.value]) for e in found]


def test_the_same_values_at_the_same_steps(tmp_path):
    ours, theirs, curves = SummaryWriter(str(tmp_path / "ours")), SummaryWriter(str(tmp_path / "theirs")), Curves()
    for tag, value, step in POINTS:
        curves.add(ours, tag, value, step)
        theirs.add_scalar(tag, value, step)
    curves.write(ours)
    ours.close()
    theirs.close()
    ours, theirs = events(tmp_path / "ours"), events(tmp_path / "theirs")
    assert [(step, pair) for step, _, pairs in ours for pair in pairs] == [
        (step, pair) for step, _, pairs in theirs for pair in pairs
    ]
    assert [len(pairs) for _, _, pairs in ours] == [2, 3, 1, 1]
    assert abs(ours[0][1] - time.time()) < 60


def test_points_are_written_after_a_second(tmp_path, monkeypatch):
    writer, curves, written = SummaryWriter(str(tmp_path)), Curves(), []
    monkeypatch.setattr(writer._get_file_writer(), "add_summary", lambda s, step, when: written.append(step))
    monkeypatch.setattr(time, "time", lambda: now)
    now = curves._written + 0.5
    curves.add(writer, "a", 1, 1)
    assert written == []
    now += 1.0
    curves.add(writer, "a", 2, 2)
    assert written == [1, 2]
    curves.add(writer, "a", 3, 3)
    curves.write(writer)
    assert written == [1, 2, 3]


def test_what_is_no_number_is_refused_at_once(tmp_path):
    writer = SummaryWriter(str(tmp_path))
    with pytest.raises((AssertionError, NotImplementedError)):
        Curves().add(writer, "a", torch.ones(2), 1)
    writer.close()
