"""A custom test, which calls the evaluator and writes its curves itself."""

import torch
from dassl.engine import TRAINER_REGISTRY, TrainerX
from dassl.optim import build_lr_scheduler, build_optimizer
from torch import nn
from torch.nn import functional as F
from tqdm import tqdm


class Network(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.classifier = nn.Linear(3, num_classes)

    def forward(self, image):
        return self.classifier(image.mean(dim=(2, 3)))


@TRAINER_REGISTRY.register()
class StyleOwnTest(TrainerX):
    def build_model(self):
        self.model = Network(self.num_classes).to(self.device)
        self.optim = build_optimizer(self.model, self.cfg.OPTIM)
        self.sched = build_lr_scheduler(self.optim, self.cfg.OPTIM)
        self.register_model("VLPromptLearner", self.model, self.optim, self.sched)

    def forward_backward(self, batch):
        image, label, _ = self.parse_batch_train(batch)
        loss = F.cross_entropy(self.model(image), label)
        self.model_backward_and_update(loss)
        if (self.batch_idx + 1) == self.num_batches:
            self.update_lr()
        return {"loss": loss.item()}

    @torch.no_grad()
    def test(self, split=None):
        self.set_model_mode("eval")
        self.evaluator.reset()
        if split is None:
            split = self.cfg.TEST.SPLIT
        if split == "val" and self.val_loader is not None:
            data_loader = self.val_loader
        else:
            split = "test"
            data_loader = self.test_loader
        print(f"Evaluate on the *{split}* set")
        for batch in tqdm(data_loader):
            image, label = self.parse_batch_test(batch)
            self.evaluator.process(self.model_inference(image).softmax(dim=-1), label)
        results = self.evaluator.evaluate()
        for k, v in results.items():
            self.write_scalar(f"{split}/{k}", v, self.epoch)
        return list(results.values())[0]
