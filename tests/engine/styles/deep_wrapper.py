"""Custom loaders from DatasetWrapper and build_transform, imported from where they are defined."""

import torch
from dassl.data import DataManager
from dassl.data.data_manager import DatasetWrapper
from dassl.data.transforms.transforms import build_transform
from dassl.engine import TRAINER_REGISTRY, TrainerX
from dassl.optim import build_lr_scheduler, build_optimizer
from torch import nn
from torch.nn import functional as F


class Network(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.classifier = nn.Linear(3, num_classes)

    def forward(self, image):
        return self.classifier(image.mean(dim=(2, 3)))


class CountingWrapper(DatasetWrapper):
    reads = 0

    def __getitem__(self, idx):
        self.reads += 1
        return super().__getitem__(idx)


@TRAINER_REGISTRY.register()
class StyleDeepWrapper(TrainerX):
    def build_data_loader(self):
        dm = DataManager(self.cfg, dataset_wrapper=CountingWrapper)
        self.train_loader_x = dm.train_loader_x
        self.train_loader_u = dm.train_loader_u
        self.val_loader = dm.val_loader
        self.test_loader = torch.utils.data.DataLoader(
            DatasetWrapper(
                self.cfg, dm.dataset.test, transform=build_transform(self.cfg, is_train=False), is_train=False
            ),
            batch_size=self.cfg.DATALOADER.TEST.BATCH_SIZE,
            num_workers=self.cfg.DATALOADER.NUM_WORKERS,
            shuffle=False,
            drop_last=False,
            pin_memory=(torch.cuda.is_available() and self.cfg.USE_CUDA),
        )
        self.num_classes = dm.num_classes
        self.num_source_domains = dm.num_source_domains
        self.lab2cname = dm.lab2cname
        self.dm = dm

    def build_model(self):
        self.model = Network(self.num_classes)
        self.model.to(self.device)
        self.optim = build_optimizer(self.model, self.cfg.OPTIM)
        self.sched = build_lr_scheduler(self.optim, self.cfg.OPTIM)
        self.register_model("model", self.model, self.optim, self.sched)

    def forward_backward(self, batch):
        image, label, _ = self.parse_batch_train(batch)
        loss = F.cross_entropy(self.model(image), label)
        self.model_backward_and_update(loss)
        if (self.batch_idx + 1) == self.num_batches:
            self.update_lr()
            print(f"{self.train_loader_x.dataset.reads} images were read")
        return {"loss": loss.item()}
