"""Averages and their printed form."""

import pytest
import torch
from dassl.utils import AverageMeter, MetricMeter


def test_average_counts_n():
    meter = AverageMeter()
    meter.update(1.0)
    meter.update(torch.tensor(4.0), n=2)
    assert (meter.val, meter.sum, meter.count, meter.avg) == (4.0, 9.0, 3, 3.0)
    assert isinstance(meter.val, float)
    meter.reset()
    assert (meter.val, meter.avg, meter.sum, meter.count) == (0, 0, 0, 0)


def test_exponential_average_starts_at_zero():
    meter = AverageMeter(ema=True)
    meter.update(10.0)
    assert meter.avg == pytest.approx(1.0)
    meter.update(10.0)
    assert meter.avg == pytest.approx(1.9)


def test_metric_meter_prints_in_order_of_arrival():
    meter = MetricMeter()
    meter.update({"loss": 1.0, "acc": torch.tensor([50.0])})
    meter.update(None)
    meter.update({"loss": 2.0})
    assert str(meter) == "loss 2.0000 (1.5000) acc 50.0000 (50.0000)"
    assert meter.meters["loss"].count == 2


def test_metric_meter_delimiter_and_type():
    meter = MetricMeter(delimiter=" | ")
    assert str(meter) == ""
    meter.update({"a": 1, "b": 2})
    assert str(meter) == "a 1.0000 (1.0000) | b 2.0000 (2.0000)"
    with pytest.raises(TypeError) as caught:
        meter.update([1])
    assert str(caught.value) == "Input to MetricMeter.update() must be a dictionary"
