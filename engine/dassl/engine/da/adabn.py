import torch
from torch.nn.modules.batchnorm import _BatchNorm

from dassl.utils import ConfigError

from ..build import TRAINER_REGISTRY
from ..loops import TrainerXU
from ..parts.checks import require_source_weights


@TRAINER_REGISTRY.register()
class AdaBN(TrainerXU):
    """The statistics of batch normalization are computed again on the target; no weight changes.

    "Revisiting Batch Normalization For Practical Domain Adaptation", ICLR workshop 2017, algorithm 1:

        y = gamma (x - mean_target) / std_target + beta

    The statistics are averages over all batches of the target so far. One pass is enough: OPTIM.MAX_EPOCH 1 with
    TRAIN.COUNT_ITER train_u. Learned: nothing. The weights are those of MODEL.INIT_WEIGHTS.
    """

    def check_cfg(self, cfg):
        require_source_weights(self, cfg)

    def build_model(self):
        super().build_model()
        self.batch_norms = [layer for layer in self._models["model"].modules() if isinstance(layer, _BatchNorm)]
        if not self.batch_norms:
            raise ConfigError(
                f"AdaBN needs batch normalization, but the backbone '{self.cfg.MODEL.BACKBONE.NAME}' has none. "
                "Choose another MODEL.BACKBONE.NAME, for example resnet18."
            )

    def before_train(self):
        for layer in self.batch_norms:
            layer.reset_running_stats()
            layer.momentum = None  # the plain average of all batches, where a number forgets the first ones
        super().before_train()  # resumes

    def set_model_mode(self, mode="train", names=None):
        # Only batch normalisation trains: dropout would disturb the statistics.
        super().set_model_mode("eval" if mode == "train" else mode, names)
        for layer in self.batch_norms:
            layer.train(mode == "train")

    @torch.no_grad()
    def forward_backward(self, batch_x, batch_u):
        _, _, image_u = self.parse_batch_train(batch_x, batch_u)
        self.model(image_u)
