"""A custom loop over the batches of an epoch, with the engine's meters and a print that flushes."""

import datetime
import time

from dassl.engine import TRAINER_REGISTRY
from dassl.engine.trainer import AverageMeter, MetricMeter, TrainerX
from dassl.optim import build_lr_scheduler, build_optimizer
from torch import nn
from torch.nn import functional as F


class Network(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.classifier = nn.Linear(3, num_classes)

    def forward(self, image):
        return self.classifier(image.mean(dim=(2, 3)))


@TRAINER_REGISTRY.register()
class StyleOwnLoop(TrainerX):
    def build_model(self):
        self.model = Network(self.dm.num_classes).to(self.device)
        self.optim = build_optimizer(self.model, self.cfg.OPTIM)
        self.sched = build_lr_scheduler(self.optim, self.cfg.OPTIM)
        self.register_model("PromptLearner", self.model, self.optim, self.sched)

    def run_epoch(self):
        self.set_model_mode("train")
        losses = MetricMeter()
        batch_time = AverageMeter()
        data_time = AverageMeter()
        self.num_batches = len(self.train_loader_x)

        end = time.time()
        for self.batch_idx, batch in enumerate(self.train_loader_x):  # noqa: B020
            data_time.update(time.time() - end)
            losses.update(self.forward_backward(batch))
            batch_time.update(time.time() - end)

            if (self.batch_idx + 1) % self.cfg.TRAIN.PRINT_FREQ == 0:
                left = self.num_batches - self.batch_idx - 1 + (self.max_epoch - self.epoch - 1) * self.num_batches
                eta = datetime.timedelta(seconds=int(batch_time.avg * left))
                info = [
                    f"epoch [{self.epoch + 1}/{self.max_epoch}]",
                    f"batch [{self.batch_idx + 1}/{self.num_batches}]",
                ]
                info += [f"{losses}", f"lr {self.get_current_lr():.4e}", f"eta {eta}"]
                print(" ".join(info), flush=True)

            n_iter = self.epoch * self.num_batches + self.batch_idx
            for name, meter in losses.meters.items():
                self.write_scalar("train/" + name, meter.avg, n_iter)
            self.write_scalar("train/lr", self.get_current_lr(), n_iter)
            end = time.time()

    def forward_backward(self, batch):
        image, label, _ = self.parse_batch_train(batch)
        loss = F.cross_entropy(self.model(image), label)
        self.model_backward_and_update(loss)
        if (self.batch_idx + 1) == self.num_batches:
            self.update_lr()
        return {"loss": loss.item()}
