"""The cost of training: whole epochs of this process, without the first one; images of a step by its loaders."""

from types import SimpleNamespace

import pytest
from dassl.engine import TrainerXU

from clip_prompts.records.cost import cost_of
from clip_prompts.records.curve import EpochLog


def loader(batch, images):
    return SimpleNamespace(batch_size=batch, dataset=range(images))


@pytest.mark.parametrize(
    "epochs, step",
    [
        ([], None),
        ([(6.0, 2)], 3.0),
        ([(6.0, 2), (1.0, 2)], 0.5),
        ([(9.0, 2), (1.0, 2), (8.0, 2), (3.0, 2)], 1.5),
    ],
)
def test_a_step_takes_the_median_over_epochs_without_the_first(epochs, step):
    trainer = SimpleNamespace(train_loader_x=loader(32, 100), train_loader_u=loader(8, 100))
    cost = cost_of(trainer, epochs, 100, 4.0)
    assert cost["step_seconds"] == step and cost["test_images_per_second"] == 25.0
    assert cost["train_images_per_second"] == (step and 32 / step)


def test_images_of_a_step():
    trainer = SimpleNamespace(train_loader_x=loader(128, 80))
    assert cost_of(trainer, [(1.0, 1)], 1, 1.0)["train_images_per_second"] == 80  # fewer than a batch are a batch
    trainer.train_loader_x.batch_size = None  # a loader of its own kind
    assert cost_of(trainer, [(1.0, 1)], 1, 1.0)["train_images_per_second"] is None
    both = object.__new__(type("Both", (TrainerXU,), {}))
    both.train_loader_x, both.train_loader_u, both.device = loader(4, 80), loader(6, 80), None
    assert cost_of(both, [(1.0, 1)], 1, 1.0)["train_images_per_second"] == 10


def test_an_epoch_that_was_resumed_in_its_middle_does_not_count(tmp_path):
    trainer = SimpleNamespace(epoch=1, num_batches=5, start_epoch=1)
    log = EpochLog(trainer, str(tmp_path))
    log.load_state_dict({"epoch": 2, "lr": 0.1})
    log.epoch_begins(trainer)
    log.epoch_ends(trainer, {})
    assert log.durations == []
    trainer.epoch = 2
    log.epoch_begins(trainer)
    log.epoch_ends(trainer, {})
    ((seconds, steps),) = log.durations
    assert seconds > 0 and steps == 5
