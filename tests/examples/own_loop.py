"""NearestMean: the class whose mean feature is nearest. It trains by a loop of its own, on features."""

import torch
from dassl.engine import TRAINER_REGISTRY
from torch import nn
from torch.utils.data import DataLoader

from clip_prompts.clip import CLIPTrainer, unit
from clip_prompts.common.errors import UserError


class ClassMeans(nn.Module):
    """Learned: ``means`` (C, D), unit vectors."""

    def __init__(self, classes, width):
        super().__init__()
        self.means = nn.Parameter(torch.zeros(classes, width))

    def forward(self, features):
        """Features (B, D) to scores (B, C)."""
        return unit(features) @ self.means.t()


@TRAINER_REGISTRY.register()
class NearestMean(CLIPTrainer):
    """After "Prototypical Networks for Few-shot Learning", NIPS 2017, section 2.2, on CLIP's image features."""

    CONFIG = {"PREC": "fp32"}
    READS_NAMES = False  # no text: two classes may have the same name

    def check_cfg(self, cfg):
        if cfg.DATASET.SUBSAMPLE_CLASSES == "new":
            raise UserError("NearestMean knows only the classes that it has seen. Set DATASET.SUBSAMPLE_CLASSES base")

    def build_model(self):
        self.load_clip(self.settings.PREC)
        self.model = ClassMeans(self.num_classes, self.image_encoder.output_dim).to(self.device)
        self.register_model("class_means", self.model)  # saved, loaded and resumed under this name
        self.max_epoch = 1

    @torch.no_grad()
    def run_epoch(self):
        test, items = self.test_loader, self.dm.dataset.train_x
        images = type(test.dataset)(self.cfg, items, transform=test.dataset.transform, is_train=False)
        x, label = self.features.of(DataLoader(images, test.batch_size))  # (N, D), from the cache if they are there
        sums = torch.zeros(self.model.means.shape).index_add(0, label, unit(x))
        self.model.means.copy_(unit(sums))

    def model_inference(self, image):
        return self.model(image if image.dim() == 2 else self.features.encode(image))
