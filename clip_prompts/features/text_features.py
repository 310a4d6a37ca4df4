"""Features of fixed texts under the frozen CLIP, kept on disk like those of images."""

import hashlib
import json
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from .cache import FORMAT, FeatureFile, feature_folder


class TextFeatures:
    """Keeps text features on disk.

    Args:
        weights: what identifies CLIP's weights. precision: ``Precision.description``.
        folder: where features are kept; "" is the user's cache folder. cache: False keeps nothing on disk.
    """

    def __init__(self, weights: str, precision: str, folder: str = "", cache: bool = True) -> None:
        self.facts = {"format": FORMAT, "weights": weights, "precision": precision, "libraries": [torch.__version__]}
        self.folder, self.cache = folder, cache

    def of(self, texts: Sequence[Sequence[str]], encode: Callable[[], Tensor]) -> Tensor:
        """Features (C, D) on the CPU or where ``encode`` computes them: read from disk, or computed and kept.

        Args:
            texts: C texts per template. encode: computes the features of all of them.
        """
        if not self.cache:
            return encode()
        digest = hashlib.sha256(json.dumps([list(one) for one in texts]).encode()).hexdigest()
        key = json.dumps({**self.facts, "texts": digest}, sort_keys=True)
        file = FeatureFile(feature_folder(self.folder) / "text", key, len(texts[0]), "Text")
        features = file.read()
        if features is None:
            features = encode()
            file.write(features)
        return features
