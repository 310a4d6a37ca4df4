"""The trainer steps its scheduler itself instead of calling update_lr."""

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


@TRAINER_REGISTRY.register()
class StyleOwnSchedule(TrainerX):
    def build_model(self):
        self.model = Network(self.num_classes).to(self.device)
        self.optim = build_optimizer(self.model, self.cfg.OPTIM)
        self.sched = build_lr_scheduler(self.optim, self.cfg.OPTIM)
        self.register_model("prompt_learner", self.model, self.optim, self.sched)

    def forward_backward(self, batch):
        image, label, _ = self.parse_batch_train(batch)
        loss = F.cross_entropy(self.model(image), label)
        self.model_backward_and_update(loss)
        if (self.batch_idx + 1) == self.num_batches:
            self.sched.step()
        return {"loss": loss.item()}
