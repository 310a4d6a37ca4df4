"""A run uses one GPU, however many there are: a model wrapped in DataParallel lacks the methods that trainers call."""

import pytest
import torch

pytestmark = pytest.mark.integration


def test_a_machine_with_two_gpus(run, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)  # which may ask for the count
    assert run() == 0, run.err
