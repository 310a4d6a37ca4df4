"""Section 1.2 and 4.1: how a trainer is built, and what is in its modules."""

import collections
import datetime
import os.path
import time
from unittest import mock

import dassl.engine
import numpy
import pytest
import torch
import tqdm
from dassl import data, engine, evaluation, modeling, optim
from dassl.engine import SimpleNet, TrainerX, trainer
from dassl.modeling import BACKBONE_REGISTRY, HEAD_REGISTRY, Backbone

from . import tiny
from .support import OURS, differs


def test_built_by_name(capsys):
    """build_trainer prints "Loading trainer: {name}" if VERBOSE and returns Class(cfg)."""
    trainer = tiny.build()
    text = capsys.readouterr()
    assert type(trainer).__name__ == "ConformanceX"
    assert text.out.splitlines()[0] == "Loading trainer: ConformanceX"
    capsys.readouterr()
    tiny.build("VERBOSE", False)
    text = capsys.readouterr()
    assert "Loading trainer: ConformanceX" not in text.out.splitlines()


def test_construction():
    """check_cfg sees neither cfg nor device; build_data_loader sees cfg, device, epochs and output_dir; build_model
    the loaders and classes too; at the end evaluator, and best_result = -inf.
    """
    trainer = tiny.build()
    assert trainer.calls == ["check_cfg", "build_data_loader", "build_model"]
    seen = trainer.seen
    assert {"_models", "_optims", "_scheds", "_writer"} <= seen["check_cfg"]
    assert not {"cfg", "device"} & seen["check_cfg"]
    assert {"device", "start_epoch", "epoch", "max_epoch", "output_dir", "cfg"} <= seen["build_data_loader"]
    assert {
        "dm", "train_loader_x", "train_loader_u", "val_loader", "test_loader", "num_classes", "num_source_domains",
        "lab2cname",
    } <= seen["build_model"]  # fmt: skip
    assert "evaluator" not in seen["build_model"] and "best_result" not in seen["build_model"]
    assert (trainer.start_epoch, trainer.epoch, trainer.max_epoch, trainer.best_result) == (0, 0, 2, -float("inf"))
    assert (trainer.num_classes, trainer.num_source_domains) == (3, 2)
    assert trainer.lab2cname == {0: "red", 1: "green", 2: "blue"}
    assert (str(trainer.device), trainer.output_dir) == ("cpu", trainer.cfg.OUTPUT_DIR)
    assert type(trainer.evaluator).__name__ == "Classification"


def test_attributes_of_an_epoch():
    """num_batches and batch_idx do not exist before the first epoch; time_start exists after before_train."""
    run = tiny.run()
    before = run.trainer.seen
    assert not {"num_batches", "batch_idx"} & before["before_epoch"] and "time_start" in before["before_epoch"]
    assert (run.trainer.num_batches, run.trainer.batch_idx) == (4, 3)


def test_lab2cname_is_needed():
    """An overriding build_data_loader that omits lab2cname is fatal: AttributeError from the constructor."""

    class Forgetful(TrainerX):
        def build_data_loader(self):
            super().build_data_loader()
            del self.lab2cname

    try:
        Forgetful(tiny.make_cfg())
    except AttributeError:
        assert not OURS
        return
    differs(True, "lab2cname-optional")


def test_stock_model(capsys):
    """build_model prints "Building model" and the number of parameters, and registers SimpleNet as "model"."""
    trainer = tiny.build()
    text = capsys.readouterr()
    start = text.out.splitlines().index("Building model")
    assert text.out.splitlines()[start : start + 3] == [
        "Building model",
        "Backbone: conformance_pooled",
        "# params: 45",
    ]
    assert (trainer.get_model_names(), type(trainer.model).__name__) == (["model"], "SimpleNet")
    assert trainer._models["model"] is trainer.model
    assert trainer._optims["model"] is trainer.optim and trainer._scheds["model"] is trainer.sched


def test_several_gpus(capsys):
    """With several GPUs self.model is wrapped in DataParallel after it was registered unwrapped."""

    class Parallel(torch.nn.Module):
        def __init__(self, module):
            super().__init__()
            self.module = module

    pretended = {"is_available": lambda: True, "device_count": lambda: 2}
    capsys.readouterr()
    with (
        mock.patch.multiple(torch.cuda, **pretended),
        mock.patch.multiple(torch.nn, DataParallel=Parallel),
        mock.patch.multiple(torch.nn.Module, to=lambda self, *_, **__: self),
    ):
        trainer = tiny.build("USE_CUDA", True)
    differs(trainer._models["model"] is trainer.model, "one-gpu")
    assert "Detected 2 GPUs (use nn.DataParallel)" in capsys.readouterr().out.splitlines()
    assert isinstance(trainer.model, Parallel) and trainer._models["model"] is trainer.model.module


def test_simple_net(capsys):
    """A head only with a name and hidden layers, a classifier only for num_classes > 0; forward gives logits, (logits,
    feature) on request, and always the feature without a classifier. fdim is read-only.
    """
    assert trainer.SimpleNet is SimpleNet
    images = torch.rand(4, 3, 8, 8)
    cfg = tiny.make_cfg()
    net = SimpleNet(cfg, cfg.MODEL, 3)
    assert net.head is None and isinstance(net.classifier, torch.nn.Linear)
    assert (net.fdim, tuple(net(images).shape)) == (12, (4, 3))
    logits, feature = net(images, return_feature=True)
    assert (tuple(logits.shape), tuple(feature.shape)) == ((4, 3), (4, 12))
    with pytest.raises(AttributeError):
        net.fdim = 5
    bare = SimpleNet(cfg, cfg.MODEL, 0)
    assert bare.classifier is None
    assert [tuple(bare(images, return_feature=flag).shape) for flag in (False, True)] == [(4, 12), (4, 12)]
    half = tiny.make_cfg("MODEL.HEAD.NAME", "mlp")
    assert SimpleNet(half, half.MODEL, 3).head is None
    full = tiny.make_cfg("MODEL.HEAD.NAME", "mlp", "MODEL.HEAD.HIDDEN_LAYERS", (7,))
    capsys.readouterr()
    headed = SimpleNet(full, full.MODEL, 3)
    assert "Head: mlp" in capsys.readouterr().out.splitlines()
    assert (headed.fdim, tuple(headed(images, True)[1].shape)) == (7, (4, 7))


def test_keyword_arguments_of_simple_net():
    """Further keyword arguments go to both builders, beside what the config says."""
    given = {}

    class Part(Backbone):
        def __init__(self):
            super().__init__()
            self._out_features = 5

        def forward(self, x):
            return torch.ones(len(x), 5)

    def conformance_part(**kwargs):
        given["backbone"] = kwargs
        return Part()

    def conformance_head(**kwargs):
        given["head"] = kwargs
        return Part()

    BACKBONE_REGISTRY.register(conformance_part, force=True)
    HEAD_REGISTRY.register(conformance_head, force=True)
    cfg = tiny.make_cfg("MODEL.BACKBONE.NAME", "conformance_part", "MODEL.HEAD.NAME", "conformance_head",
                        "MODEL.HEAD.HIDDEN_LAYERS", (5,), "MODEL.BACKBONE.PRETRAINED", False)  # fmt: skip
    SimpleNet(cfg, cfg.MODEL, 2, own=3)
    assert given["backbone"] == {"pretrained": False, "own": 3}
    head = {"in_features": 5, "activation": "relu", "bn": True, "dropout": 0.0, "own": 3}
    assert {k: v for k, v in given["head"].items() if k != "hidden_layers"} == head


def test_init_weights(capsys, tmp_path):
    """The weights of INIT_WEIGHTS are loaded by partial match after construction."""
    path = str(tmp_path / "w.pth")
    torch.save({"classifier.bias": torch.tensor([5.0, 6.0, 7.0])}, path)
    capsys.readouterr()
    trainer = tiny.build("MODEL.INIT_WEIGHTS", path)
    text = capsys.readouterr()
    assert trainer.model.classifier.bias.tolist() == [5.0, 6.0, 7.0]
    assert f"Successfully loaded pretrained weights from {path}" in text.out.splitlines()


def test_names_in_the_trainer_module():
    """Names that clients import from dassl.engine.trainer are the same as elsewhere."""
    for name in ("TrainerBase", "SimpleTrainer", "TrainerX", "TrainerXU"):
        assert getattr(trainer, name) is getattr(engine, name), name
    assert trainer.DataManager is data.DataManager and trainer.build_evaluator is evaluation.build_evaluator
    assert trainer.build_optimizer is optim.build_optimizer and trainer.build_lr_scheduler is optim.build_lr_scheduler
    assert trainer.build_head is modeling.build_head and trainer.build_backbone is modeling.build_backbone
    assert trainer.tqdm is tqdm.tqdm and trainer.OrderedDict is collections.OrderedDict
    assert trainer.torch is torch and trainer.nn is torch.nn and trainer.np is numpy
    assert trainer.osp is os.path and trainer.time is time and trainer.datetime is datetime


def test_submodules():
    """build holds the registry; da, dg and ssl hold the bundled trainers."""
    assert dassl.engine.build.TRAINER_REGISTRY is dassl.engine.TRAINER_REGISTRY
    for package, name in (("da", "DANN"), ("dg", "DomainMix"), ("ssl", "FixMatch")):
        assert dassl.engine.TRAINER_REGISTRY.get(name).__module__.startswith(f"dassl.engine.{package}")
