"""The whole model is registered, frozen encoder included, so mode and checkpoints cover all of it."""

from dassl.engine import TRAINER_REGISTRY, TrainerX
from dassl.optim import build_lr_scheduler, build_optimizer
from torch import nn
from torch.nn import functional as F


class Network(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.image_encoder = nn.Linear(3, 4)
        self.prompt_learner = nn.Linear(4, num_classes)
        for name, param in self.named_parameters():
            if "prompt_learner" not in name:
                param.requires_grad_(False)

    def forward(self, image, label=None):
        logits = self.prompt_learner(self.image_encoder(image.mean(dim=(2, 3))))
        if self.prompt_learner.training and label is not None:
            return F.cross_entropy(logits, label)
        return logits


@TRAINER_REGISTRY.register()
class StyleWholeModel(TrainerX):
    def build_model(self):
        self.model = Network(self.num_classes)
        enabled = {name for name, param in self.model.named_parameters() if param.requires_grad}
        print(f"Parameters to be updated: {sorted(enabled)}")
        self.model.to(self.device)
        self.optim = build_optimizer(self.model, self.cfg.OPTIM)
        self.sched = build_lr_scheduler(self.optim, self.cfg.OPTIM)
        self.register_model("VLPromptLearner", self.model, self.optim, self.sched)

    def forward_backward(self, batch):
        image, label = self.parse_batch_train(batch)
        loss = self.model(image, label)
        self.optim.zero_grad()
        loss.backward()
        self.optim.step()
        if (self.batch_idx + 1) == self.num_batches:
            self.update_lr()
        return {"loss": loss.item()}

    def parse_batch_train(self, batch):
        input, label = batch["img"], batch["label"]
        return input.to(self.device), label.to(self.device)
