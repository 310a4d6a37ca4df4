"""``Prompt``: a learned prompt ready to classify pictures."""

import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import torch
from dassl.data.transforms import build_transform
from torch import Tensor

from clip_prompts.artifact.reading import Artifact
from clip_prompts.artifact.writing import check_folder, write_prompt
from clip_prompts.clip import CLIPTrainer, PromptedCLIP, similarity, unit
from clip_prompts.clip.class_head import ClassHead
from clip_prompts.common.errors import UserError
from clip_prompts.common.text import is_unicode, one_line

from .building import Backbone, build_method, name_list, quiet
from .hub import upload
from .interpret import nearest_words
from .pictures import Pictures, features_of, kept_features
from .reading import reader_of

AT_ONCE = 100  # images whose scores are computed together, as in a test


class Prediction(NamedTuple):
    """The most probable classes of a picture, most probable first."""

    names: list[str]
    probabilities: list[float]  # 0 to 1, from the softmax over all classes
    indices: list[int]  # positions of the classes in the list of class names

    @property
    def name(self) -> str:
        """The predicted class."""
        return self.names[0]

    @property
    def probability(self) -> float:
        """Probability of the predicted class."""
        return self.probabilities[0]

    def best(self, top: int) -> "Prediction":
        """Return the same prediction with at most ``top`` classes."""
        return Prediction(self.names[:top], self.probabilities[:top], self.indices[:top])


class Prompt:
    """A learned prompt with its backbone, ready to classify pictures. ``load_prompt`` makes it.

    Attributes:
        config (dict): content of ``prompt_config.json``.
        method (str): name of the method that learned the prompt.
        classes (list of str): C class names that the prompt classifies by default.
        transform: turns a PIL image into the input (3, S, S) of the image encoder; S is its resolution in pixels.
        trainer (CLIPTrainer): the method, built for ``classes``.
    """

    def __init__(
        self, artifact: Artifact, backbone_name: str, backbone: Backbone, names: Sequence[str] | None = None,
        device: str | None = None, precision: str | None = None,
    ) -> None:  # fmt: skip
        self.artifact, self.config = artifact, artifact.config
        self.method: str = self.config["method"]["name"]
        self._backbone_name, self._backbone, self._place = backbone_name, backbone, (device, precision)
        self._methods: dict[tuple[str, ...], CLIPTrainer] = {}
        self._open: dict[tuple[str, ...], ExitStack] = {}
        self.classes = name_list(self.config["classes"]["names"] if names is None else names)
        self.trainer = self._for(self.classes)
        with quiet():
            self.transform = build_transform(self.trainer.cfg, is_train=False)
        size = self.trainer.cfg.INPUT.SIZE[0]
        self._pictures = Pictures(self.transform, size, reader_of(self.config["preprocess"].get("as_viewed", False)))

    def __repr__(self) -> str:
        names = ", ".join(self.classes[:3]) + (", ..." if len(self.classes) > 3 else "")
        base = self.config["base_model"]["name"]
        return f"Prompt({self.method}, backbone {base}, {len(self.classes)} classes: {one_line(names, 200)})"

    # Pictures

    def predict(
        self, pictures: Any, top: int = 5, names: Sequence[str] | None = None
    ) -> "list[Prediction] | Prediction":
        """Classify pictures.

        Args:
            pictures: one picture or a list. A picture is a path, a PIL image, an array of bytes (H, W, 3), or a tensor
                that ``transform`` returned.
            top: number of classes per picture.
            names: C class names; by default ``classes``.

        Returns:
            A list with one ``Prediction`` per picture, or one ``Prediction`` for a picture that is not in a list.

        Raises:
            UserError: a picture cannot be read, a name has no tokens, or the prompt takes no other classes.
        """
        listed, is_one = _as_list(pictures)
        found = self.rank(self.features_raw(listed), top, names)
        return found[0] if is_one else found

    def rank(self, features: Tensor, top: int = 5, names: Sequence[str] | None = None) -> list[Prediction]:
        """Classify image features (N, D) from ``features_raw``. Return one ``Prediction`` per row."""
        if top < 1:
            raise UserError(f"top is {top}, but a prediction has at least one class. Set top to 1 or more")
        names = self.classes if names is None else name_list(names)
        probabilities = self.probabilities_of(features, names)
        best = probabilities.topk(min(top, len(names)), dim=1)
        return [
            Prediction([names[i] for i in row], values, row)
            for values, row in zip(best.values.tolist(), best.indices.tolist(), strict=True)
        ]

    @torch.no_grad()
    def probabilities_of(self, features: Tensor, names: Sequence[str] | None = None) -> Tensor:
        """Return probabilities (N, C), float32 on the CPU, for image features (N, D) from ``features_raw``."""
        trainer = self._for(self.classes if names is None else names)
        dtype = trainer.image_encoder.dtype
        parts = [
            trainer.model_inference(part.to(trainer.device, dtype)).float().softmax(dim=1).cpu()
            for part in features.split(AT_ONCE)
        ]
        return torch.cat(parts)

    @torch.no_grad()
    def zero_shot(self, features: Tensor, names: Sequence[str] | None = None) -> Tensor:
        """Return probabilities (N, C) of the frozen CLIP with the hand-crafted prompt.

        Args:
            features: image features (N, D) of the frozen encoder (``try_features`` with ``frozen``).
            names: C class names; by default ``classes``.
        """
        trainer = self._for(self.classes if names is None else names)
        with quiet():  # notes about the cache
            w = trainer.teacher.text_features(self.config["prompt"]["template"], trainer.dm.dataset.classnames)
        x = unit(features.to(trainer.device))
        return similarity(self._backbone.clip_model.logit_scale, x, unit(w)).softmax(dim=1).cpu()

    def inputs(self, pictures: Any) -> Tensor:
        """Return the input of the image encoder (N, 3, S, S), float32. Arguments and errors: see ``predict``."""
        return torch.stack([self._pictures.tensor(picture) for picture in _as_list(pictures)[0]])

    def features(self, pictures: Any) -> Tensor:
        """Return unit image features (N, D), float32 on the CPU. Arguments and errors: see ``predict``."""
        return unit(self.features_raw(_as_list(pictures)[0]))

    def features_raw(self, pictures: Sequence[Any]) -> Tensor:
        """Return image features (N, D) before normalization.

        Raises:
            UserError: a picture cannot be read; the message names the first one.
        """
        features, lost = self.try_features(pictures)
        if lost:
            number, reason = next(iter(lost.items()))
            raise UserError(f"Picture {number + 1} of {len(pictures)} cannot be read: {reason}")
        return features

    def try_features(
        self, pictures: Sequence[Any], progress: Callable[[int], object] | None = None, frozen: bool = False
    ) -> tuple[Tensor, dict[int, str]]:
        """Return image features before normalization, with a row of NaN for each picture that cannot be read.

        Features of files are cached on disk, so the next call for the same list reads them.

        Args:
            pictures: list of pictures, see ``predict``.
            progress: called with the number of pictures that are done.
            frozen: use the frozen image encoder, without what the method learned in it.

        Returns:
            Features (N, D), and a dictionary from the position of a picture (from 0) to why it cannot be read.
        """
        if not pictures:
            raise UserError("There are no pictures to classify. Give at least one")
        trainer, file = self.trainer, None
        frozen = frozen or trainer.has_fixed_features
        if all(isinstance(picture, str | Path) for picture in pictures) and trainer.cfg.FEATURES.CACHE:
            weights = trainer.backbone_sha256 + ("" if frozen else f" with {self.artifact.sha256}")
            seen, precision = self.config["preprocess"].get("as_viewed", False), trainer.precision.description
            places = [str(picture) for picture in pictures]
            file = kept_features(places, seen, weights, precision, self.transform, trainer.cfg.FEATURES.DIR)

        @torch.no_grad()
        def encode(image: Tensor) -> Tensor:
            image = image.to(trainer.device)
            with trainer.precision.autocast():
                is_plain = frozen or not isinstance(trainer.model, PromptedCLIP)
                return trainer.image_encoder(image) if is_plain else trainer.model.encode_image(image)

        with quiet():  # notes about the cache
            width = trainer.image_encoder.output_dim
            return features_of(pictures, self._pictures.tensor, encode, width, file, progress)

    def classifier(self, names: Sequence[str] | None = None) -> Tensor:
        """Return one unit row per class, (C, D), float32 on the CPU.

        A picture belongs to the class whose row is most similar to its features. Logits are
        ``scale * features @ rows.T``, with unit ``features`` and the scale in ``config["logit"]``.

        Raises:
            UserError: the method has no such matrix (the message says why), or takes no other classes.
        """
        trainer = self._for(self.classes if names is None else names)
        try:
            return trainer.classifier().detach().float().cpu()
        except UserError as error:
            raise UserError(f"{self.method} has no matrix of class features: {error}. Use predict") from error

    def _for(self, names: Sequence[str]) -> CLIPTrainer:
        """Return the method built for these class names. The one for the last list of names is cached."""
        key = tuple(name_list(names))
        if (trainer := self._methods.get(key)) is None:
            self._check_names(key)
            trainer = build_method(
                self.config, self.artifact.tensors, key, self._backbone_name, self._backbone, *self._place
            )
            for old in self._methods.keys() - {tuple(self.classes)}:
                self._open.pop(old, ExitStack()).close()  # another thread may have done it
                self._methods.pop(old, None)
            self._methods[key], self._open[key] = trainer, ExitStack()
            if isinstance(trainer.model, PromptedCLIP):
                self._open[key].enter_context(trainer.model.fixed_prompts())
        return trainer

    def _check_names(self, names: tuple[str, ...]) -> None:
        if not names or not all(isinstance(name, str) and name.strip() for name in names):
            raise UserError("The class names must be a list of texts, none of them empty. Give at least one name")
        if not all(map(is_unicode, names)):
            raise UserError("A class name is not valid Unicode text. Rename the class")
        own = self.config["classes"]["names"]
        if self.config["method"]["classes"] == "fixed" and list(names) != own:
            raise UserError(
                f"This prompt of {self.method} works only for the {len(own)} classes that it was trained on. "
                "Remove the class names"
            )

    # Sharing

    def save(self, folder: str | Path, license: str | None = None) -> Path:
        """Write the prompt into a folder, and the rows of ``classifier`` if the method has them.

        If ``classes`` are not the classes of the training, they become the default classes of the saved prompt, and the
        results of the training are not saved.

        Args:
            folder: where to write.
            license: identifier for the model card, such as "mit".

        Returns:
            The path of the folder.

        Raises:
            UserError: a head fits only the classes of its training; or a file that is not a prompt's would be replaced.
        """
        check_folder(folder)
        config = {**self.config, "license": license or self.config.get("license")}
        if self.classes != config["classes"]["names"]:
            if any(isinstance(module, ClassHead) for module in self.trainer.learner.modules()):
                raise UserError(f"{self.method} has a head for its own classes. Save it without other class names")
            config |= {"classes": {"names": self.classes}, "results": []}
        try:
            classifier = self.classifier() if config["method"]["image_encoder"] == "frozen" else None
        except UserError:
            classifier = None
        return write_prompt(folder, config, self.artifact.tensors, classifier)

    def push_to_hub(
        self, repo_id: str, license: str | None = None, private: bool = False, token: str | None = None
    ) -> str:
        """Upload the prompt to the Hugging Face Hub and return its address. Needs ``pip install huggingface_hub``."""
        with tempfile.TemporaryDirectory() as folder:
            return upload(self.save(folder, license), repo_id, private, token)

    def nearest_words(self, k: int = 5) -> dict[str, list[list[tuple[str, float]]]]:
        """Return the k nearest words of each learned vector, with their distances.

        Returns:
            A dictionary from the place of the vectors in the prompt to a list of (word, distance) per vector.

        Raises:
            UserError: the method learns no vectors among the words.
        """
        embedding = self.trainer.text_encoder.token_embedding.weight.detach().float().cpu()
        return nearest_words(self.config, self.artifact.tensors, embedding, k)


def _as_list(pictures: Any) -> tuple[list[Any], bool]:
    """Return the pictures as a list, and True if a single picture was given."""
    if isinstance(pictures, list | tuple):
        return list(pictures), False
    if isinstance(pictures, Tensor) and pictures.dim() == 4:
        return list(pictures), False
    if getattr(pictures, "ndim", 0) == 4:  # an array (N, H, W, 3)
        return list(pictures), False
    return [pictures], True
