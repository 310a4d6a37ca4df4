"""The names that clients import from ``dassl.engine.trainer``; the classes live in files beside it."""

import datetime
import os.path as osp
import time
from collections import OrderedDict

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from dassl.data import DataManager
from dassl.evaluation import build_evaluator
from dassl.modeling import build_backbone, build_head
from dassl.optim import build_lr_scheduler, build_optimizer
from dassl.utils import (
    AverageMeter,
    MetricMeter,
    count_num_param,
    load_checkpoint,
    load_pretrained_weights,
    mkdir_if_missing,
    resume_from_checkpoint,
    save_checkpoint,
    tolist_if_not,
)

from .base import TrainerBase
from .loops import TrainerX, TrainerXU
from .simple import SimpleTrainer
from .simple_net import SimpleNet

__all__ = [*(name for name in dir() if not name.startswith("_")), "SummaryWriter"]  # noqa: F822


def __getattr__(name):
    # TensorBoard takes long to import, and evaluation never needs it.
    if name == "SummaryWriter":
        from torch.utils.tensorboard import SummaryWriter

        return SummaryWriter
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
