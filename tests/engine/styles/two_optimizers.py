"""Two registered models, each with an optimiser of its own, stepped by name."""

from dassl.engine import TRAINER_REGISTRY, TrainerX
from dassl.optim import build_lr_scheduler, build_optimizer
from dassl.utils import count_num_param
from torch import nn
from torch.nn import functional as F


class Network(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.feature = nn.Linear(3, 4)
        self.classifier = nn.Linear(4, num_classes)

    def forward(self, image):
        return self.classifier(self.feature(image.mean(dim=(2, 3))))


@TRAINER_REGISTRY.register()
class StyleTwoOptimizers(TrainerX):
    def build_model(self):
        cfg = self.cfg
        network = Network(self.num_classes).to(self.device)
        self.F, self.C = network.feature, network.classifier
        print(f"# params: {count_num_param(self.F):,}")
        self.optim_F = build_optimizer(self.F, cfg.OPTIM)
        self.sched_F = build_lr_scheduler(self.optim_F, cfg.OPTIM)
        self.register_model("F", self.F, self.optim_F, self.sched_F)
        self.optim_C = build_optimizer(self.C, cfg.OPTIM)
        self.sched_C = build_lr_scheduler(self.optim_C, cfg.OPTIM)
        self.register_model("C", self.C, self.optim_C, self.sched_C)

    def forward_backward(self, batch):
        image, label, _ = self.parse_batch_train(batch)
        loss = F.cross_entropy(self.model_inference(image), label)
        self.model_zero_grad(["F", "C"])
        self.model_backward(loss)
        self.model_update("F")
        self.model_update("C")
        if (self.batch_idx + 1) == self.num_batches:
            self.update_lr()
        return {"loss": loss.item()}

    def model_inference(self, input):
        return self.C(self.F(input.mean(dim=(2, 3))))
