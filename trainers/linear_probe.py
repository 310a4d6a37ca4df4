"""Linear probe: a logistic regression on CLIP's image features, the baseline that uses no text."""

import functools
import math
import warnings
from collections.abc import Callable

import numpy as np
import torch
from dassl.engine import TRAINER_REGISTRY
from torch import Tensor, nn
from torch.utils.data import DataLoader

from clip_prompts.clip import CLIPTrainer
from clip_prompts.clip.class_head import ClassHead
from clip_prompts.common.errors import UserError

GRID = (1e6, 1e4, 1e2, 1.0, 1e-2, 1e-4, 1e-6)
ROUNDS = 8


@TRAINER_REGISTRY.register()
class LinearProbe(CLIPTrainer):
    """Logistic regression on the image features of a few shots, the baseline in the CoOp paper.

    "Learning Transferable Visual Models From Natural Language Supervision", ICML 2021, section 3.2, and "Learning to
    Prompt for Vision-Language Models", IJCV 2022, section 4.1:

        p(y=i|x) = softmax_i(W f(x) + b)     f(x) is not normalized; every image is used once, with test transforms

    Learned: W (C, D) and b (C,), by scikit-learn's L-BFGS with an L2 penalty of strength 1/C, which is searched on the
    validation images (``search``). One epoch is the whole search. The settings of OPTIM have no effect, and the seed
    only selects the shots. A class that was not learned has no row in W, so there is no base-to-new transfer.
    """

    CONFIG = {"PREC": "fp16"}
    READS_NAMES = False
    NEEDS_VAL = True  # ImageFolder takes validation images out of train for trainers that say so

    def check_cfg(self, cfg):
        if cfg.DATASET.SUBSAMPLE_CLASSES == "new":
            raise UserError(
                "LinearProbe knows only the classes of its training images: DATASET.SUBSAMPLE_CLASSES new has none "
                "of them. Set it to all or base"
            )

    def build_model(self):
        self.load_clip(self.settings.PREC)
        self.model = LinearHead(self.image_encoder.output_dim, self.dm.dataset.classnames).to(self.device)
        print(f"Learned: {sum(p.numel() for p in self.model.parameters()):,} parameters; CLIP is frozen")
        self.register_model("linear_probe", self.model)
        self.max_epoch = 1

    def run_epoch(self):
        if self.val_loader is None:
            raise UserError(
                f"LinearProbe chooses C on validation images, but {self.cfg.DATASET.NAME} has none. Add some"
            )
        if self.num_classes < 2:
            raise UserError(f"LinearProbe needs two classes, but {self.cfg.DATASET.NAME} has {self.num_classes} here")
        data = self.dm.dataset
        if [item.impath for item in data.val] == [item.impath for item in data.test]:
            raise UserError(
                f"LinearProbe chooses C on validation images, but those of {self.cfg.DATASET.NAME} are its test "
                "images: C would be chosen on the test. Give the dataset validation images of its own"
            )
        train, val = self.features_of(data.train_x), self.features_of(data.val)
        c, accuracy, (weight, bias) = search(*train, *val)
        print(f"C = {c:.3g}: {accuracy:.2f}% of {len(val[1]):,} validation images")
        self.model.set(torch.from_numpy(weight), torch.from_numpy(bias))

    def features_of(self, items: list, watch: Callable = iter) -> tuple[np.ndarray, np.ndarray]:
        """Return features (N, D), float32, and labels (N,) of a list of Datum, with the test transform.

        Args:
            watch: wraps the loop over batches, such as a progress bar.
        """
        seen, cfg = self.test_loader.dataset, self.cfg.DATALOADER
        images = type(seen)(self.cfg, items, transform=seen.transform, is_train=False)
        loader = DataLoader(images, cfg.TEST.BATCH_SIZE, num_workers=cfg.NUM_WORKERS)
        features, labels = self.features.of(loader, watch)
        return features.numpy(), labels.numpy()

    def classifier(self):
        raise UserError("its rows classify features that are not normalized, and have a bias")

    def model_inference(self, image):
        features = image if image.dim() == 2 else self.features.encode(image)
        return self.model(features.float())


class LinearHead(ClassHead):
    """A linear layer W x + b for named classes. W and b are zero until ``set``."""

    def reset_parameters(self) -> None:
        nn.init.zeros_(self.weight)
        nn.init.zeros_(self.bias)

    @torch.no_grad()
    def set(self, weight: Tensor, bias: Tensor) -> None:
        """Set W (C, D) and b (C,)."""
        self.weight.copy_(weight)
        self.bias.copy_(bias)


def search(
    x: np.ndarray, y: np.ndarray, x_val: np.ndarray, y_val: np.ndarray
) -> tuple[float, float, tuple[np.ndarray, np.ndarray]]:
    """Find C: the best of ``GRID`` on the validation images, then ``ROUNDS`` bisections of log C around it.

    Each round fits both ends of the interval, which starts as [C/10, 10 C]. The better end stays (the lower one if
    they are equal), and the other end moves to the middle.

    Args:
        x, x_val: features (N, D). y, y_val: labels (N,); y has every class from 0 on.

    Returns:
        C, validation accuracy in percent, and (W (C, D), b (C,)), of the better end in the last round.
    """

    @functools.cache
    def at(exponent: float) -> tuple[float, tuple]:
        weight, bias = fit(x, y, 10.0**exponent)
        return 100.0 * float(np.mean((x_val @ weight.T + bias).argmax(axis=1) == y_val)), (weight, bias)

    peak = max((math.log10(c) for c in GRID), key=lambda exponent: at(exponent)[0])  # the first of equals
    low, high = peak - 1, peak + 1
    for _ in range(ROUNDS):
        best = high if at(low)[0] < at(high)[0] else low
        middle = (low + high) / 2
        low, high = (middle, high) if best == high else (low, middle)
    return 10.0**best, *at(best)


def fit(x: np.ndarray, y: np.ndarray, c: float) -> tuple[np.ndarray, np.ndarray]:
    """Fit a logistic regression to features (N, D) and labels (N,) with inverse penalty ``c``: W (C, D) and b (C,)."""
    from sklearn.exceptions import ConvergenceWarning  # heavy, and no other method needs it
    from sklearn.linear_model import LogisticRegression

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # 1,000 iterations are the published search
        model = LogisticRegression(solver="lbfgs", C=c, max_iter=1000).fit(x, y)
    weight, bias = model.coef_, model.intercept_
    if len(weight) == 1:  # of two classes scikit-learn keeps the second, against a score of 0
        weight, bias = np.concatenate([0 * weight, weight]), np.concatenate([0 * bias, bias])
    return weight.astype(np.float32), bias.astype(np.float32)
