"""Trainers in the styles that users write run without changes: train, resume, load, test.

What each style learns is computed again in plain PyTorch, from its network and the seed alone.
"""

import importlib
import os
import re

import pytest
import torch
from dassl.engine import TRAINER_REGISTRY, build_trainer
from dassl.utils import read_image
from torch.nn import functional as F
from yacs.config import CfgNode as CN

from tests.engine.stock import read_part, seed, stock_cfg

STYLES = {  # file -> (trainer, names of its registered models)
    "mixed_precision": ("StyleMixedPrecision", ["classifier"]),
    "whole_model": ("StyleWholeModel", ["VLPromptLearner"]),
    "token_buffers": ("StyleTokenBuffers", ["prompt_learner"]),
    "own_loop": ("StyleOwnLoop", ["PromptLearner"]),
    "deep_wrapper": ("StyleDeepWrapper", ["model"]),
    "two_optimizers": ("StyleTwoOptimizers", ["F", "C"]),
    "save_each_epoch": ("StyleSaveEachEpoch", ["model"]),
    "own_schedule": ("StyleOwnSchedule", ["prompt_learner"]),
    "own_test": ("StyleOwnTest", ["VLPromptLearner"]),
}
LR, EPOCHS, BATCH = 0.5, 2, 4
LINE = re.compile(r"epoch \[(\d)/2\] batch \[(\d)/4\] .*?loss (\d+\.\d{4}) \(.* lr (\S+) eta \d:\d\d:\d\d")


class Killed(Exception):
    pass


@pytest.fixture
def style(pictures, tmp_path, capsys):
    """``style(file, folder, stop_in=None)`` trains and returns (trainer, lines that it printed)."""

    def call(file, folder, stop_in=None, train=True):
        importlib.import_module(f"tests.engine.styles.{file}")
        cfg = stock_cfg(
            pictures, tmp_path / folder, "TRAINER.NAME", STYLES[file][0], "OPTIM.MAX_EPOCH", EPOCHS, "OPTIM.LR", LR,
            "OPTIM.WARMUP_EPOCH", -1, "OPTIM.WEIGHT_DECAY", 0.0, "OPTIM.MOMENTUM", 0.9, "TRAIN.PRINT_FREQ", 1,
            "TRAIN.CHECKPOINT_FREQ", 1, "INPUT.TRANSFORMS", (), "DATALOADER.TRAIN_X.BATCH_SIZE", BATCH,
        )  # fmt: skip
        cfg.defrost()
        cfg.TRAINER.COOP = CN({"PREC": "amp"})  # as clients add their keys
        cfg.freeze()
        seed()
        capsys.readouterr()
        trainer = build_trainer(cfg)
        if stop_in is not None:
            run_epoch = trainer.run_epoch

            def dying():
                if trainer.epoch == stop_in:
                    raise Killed
                run_epoch()

            trainer.run_epoch = dying
        if train:
            try:
                trainer.train()
            except Killed:
                pass
        return trainer, capsys.readouterr().out.splitlines()

    return call


def in_plain_pytorch(file, root):
    """(losses of all batches, accuracy on the test pictures in percent) that the style's network must reach."""
    from torchvision.transforms.functional import to_tensor

    def tensors(part):
        items = read_part(root, part)
        return torch.stack([to_tensor(read_image(i.impath)) for i in items]), torch.tensor([i.label for i in items])

    images, labels = tensors("train")
    seed()
    network = importlib.import_module(f"tests.engine.styles.{file}").Network(3)
    optimizer = torch.optim.SGD([p for p in network.parameters() if p.requires_grad], lr=LR, momentum=0.9)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS)
    losses = []
    for _ in range(EPOCHS):
        torch.empty((), dtype=torch.int64).random_()  # a loader draws the seed of its workers, and that of its sampler
        shuffler = torch.Generator().manual_seed(int(torch.empty((), dtype=torch.int64).random_()))
        order = torch.randperm(len(labels), generator=shuffler)
        for indices in order.split(BATCH)[: len(labels) // BATCH]:
            loss = F.cross_entropy(network(images[indices]), labels[indices])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        schedule.step()
    test_images, test_labels = tensors("test")
    network.eval()
    return losses, 100 * (network(test_images).argmax(1) == test_labels).float().mean().item()


@pytest.mark.filterwarnings("ignore:.*torch.cuda.amp:FutureWarning", "ignore:.*CUDA is not available")
@pytest.mark.parametrize("file", STYLES)
def test_style(file, style, pictures, tmp_path):
    names = STYLES[file][1]
    losses, accuracy = in_plain_pytorch(file, pictures)

    trained, lines = style(file, "whole")
    assert trained.get_model_names() == names
    shown = [m.groups() for m in map(LINE.match, lines) if m]
    assert [(int(e), int(b)) for e, b, *_ in shown] == [(e, b) for e in (1, 2) for b in (1, 2, 3, 4)]
    assert [float(loss) for *_, loss, _ in shown] == pytest.approx(losses, abs=6e-5)
    assert [lr for *_, lr in shown] == ["5.0000e-01"] * 3 + ["2.5000e-01"] * 4 + ["0.0000e+00"]
    for name in names:
        folder = tmp_path / "whole" / name
        assert {"model.pth.tar-1", "model.pth.tar-2", "checkpoint"} <= set(os.listdir(folder))
        assert (folder / "checkpoint").read_text() == "model.pth.tar-2\n"
        assert f"Checkpoint saved to {folder}/model.pth.tar-2" in lines
    end = lines.index("Finish training")
    assert lines[end + 1] == "Deploy the last-epoch model"
    assert f"* accuracy: {accuracy:.1f}%" in lines[end:]
    assert os.listdir(tmp_path / "whole/tensorboard")

    # Stopped before its second epoch, and started again: the rest is the same.
    style(file, "cut", stop_in=1)
    resumed, more = style(file, "cut")
    assert f"Found checkpoint at {tmp_path}/cut (will resume training)" in more
    again = [m.groups() for m in map(LINE.match, more) if m]
    assert [line[2:] for line in again] == [line[2:] for line in shown[4:]]
    for name in names:
        for one, other in zip(trained._models[name].parameters(), resumed._models[name].parameters(), strict=True):
            assert torch.equal(one, other)

    # Built anew, loaded and tested.
    fresh, _ = style(file, "fresh", train=False)
    fresh.load_model(str(tmp_path / "cut"), epoch=2)
    assert fresh.test() == pytest.approx(accuracy)


def test_each_file_is_a_style():
    files = {f[:-3] for f in os.listdir(os.path.join(os.path.dirname(__file__), "styles")) if f.endswith(".py")}
    assert files - {"__init__"} == set(STYLES)
    for file, (trainer, _) in STYLES.items():
        importlib.import_module(f"tests.engine.styles.{file}")
        assert TRAINER_REGISTRY.get(trainer).__module__ == f"tests.engine.styles.{file}"


@pytest.mark.filterwarnings("ignore:.*torch.cuda.amp:FutureWarning", "ignore:.*CUDA is not available")
def test_what_makes_the_styles_special(style, tmp_path):
    """Token buffers are left alone by load_model, the whole model is switched, the best checkpoint is copied."""
    source, _ = style("token_buffers", "buffers")
    target, _ = style("token_buffers", "other", train=False)
    with torch.no_grad():
        target.model.prompt_learner.token_prefix.fill_(7.0)
    target.load_model(str(tmp_path / "buffers"), epoch=2)
    assert torch.equal(target.model.prompt_learner.ctx, source.model.prompt_learner.ctx)
    assert target.model.prompt_learner.token_prefix.unique().tolist() == [7.0]
    target.model.eval()
    target.set_model_mode("train")
    assert target.model.prompt_learner.training and not target.model.image_encoder.training

    whole, _ = style("whole_model", "whole", train=False)
    whole.set_model_mode("eval")
    assert not whole.model.image_encoder.training

    style("save_each_epoch", "each")
    assert {"model-best.pth.tar", "model.pth.tar-1"} <= set(os.listdir(tmp_path / "each/model"))
