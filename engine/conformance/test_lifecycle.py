"""Section 4.2 and 4.3: the order of a run, rates."""

import os
import re

import pytest
import torch

from . import tiny
from .support import OURS, differs

TRAINER = "dassl.engine.SimpleTrainer."


def test_order_last_step():
    """before_train; before_epoch, run_epoch, after_epoch for each epoch; a save after the last; after_train, which
    tests.
    """
    calls = tiny.run().trainer.calls[3:]
    epoch = ["before_epoch", "run_epoch", "after_epoch"]
    assert calls == ["before_train", *epoch, *epoch, "save_model", "after_train", "test None"]


def test_order_best_val():
    """best_val: each epoch is tested on val, a strictly better one saved first; then the periodic save; at the end the
    best model is loaded and tested.
    """
    run = tiny.run("TEST.FINAL_MODEL", "best_val", "TRAIN.CHECKPOINT_FREQ", 1, "OPTIM.MAX_EPOCH", 1)
    epoch = ["before_epoch", "run_epoch", "after_epoch", "test val", "save_model", "save_model"]
    assert run.trainer.calls[3:] == ["before_train", *epoch, "after_train", "load_model", "test None"]  # fmt: skip
    assert run.trainer.best_result > -float("inf")


def test_order_without_tests():
    """NO_TEST: no evaluation at all."""
    calls = tiny.run("TEST.NO_TEST", True, "TEST.FINAL_MODEL", "best_val", "OPTIM.MAX_EPOCH", 1).trainer.calls
    assert not [call for call in calls if call.startswith(("test", "load"))]


def test_unknown_final_model():
    """Any other string than best_val behaves as last_step."""
    try:
        tiny.build("TEST.FINAL_MODEL", "best-val")
    except ValueError as error:
        differs("best-val" in str(error), "final-model-checked")
        raise


def test_periodic_saves():
    """A checkpoint every CHECKPOINT_FREQ epochs and after the last; N counts finished epochs; old ones stay."""
    run = tiny.run("TRAIN.CHECKPOINT_FREQ", 2, "OPTIM.MAX_EPOCH", 5)
    names = {name for name in os.listdir(os.path.join(run.folder, "model")) if name.startswith("model.pth.tar")}
    assert names == {"model.pth.tar-2", "model.pth.tar-4", "model.pth.tar-5"}


def test_nothing_to_train():
    """A trainer without registered models fails in train(), with UnboundLocalError on start_epoch."""
    trainer = tiny.build("TRAINER.NAME", "ConformanceNone")
    try:
        trainer.train()
    except UnboundLocalError:
        assert not OURS
        return
    differs(trainer.epoch == 1, "trains-without-models")
    raise AssertionError("it did not go through its epochs")


def test_zero_shot():
    """A trainer without registered models can load_model (nothing is read) and test()."""
    trainer = tiny.build("TRAINER.NAME", "ConformanceNone")
    assert trainer.load_model("no such folder", epoch=1) is None
    assert 0 <= trainer.test() <= 100


def test_splits(capsys):
    """split None: TEST.SPLIT; val without a val loader falls back to test; returns the first value of the results;
    eval mode, no gradients; the progress bar is on stderr.
    """
    trainer = tiny.build("TEST.SPLIT", "val")
    modes = []
    inference = trainer.model_inference

    def spy(images):
        modes.append((trainer.model.training, torch.is_grad_enabled()))
        return inference(images)

    trainer.model_inference = spy
    capsys.readouterr()
    result = trainer.test()
    text = capsys.readouterr()
    assert "Evaluate on the *val* set" in text.out.splitlines() and "%" not in text.out.splitlines()[0] and text.err
    assert set(modes) == {(False, False)}
    accuracy = next(line for line in text.out.splitlines() if line.startswith("* accuracy"))
    assert accuracy == f"* accuracy: {result:.1f}%"
    trainer.val_loader = None
    capsys.readouterr()
    trainer.test(split="val")
    text = capsys.readouterr()
    assert "Evaluate on the *test* set" in text.out.splitlines()


def test_batches_are_parsed():
    """parse_batch_train gives (img, label, domain), parse_batch_test (img, label); model_inference calls self.model."""
    trainer = tiny.build()
    batch = next(iter(trainer.train_loader_x))
    images, labels, domains = trainer.parse_batch_train(batch)
    assert torch.equal(images, batch["img"]) and torch.equal(labels, batch["label"])
    assert torch.equal(domains, batch["domain"])
    images, labels = trainer.parse_batch_test(batch)
    trainer.model.eval()
    assert torch.equal(trainer.model_inference(images), trainer.model(images))


def test_an_epoch_of_x():
    """Train mode; forward_backward(batch) once for each batch of train_loader_x."""
    run = tiny.run()
    assert len(run.trainer.losses) == 2 * 4


def test_epochs_of_xu():
    """COUNT_ITER: an epoch is as long as train_x, train_u or the smaller one; the other loader starts again."""
    sizes = ("DATALOADER.TRAIN_U.SAME_AS_X", False, "DATALOADER.TRAIN_U.BATCH_SIZE", 12)  # 4 batches of x, 1 of u
    for count, length in (("train_x", 4), ("train_u", 1), ("smaller_one", 1)):
        run = tiny.run("TRAINER.NAME", "ConformanceXU", "TRAIN.COUNT_ITER", count, "OPTIM.MAX_EPOCH", 1, *sizes)
        assert run.trainer.losses == [(6, 12)] * length
    trainer = run.trainer
    x, u = next(iter(trainer.train_loader_x)), next(iter(trainer.train_loader_u))
    assert [tuple(t.shape) for t in trainer.parse_batch_train(x, u)] == [(6, 3, 16, 16), (6,), (12, 3, 16, 16)]


# Rates


def test_logged_rates():
    """update_lr runs within the last batch, so the last line of an epoch shows the rate of the next."""
    run = tiny.run("OPTIM.MAX_EPOCH", 4)
    assert run.trainer.rates == pytest.approx([0.5, 0.5 * 0.853553390593, 0.25, 0.5 * 0.146446609406])
    shown = [re.search(r"epoch \[(\d)/4\] batch \[(\d)/4\].* lr (\S+)", line) for line in run.lines]
    shown = [(m[1], m[2], m[3]) for m in shown if m]
    assert shown[:4] == [
        ("1", "2", "5.0000e-01"),
        ("1", "4", "4.2678e-01"),
        ("2", "2", "4.2678e-01"),
        ("2", "4", "2.5000e-01"),
    ]


def test_scheduler_is_real():
    """self.sched is a scheduler with step() without an argument, which a client may call itself."""
    trainer = tiny.build()
    trainer.optim.step()
    trainer.sched.step()
    assert trainer.get_current_lr() == pytest.approx(0.25)


def test_evaluation_and_shuffling():
    """Evaluating between epochs draws from torch's generator: best_val and last_step runs with one seed see other
    batches from epoch 2 on, and the same ones in epoch 1.
    """
    last = tiny.run("OPTIM.MAX_EPOCH", 2, "TEST.FINAL_MODEL", "last_step").trainer.losses
    best = tiny.run("OPTIM.MAX_EPOCH", 2, "TEST.FINAL_MODEL", "best_val").trainer.losses
    assert last[:4] == best[:4]
    assert last[4:] != best[4:]
