"""Base class of all methods. CLIP is built once and frozen; only the learner is trained and saved."""

from collections.abc import Collection, Mapping
from contextlib import ExitStack
from typing import Any

import torch
from clip.model import CLIP
from dassl.engine import TrainerX
from dassl.optim import build_lr_scheduler, build_optimizer
from dassl.utils import load_checkpoint
from torch import Tensor
from yacs.config import CfgNode

from clip_prompts.backbones.loading import backbone_file, backbone_sha256, load_clip
from clip_prompts.common.checkpoint_files import find_checkpoint
from clip_prompts.common.errors import UserError
from clip_prompts.encoders.image_encoder import ImageEncoder
from clip_prompts.encoders.memory import MemoryBudget
from clip_prompts.encoders.text_encoder import TextEncoder
from clip_prompts.features.image_features import FEATURES_CONFIG, ImageFeatures
from clip_prompts.features.text_features import TextFeatures

from .checkpoints import load_initial, load_learned
from .config import BACKBONE_CONFIG, SHARED_CONFIG, add_config, check_settings, check_views, with_adam_eps
from .learners import Learner, check_gradients, settle_context
from .model import PromptedCLIP, Seen, check_finite, total
from .precision import Precision
from .teacher import Teacher
from .templates import template_of
from .tokens import check_class_names


class CLIPTrainer(TrainerX):
    """Trains a learner next to a frozen CLIP.

    A method overrides ``build_prompt_learner`` (what is learned) and ``loss_terms`` (what is minimized). A method with
    its own backward pass also overrides ``update``.

    ``load_clip`` sets ``clip_model``, ``image_encoder``, ``text_encoder``, ``teacher`` (the frozen CLIP), ``features``
    (image features of loaders), ``precision``, ``memory``, ``backbone_sha256`` and ``backbone_path``. ``build_model``
    sets ``model`` (PromptedCLIP) and ``learner``.

    Attributes:
        CONFIG: defaults of the method's own settings, the config node ``TRAINER.<NAME IN CAPITALS>``.
        MAX_VIEWS: largest number of views per image (``DATALOADER.K_TRANSFORMS``); None allows any number.
        HAS_HEAD: True if the model has the head of ``MODEL.HEAD``.
        READS_NAMES: True if class names become text. Then no two classes may have the same tokens.
        WORDS_SET_LENGTH: True if CTX_INIT sets N_CTX to its number of tokens.
        LOSS_IS_MEAN: True if a batch's loss is the mean over its images, so that prompts that depend on the image may
            be trained in parts (``PromptedCLIP.parts``). A subclass with its own loss or update must set it again.
        MODEL_NAME: registered name of the learner, and folder of its checkpoints.
    """

    CONFIG: dict = {}
    MAX_VIEWS: int | None = 1
    HAS_HEAD = False
    READS_NAMES = True
    WORDS_SET_LENGTH = False
    LOSS_IS_MEAN = False
    MODEL_NAME = "prompt_learner"

    learner = Learner()  # learns nothing and hands nothing over
    clip_model: CLIP | None = None
    train_loader_x: Any  # a loader of images, or of their features

    def __init_subclass__(cls, **kwargs) -> None:
        super().__init_subclass__(**kwargs)
        if "loss" in vars(cls):  # of version 0.1; ignored silently, it would cost somebody a table
            raise TypeError(f"{cls.__name__}.loss(image, label) is never called: write loss_terms(seen, label) instead")
        if {"loss_terms", "update"} & vars(cls).keys():
            cls.LOSS_IS_MEAN = vars(cls).get("LOSS_IS_MEAN", False)

    # A method's part

    def build_prompt_learner(self, clip_model: CLIP, text_encoder: TextEncoder, classnames: list[str]) -> Learner:
        """Return the module whose parameters are learned and saved."""
        raise NotImplementedError

    def loss_terms(self, seen: Seen, label: Tensor) -> dict[str, Tensor]:
        """Return the terms of the loss, scalars, by name. Their sum is minimized, and each is logged.

        Args:
            seen: logits and features of the batch.
            label: (B,).
        """
        raise NotImplementedError

    def update(self, terms: dict[str, Tensor]) -> None:
        """Take one optimizer step on the loss terms of a batch."""
        self.precision.backward_and_step(total(terms), self.optim)

    def summary(self, terms: dict[str, float]) -> dict[str, float]:
        """Return what is printed and logged: the sum of the loss terms, and each term if there are several."""
        return {"loss": sum(terms.values()), **(terms if len(terms) > 1 else {})}

    def parameter_groups(self) -> list[dict] | None:
        """Return groups of learned parameters with their own optimizer settings; None if OPTIM holds for all."""
        return None

    # Settings

    @classmethod
    def extend_cfg(cls, cfg: CfgNode) -> None:
        """Add the method's own settings, with their defaults, to a config that is not frozen yet."""
        add_config(cfg, cls.__name__.upper(), cls.CONFIG)

    @classmethod
    def settle_settings(cls, settings: CfgNode, node: str, given: Collection[str]) -> None:
        """Set the settings that follow from others, before the config is frozen. See ``settle_context``."""
        if cls.WORDS_SET_LENGTH:
            settle_context(settings, node, given)

    @property
    def settings(self) -> CfgNode:
        """The method's own settings (``cfg.TRAINER.<NAME>``)."""
        return self.cfg.TRAINER[type(self).__name__.upper()]

    def template(self, of_method: Mapping[str, str] | None = None) -> str:
        """Return the hand-crafted prompt: from DATASET.TEMPLATE, else from ``of_method``, else from the dataset.

        Args:
            of_method: the method's own prompts, by the class name of the dataset.
        """
        own = None if self.cfg.DATASET.get("TEMPLATE", "") else (of_method or {}).get(self.cfg.DATASET.NAME)
        return own or template_of(self.dm.dataset)

    # Building

    def build_data_loader(self) -> None:
        """Build Dassl's loaders, check settings and class names, and apply ``DATASET.TEMPLATE``. Raises UserError."""
        check_settings(self.cfg)
        super().build_data_loader()
        dataset = self.dm.dataset
        if self.READS_NAMES:
            check_class_names(dataset.classnames, getattr(dataset, "unique_names", True))
        if template := self.cfg.DATASET.get("TEMPLATE", ""):  # a config made for upstream has no such key
            dataset.template = template

    def load_clip(self, precision: str) -> tuple[CLIP, TextEncoder]:
        """Build the frozen backbone in a precision, and set its attributes (see the class).

        Raises:
            UserError: unknown backbone or precision, or an INPUT.SIZE that does not fit the backbone.
        """
        cfg, name = self.cfg, self.cfg.MODEL.BACKBONE.NAME
        structure = [cfg.MODEL.BACKBONE.get(key, default) for key, default in BACKBONE_CONFIG.items()]
        self.precision = Precision(precision, self.device)
        clip_model = self.read_clip(name, *structure)
        size, needed = tuple(cfg.INPUT.SIZE), clip_model.visual.input_resolution
        if size != (needed, needed):
            raise UserError(
                f"INPUT.SIZE {size} does not fit the backbone '{name}': set INPUT.SIZE \"({needed}, {needed})\""
            )
        clip_model = self.precision.convert(clip_model).to(self.device)  # a teacher computes before training begins
        self.clip_model = clip_model
        shared, features = self._shared, cfg.get("FEATURES", FEATURES_CONFIG)
        self.memory = MemoryBudget(shared["MEMORY_GB"])
        self.image_encoder, self.text_encoder = ImageEncoder(clip_model.visual), TextEncoder(clip_model, self.memory)
        if backend := shared["COMPILE"]:
            self.image_encoder.compile(backend=backend)
            self.text_encoder.compile_encoding(backend)
        is_usual = structure == list(BACKBONE_CONFIG.values())
        weights = self.backbone_sha256 + ("" if is_usual else f" read with {structure}")
        kept = TextFeatures(weights, self.precision.description, features["DIR"], features["CACHE"])
        self.teacher = Teacher(self.text_encoder, self.image_encoder, self.precision, kept)
        self.features = ImageFeatures(
            self.image_encoder, weights, self.precision, self.device, features["DIR"], features["CACHE"]
        )
        return clip_model, self.text_encoder

    def read_clip(self, name: str, *structure) -> CLIP:
        """Return the frozen backbone, not yet in the run's precision; set ``backbone_sha256`` and ``backbone_path``."""
        if self.clip_model is not None:  # given, with its hash and path, because several trainers share it
            return self.clip_model
        print(f"Loading CLIP (backbone: {name})")
        clip_model = load_clip(name, *structure, half=self.precision.keeps_half)
        self.backbone_sha256, self.backbone_path = backbone_sha256(name), str(backbone_file(name))
        return clip_model

    def build_model(self) -> None:
        cfg = self.cfg
        clip_model, text_encoder = self.load_clip(self.settings.PREC)
        self.learner = learner = self.build_prompt_learner(clip_model, text_encoder, self.dm.dataset.classnames)
        self.model = PromptedCLIP(clip_model, text_encoder, learner, self.image_encoder)
        learned = sum(p.numel() for p in learner.parameters() if p.requires_grad)
        print(f"Learned: {learned:,} parameters; CLIP is frozen")
        if cfg.MODEL.INIT_WEIGHTS:
            load_initial(learner, load_checkpoint(cfg.MODEL.INIT_WEIGHTS), cfg.MODEL.INIT_WEIGHTS)
        self.model.to(self.device)
        self.optim = with_adam_eps(build_optimizer(learner, cfg.OPTIM, self.parameter_groups()), cfg.OPTIM)
        self.sched = build_lr_scheduler(self.optim, cfg.OPTIM)
        self.scaler = self.precision.scaler
        self.register_model(self.MODEL_NAME, learner, self.optim, self.sched)
        self._gradients_are_checked = False

    @property
    def _shared(self) -> dict:  # a config made for upstream has no such node
        return self.cfg.TRAINER.get("CLIP", SHARED_CONFIG)

    # Training

    def before_train(self) -> None:
        """Prepare training as Dassl does. Replace images by features if nothing learned reaches the image encoder."""
        settings, loaders = self.cfg.get("FEATURES", FEATURES_CONFIG), self.cfg.DATALOADER
        if views := settings["TRAIN_VIEWS"]:
            check_views(self.cfg, views, type(self).__name__, self.has_fixed_features)
            self.train_loader_x = self.features.of_views(self.train_loader_x, views, loaders.TEST.BATCH_SIZE)
        elif self.has_fixed_features and loaders.K_TRANSFORMS == 1:
            self.train_loader_x = self.features.ahead(self.train_loader_x, loaders.TRAIN_X.BATCH_SIZE)
        super().before_train()

    @property
    def has_fixed_features(self) -> bool:
        """True if nothing that is learned reaches the image encoder, so the features of an image stay the same."""
        return self.image_encoder.is_frozen and not self.learner.image_inputs()

    def parse_batch_train(self, batch: dict) -> tuple[Tensor, Tensor]:
        """Return images (B, 3, H, W) or features (B, D), and labels (B,). Raises UserError: several views per image."""
        image = batch.get("features", batch["img"])
        if isinstance(image, list):
            raise UserError(
                f"{type(self).__name__} takes one view per image, but DATALOADER.K_TRANSFORMS is {len(image)}. "
                "Set it to 1"
            )
        return image.to(self.device), batch["label"].to(self.device)

    def forward_backward(self, batch: dict) -> dict[str, float]:
        """Take one training step. Return ``summary`` of the loss, and ``acc`` in percent."""
        image, label = self.parse_batch_train(batch)
        metrics = None
        while metrics is None:
            try:
                metrics = self._train_on(image, label)
            except (MemoryError, RuntimeError) as error:
                self.memory.shrink(error)  # raises every other error again
        if self.batch_idx + 1 == self.num_batches:  # the schedule goes by epochs
            self.update_lr()
        return metrics

    def _train_on(self, image: Tensor, label: Tensor) -> dict[str, float]:
        with self.precision.autocast():
            parts = self.model.parts(image, label) if self.LOSS_IS_MEAN else [(image, label, 1.0)]
        if is_split := len(parts) > 1:
            self.optim.zero_grad()
        values: dict[str, float] = {}
        hits = []
        for part, own, share in parts:
            with self.precision.autocast():
                seen = self.model(part)
                terms = self.loss_terms(seen, own)
            of_part = {name: term.item() for name, term in terms.items()}
            check_finite(of_part)
            if is_split:  # gradients add up; what was kept for them is freed before the next part
                self.precision.backward(share * total(terms))
            else:
                self.update(terms)
            values = {name: values.get(name, 0.0) + share * value for name, value in of_part.items()}
            with torch.no_grad():
                hits.append(self.learner.scores(seen).topk(1).indices[:, 0] == own)
        if is_split:
            self.precision.step(self.optim)
        if not self._gradients_are_checked:
            check_gradients(self.learner, type(self).__name__)
            self._gradients_are_checked = True
        return {**self.summary(values), "acc": 100.0 * torch.cat(hits).float().mean().item()}

    # Evaluation

    def model_inference(self, image: Tensor) -> Tensor:
        with self.precision.autocast():
            return self.memory.retry(lambda: self.model.logits(image))

    def classifier(self) -> Tensor:
        """Return unit text features (C, D), one row per class. Raises UserError if the method has none, with why."""
        return self.model.classifier()

    def test(self, split: str | None = None) -> float:
        """Test as Dassl does, on cached features if they are fixed. Prompts are encoded once."""
        is_val = (split or self.cfg.TEST.SPLIT) == "val" and self.val_loader is not None
        loader = "val" if is_val else "test"
        with ExitStack() as stack:
            if self.has_fixed_features:
                stack.enter_context(self.features.in_place_of_images(self, loader))
            if isinstance(self.model, PromptedCLIP):
                stack.enter_context(self.model.fixed_prompts())
            return super().test(split)

    def load_model(self, directory: str, epoch: int | None = None) -> None:
        """Load what a run of this program or of upstream's learned, from its output folder.

        epoch: by default the best on the validation set, or the newest if none was selected.
        Raises UserError: the checkpoint does not exist (the message lists the others), or does not fit this run.
        """
        if not directory:
            print("Note that load_model() is skipped as no folder is given (--model-dir)")
            return
        for name in self.get_model_names():
            load_learned(self._models[name], name, find_checkpoint(directory, name, epoch))
