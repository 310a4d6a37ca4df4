"""The trainers that all methods stand on: CLIP built once, frozen, and only the prompts trained and saved."""

import os.path as osp

import torch
import torch.nn.functional as F
from clip.model import CLIP
from dassl.metrics import compute_accuracy
from dassl.optim import build_lr_scheduler, build_optimizer
from dassl.utils import load_checkpoint
from torch import Tensor, nn
from yacs.config import CfgNode

from clip_prompts.backbones.loading import backbone_file, backbone_sha256, check_backbone, load_clip
from clip_prompts.common.checkpoint_files import find_checkpoint
from clip_prompts.common.errors import UserError, unknown
from clip_prompts.encoders.image_encoder import ImageEncoder
from clip_prompts.encoders.memory import MemoryBudget
from clip_prompts.encoders.text_encoder import TextEncoder
from clip_prompts.features.lookahead import LookaheadLoader, images_at_once

from .checkpoints import learned_weights, load_initial
from .feature_trainer import FEATURES_CONFIG, FeatureTrainer
from .learners import check_class_names
from .model import PromptedCLIP
from .precision import Precision
from .step_times import TEXT, StepTimes
from .templates import check_template

# What all methods have in common (TRAINER.CLIP).
SHARED_CONFIG = {
    "MEMORY_GB": 0.0,  # for the activations of text encoding; 0 is no limit
    "COMPILE": "",  # a backend of torch.compile ("inductor") for both encoders; "": as they are
}
# What the weights of a backbone do not tell (MODEL.BACKBONE), in the order of ``load_clip``.
BACKBONE_CONFIG = {
    "HEADS": 0,  # attention heads of the image encoder; 0: CLIP's rule, width / 64
    "TEXT_HEADS": 0,  # of the text encoder
    "ACT": "",  # activation: "" or "quickgelu", CLIP's own, or "gelu"
}


class CLIPTrainer(FeatureTrainer):
    """A trainer with a frozen CLIP.

    ``CONFIG``: defaults of the trainer's own settings; they become the config node ``TRAINER.<NAME IN CAPITALS>``.
    ``MAX_VIEWS``: the most views of an image (``DATALOADER.K_TRANSFORMS``) that a step takes; None: any number.
    ``HAS_HEAD``: whether the model has the head of ``MODEL.HEAD``.
    ``READS_NAMES``: whether class names are made into text; then no two may have the same tokens.
    """

    CONFIG: dict = {}
    MAX_VIEWS: int | None = 1
    HAS_HEAD = False
    READS_NAMES = True

    @classmethod
    def extend_cfg(cls, cfg: CfgNode) -> None:
        """Add the trainer's own settings, with their defaults, to a config that is still open."""
        if "FEATURES" not in cfg:
            cfg.FEATURES = CfgNode(FEATURES_CONFIG)
        if "CLIP" not in cfg.TRAINER:
            cfg.TRAINER.CLIP = CfgNode(SHARED_CONFIG)
        for key, default in BACKBONE_CONFIG.items():
            if key not in cfg.MODEL.BACKBONE:
                cfg.MODEL.BACKBONE[key] = default
        if cls.CONFIG:
            cfg.TRAINER[cls.__name__.upper()] = CfgNode(cls.CONFIG)

    @property
    def settings(self) -> CfgNode:
        """The trainer's own settings (``cfg.TRAINER.<NAME>``)."""
        return self.cfg.TRAINER[type(self).__name__.upper()]

    def build_data_loader(self) -> None:
        """Dassl's, the check of class names, and the prompt of ``DATASET.TEMPLATE``. Raises UserError.

        Settings whose values only this class knows are checked first, before data are read.
        """
        check_backbone(self.cfg.MODEL.BACKBONE.NAME)
        weights = self.cfg.MODEL.INIT_WEIGHTS
        if weights and not osp.isfile(weights):
            raise UserError(f"No file '{weights}' (MODEL.INIT_WEIGHTS). Give a checkpoint, or an empty text")
        self._check_compiler()
        template = self.cfg.DATASET.get("TEMPLATE", "")  # a config made for upstream has no such key
        if template:
            check_template(template)
        super().build_data_loader()
        dataset = self.dm.dataset
        if self.READS_NAMES:
            check_class_names(dataset.classnames, getattr(dataset, "unique_names", True))
        if template:
            self.dm.dataset.template = template

    def _check_compiler(self) -> None:
        if backend := self.cfg.TRAINER.get("CLIP", SHARED_CONFIG)["COMPILE"]:
            known = torch.compiler.list_backends(exclude_tags=())
            if backend not in known:
                raise unknown("backend of torch.compile (TRAINER.CLIP.COMPILE)", backend, known)

    def load_clip(self, precision: str) -> tuple[CLIP, TextEncoder]:
        """Build the frozen backbone in a precision.

        Also sets ``self.precision``, ``self.backbone_sha256`` and ``self.backbone_path``.

        Raises:
            UserError: unknown backbone or precision, or an INPUT.SIZE that the backbone does not take.
        """
        name = self.cfg.MODEL.BACKBONE.NAME
        print(f"Loading CLIP (backbone: {name})")
        own = self.cfg.MODEL.BACKBONE  # a config made for upstream lacks these keys
        structure = [own.get(key, default) for key, default in BACKBONE_CONFIG.items()]
        clip_model = load_clip(name, *structure)
        if structure != list(BACKBONE_CONFIG.values()):
            self.backbone_reading = f" read with {structure}"
        self.backbone_sha256, self.backbone_path = backbone_sha256(name), str(backbone_file(name))
        size, needed = tuple(self.cfg.INPUT.SIZE), clip_model.visual.input_resolution
        if size != (needed, needed):
            raise UserError(
                f"INPUT.SIZE {size} does not fit the backbone '{name}', which takes {needed} x {needed} pixels: "
                f'set INPUT.SIZE "({needed}, {needed})"'
            )
        self.precision = Precision(precision, self.device)
        clip_model = self.precision.convert(clip_model)
        self.image_encoder = ImageEncoder(clip_model.visual)
        shared = self.cfg.TRAINER.get("CLIP", SHARED_CONFIG)  # a config made for upstream has no such node
        self.memory = MemoryBudget(shared["MEMORY_GB"])
        text_encoder = TextEncoder(clip_model, self.memory)
        if backend := shared["COMPILE"]:
            self.image_encoder.compile(backend=backend)
            text_encoder.compile_encoding(backend)
        return clip_model, text_encoder

    def parse_batch_train(self, batch: dict) -> tuple[Tensor, Tensor]:
        """A loader's batch to images (B, 3, H, W) and labels (B,) on the device. Raises UserError for several views."""
        if isinstance(views := batch["img"], list):
            raise UserError(
                f"{type(self).__name__} takes one view of an image, but DATALOADER.K_TRANSFORMS is {len(views)}. "
                "Set it to 1"
            )
        return batch["img"].to(self.device), batch["label"].to(self.device)

    def model_inference(self, image: Tensor) -> Tensor:
        with self.precision.autocast():
            return self.memory.retry(lambda: self.model(image))

    def load_model(self, directory: str, epoch: int | None = None) -> None:
        """Load what a run learned, ours or upstream's.

        Args:
            directory: the output folder of the run that learned it.
            epoch: the epoch to load; by default the best on the validation set, or else the newest.

        Raises:
            UserError: no such checkpoint (lists those there are), or one that does not fit this run.
        """
        if not directory:
            print("Note that load_model() is skipped as no folder is given (--model-dir)")
            return
        for name in self.get_model_names():
            path = find_checkpoint(directory, name, epoch)
            checkpoint, model = load_checkpoint(path), self._models[name]
            try:
                model.load_state_dict(learned_weights(checkpoint, model))
                stored = checkpoint.get("epoch", "not stored") if isinstance(checkpoint, dict) else "not stored"
                print(f'Loading weights to {name} from "{path}" (epoch = {stored})')
            except UserError as error:
                raise UserError(f"Checkpoint '{path}' does not fit this run. {error}") from error
            except Exception as error:  # whatever a file may hold in the place of tensors by name
                reason = (str(error) or type(error).__name__).splitlines()[-1].strip()
                raise UserError(f"Checkpoint '{path}' does not fit this run: {reason}") from error


class PromptTrainer(CLIPTrainer):
    """Trains the prompt learner of a ``PromptedCLIP`` and nothing else.

    A method says what is learned (``build_prompt_learner``), and where it differs, how images and prompts meet
    (``MODEL``) and what is minimised (``loss``).
    """

    MODEL = PromptedCLIP
    WORDS_SET_LENGTH = False  # True: with CTX_INIT, N_CTX is the number of its tokens

    def build_prompt_learner(self, clip_model: CLIP, text_encoder: TextEncoder, classnames: list[str]) -> nn.Module:
        """The module whose parameters are learned and saved."""
        raise NotImplementedError

    def loss(self, image: Tensor, label: Tensor) -> tuple[Tensor, dict]:
        """Images (B, 3, H, W) and labels (B,) to the scalar loss and the numbers to log."""
        logits = self.model(image)
        loss = F.cross_entropy(logits, label)
        return loss, {"loss": loss.item(), "acc": compute_accuracy(logits, label)[0].item()}

    def build_model(self) -> None:
        cfg = self.cfg
        clip_model, text_encoder = self.load_clip(self.settings.PREC)
        learner = self.build_prompt_learner(clip_model, text_encoder, self.dm.dataset.classnames)
        self.model = self.MODEL(clip_model, text_encoder, learner, self.image_encoder)
        learned = sum(p.numel() for p in learner.parameters() if p.requires_grad)
        print(f"Learned: {learned:,} parameters; CLIP is frozen")
        if cfg.MODEL.INIT_WEIGHTS:
            load_initial(learner, load_checkpoint(cfg.MODEL.INIT_WEIGHTS), cfg.MODEL.INIT_WEIGHTS)
        self.model.to(self.device)
        self.step_times = StepTimes(self.device, self.image_encoder, text_encoder)
        self.optim = build_optimizer(learner, cfg.OPTIM)
        self.sched = build_lr_scheduler(self.optim, cfg.OPTIM)
        self.scaler = self.precision.scaler
        self.register_model("prompt_learner", learner, self.optim, self.sched)

    def forward_backward(self, batch: dict) -> dict:
        with self.step_times.step():
            numbers = self.memory.retry(lambda: self._train_on(*self.parse_batch_train(batch)))
        if self.batch_idx + 1 == self.num_batches:  # the schedule goes by epochs
            self.update_lr()
        return numbers

    def _train_on(self, image: Tensor, label: Tensor) -> dict:
        with self.precision.autocast():
            loss, numbers = self.loss(image, label)
        self.detect_anomaly(loss)
        with self.step_times.part(TEXT):  # the image encoder is frozen, so all that goes backward is text
            self.precision.backward_and_step(loss, self.optim)
        return numbers

    def before_train(self) -> None:
        super().before_train()
        batches = images_at_once(self.image_encoder, self.device) // self.cfg.DATALOADER.TRAIN_X.BATCH_SIZE
        if batches > 1 and self._needs_only_features() and not isinstance(self.train_loader_x, LookaheadLoader):
            self.train_loader_x = LookaheadLoader(self.train_loader_x, self._encode_ahead, batches)

    def _needs_only_features(self) -> bool:
        """Whether a step asks nothing of its images but their features under the frozen encoder, and draws nothing.

        So it is with the loss as it stands here. A method that overrides what sees images is given images.
        """
        stock = all(
            getattr(type(self), name) is getattr(PromptTrainer, name)
            for name in ("loss", "forward_backward", "parse_batch_train", "run_epoch")
        )
        one_view = self.cfg.DATALOADER.K_TRANSFORMS == 1 and not self._features("TRAIN_VIEWS")
        return stock and one_view and self._is_cacheable()

    def _encode_ahead(self, image: Tensor) -> Tensor:
        with self.step_times.ahead(len(image) / self.cfg.DATALOADER.TRAIN_X.BATCH_SIZE):
            return self.encode_images(image)

    def run_epoch(self) -> None:
        self.step_times.epoch_begins()
        super().run_epoch()

    def after_train(self) -> None:
        if line := self.step_times.line():
            print(line)
        super().after_train()

    def test(self, split: str | None = None) -> float:
        with getattr(self.model, "module", self.model).fixed_prompts():
            return super().test(split)
