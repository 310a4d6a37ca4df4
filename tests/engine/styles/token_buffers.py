"""Only the prompt learner is registered; loading skips the buffers that depend on the classes."""

import os.path as osp

import torch
from dassl.engine import TRAINER_REGISTRY, TrainerX
from dassl.metrics import compute_accuracy
from dassl.optim import build_lr_scheduler, build_optimizer
from dassl.utils import load_checkpoint, load_pretrained_weights
from torch import nn
from torch.nn import functional as F


class PromptLearner(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.ctx = nn.Parameter(torch.empty(num_classes, 2).normal_(std=0.02))
        self.register_buffer("token_prefix", torch.ones(num_classes, 1))
        self.register_buffer("token_suffix", torch.eye(num_classes, 4))

    def forward(self):
        return torch.cat([self.token_prefix, self.ctx, self.token_suffix], dim=1)


class Network(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.image_encoder = nn.Linear(3, 7)
        self.prompt_learner = PromptLearner(num_classes)
        self.image_encoder.requires_grad_(False)

    def forward(self, image):
        return self.image_encoder(image.mean(dim=(2, 3))) @ self.prompt_learner().t()


@TRAINER_REGISTRY.register()
class StyleTokenBuffers(TrainerX):
    def build_model(self):
        cfg = self.cfg
        self.model = Network(len(self.dm.dataset.classnames))
        if cfg.MODEL.INIT_WEIGHTS:
            load_pretrained_weights(self.model.prompt_learner, cfg.MODEL.INIT_WEIGHTS)
        self.model.to(self.device)
        self.optim = build_optimizer(self.model.prompt_learner, cfg.OPTIM)
        self.sched = build_lr_scheduler(self.optim, cfg.OPTIM)
        self.register_model("prompt_learner", self.model.prompt_learner, self.optim, self.sched)

    def forward_backward(self, batch):
        image, label, _ = self.parse_batch_train(batch)
        output = self.model(image)
        loss = F.cross_entropy(output, label)
        self.model_backward_and_update(loss)
        if (self.batch_idx + 1) == self.num_batches:
            self.update_lr()
        return {"loss": loss.item(), "acc": compute_accuracy(output, label)[0].item()}

    def load_model(self, directory, epoch=None):
        if not directory:
            print("Note that load_model() is skipped as no pretrained model is given")
            return
        model_file = "model-best.pth.tar" if epoch is None else f"model.pth.tar-{epoch}"
        for name in self.get_model_names():
            model_path = osp.join(directory, name, model_file)
            if not osp.exists(model_path):
                raise FileNotFoundError(f'Model not found at "{model_path}"')
            checkpoint = load_checkpoint(model_path)
            state_dict = checkpoint["state_dict"]
            for buffer in ("token_prefix", "token_suffix"):
                if buffer in state_dict:
                    del state_dict[buffer]
            print(f'Loading weights to {name} from "{model_path}" (epoch = {checkpoint["epoch"]})')
            self._models[name].load_state_dict(state_dict, strict=False)
