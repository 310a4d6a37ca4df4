"""Features of images under a frozen encoder: computed once, kept on disk, read by every later evaluation.

A file belongs to one key: the weights, the transform, the precision and the content of the images, in order. All
trainers, seeds and protocols with that key share the file. A file whose key differs is computed again. A moved or
renamed folder of images keeps its features.
"""

import contextlib
import hashlib
import json
import os
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import PIL
import torch
import torchvision
from torch import Tensor
from torch.utils.data import DataLoader, SequentialSampler

from clip_prompts.common.contents import content_hashes
from clip_prompts.common.files import MIB, open_regular, replace_durably
from clip_prompts.common.places import user_cache_dir
from clip_prompts.common.text import one_line

MAX_WIDTH = 8192  # of a feature; CLIP's have 512 to 1,024
FORMAT = 3  # of the files; another number makes all older ones void


def feature_folder(folder: str = "") -> Path:
    """Return the folder of feature files: the given folder, or ``clip-prompt-toolbox/features`` in the user's cache."""
    return Path(folder).expanduser() if folder else user_cache_dir() / "features"


def feature_key(weights: str, precision: str, dataset: object, views: int = 0) -> str | None:
    """Return all that the features of a list of images depend on, as one line of JSON.

    Args:
        weights: SHA-256 of the encoder's weights. precision: ``Precision.description``.
        dataset: what a loader reads, with ``data_source`` and ``transform``.
        views: number of random views of each image; 0 for the one view of testing.

    Returns:
        The key; None where there can be none: a dataset of another kind, a transform that does not describe itself
        (or draws, without ``views``), or an image that cannot be read, which is for the loader to report.
    """
    items, transform = getattr(dataset, "data_source", None), transform_text(dataset)
    undescribed = " at 0x" in transform or "Lambda" in transform or transform == "None"
    if items is None or undescribed or ("Random" in transform and not views):
        return None
    try:
        files = _files_sha256(items, views)
    except OSError:
        return None
    facts = {
        "format": FORMAT,
        "weights": weights,
        "transform": transform,
        "reader": f"{type(dataset).__module__}.{type(dataset).__qualname__}",
        "precision": precision,
        "libraries": [torch.__version__, torchvision.__version__, PIL.__version__],
        "images": len(items),
        "files": files,
        "as_viewed": sum(getattr(item, "as_viewed", False) for item in items),
        "views": views,
    }
    return json.dumps(facts, sort_keys=True)


def transform_text(dataset: object) -> str:
    """Return the ``repr`` of a dataset's transform in one line."""
    return " ".join(repr(getattr(dataset, "transform", None)).split())


def _files_sha256(items: Sequence, views: int) -> str:
    """Hash of the images' contents in order. Views are drawn from names and labels, so there both count too."""
    digest = hashlib.sha256()
    for item, content in zip(items, content_hashes([item.impath for item in items]), strict=True):
        drawn_from = f"{os.path.basename(item.impath)}\t{item.label}\t" if views else ""
        digest.update(f"{drawn_from}{content}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


class FeatureFile:
    """The file of one key.

    Args:
        folder: folder of all files of features. key: see ``feature_key``. rows: number of features, N.
        of: their kind, for messages.
    """

    def __init__(self, folder: Path, key: str, rows: int, of: str = "Image") -> None:
        self.path = folder / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.safetensors"
        self.key, self.rows, self.of = key, rows, of

    def read(self) -> Tensor | None:
        """Features (N, D); None if there is no file, or (with a warning) one that is not what it should be."""
        from safetensors import SafetensorError, safe_open

        try:
            open_regular(self.path, MIB + 8 * MAX_WIDTH * self.rows).close()  # a FIFO would block
            with safe_open(self.path, "pt") as file:
                metadata = file.metadata() or {}
                if metadata.get("key") != self.key:
                    raise ValueError("it has another key")
                features = file.get_tensor("features").clone()
            if features.dim() != 2 or len(features) != self.rows or not features.is_floating_point():
                raise ValueError(f"it holds {tuple(features.shape)} instead of {self.rows} features")
            if metadata.get("sha256") != _sha256(features):
                raise ValueError("its content was changed")
        except FileNotFoundError:
            return None
        except (SafetensorError, OSError, RuntimeError, KeyError, ValueError) as error:
            reason = one_line(getattr(error, "strerror", None) or str(error), 300)
            print(f"Warning: the feature file {self.path} is not usable ({reason}); it is recomputed")
            return None
        print(f"{self.of} features read from {self.path}")
        return features

    def write(self, features: Tensor) -> None:
        """Keep features (N, D). A folder that cannot be written costs a warning, not the run."""
        from safetensors import SafetensorError
        from safetensors.torch import save_file

        # A name of its own per writer: processes that make the same file at once do not meet, and the last one wins.
        part = self.path.with_name(f".{self.path.name}.{os.getpid()}-{uuid.uuid4().hex}.part")
        features = features.cpu().contiguous()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            save_file({"features": features}, part, metadata={"key": self.key, "sha256": _sha256(features)})
            replace_durably(part, self.path)
        except (OSError, SafetensorError) as error:
            print(
                f"Warning: {self.of.lower()} features cannot be kept in {self.path.parent} ({error}). Set FEATURES.DIR"
            )
        else:
            print(f"{self.of} features of {len(features):,} {self.of.lower()}s kept in {self.path}")
        finally:
            with contextlib.suppress(OSError):
                part.unlink()


def _sha256(features: Tensor) -> str:
    return hashlib.sha256(features.view(torch.uint8).numpy().data).hexdigest()


class FeatureLoader:
    """Stands in for a loader of test images: the same batches, with features (B, D) under ``img``.

    The first pass reads the file, or encodes what the loader yields and writes the file at the end.

    Args:
        loader: loads in the order of its list (see ``has_fixed_order``).
        encode: images (B, 3, H, W) to features (B, D), on any device.
        file: where features are kept.
    """

    def __init__(self, loader: DataLoader, encode: Callable[[Tensor], Tensor], file: FeatureFile) -> None:
        self.loader, self.encode, self.file = loader, encode, file
        self.features: Tensor | None = None

    def __len__(self) -> int:
        return len(self.loader)

    @property
    def dataset(self) -> Any:
        return self.loader.dataset

    def __iter__(self) -> Iterator[dict]:
        if self.features is None:
            self.features = self.file.read()
        return self._encoding() if self.features is None else self._known(self.features)

    def _encoding(self) -> Iterator[dict]:
        done = []
        for batch in self.loader:
            with torch.no_grad():
                done.append(self.encode(batch["img"]).detach())
            yield {**batch, "img": done[-1]}
        self.features = torch.cat(done).cpu()
        self.file.write(self.features)

    def _known(self, features: Tensor) -> Iterator[dict]:
        # A loader draws from torch's global generator when it starts. So must we: the training batches that follow
        # an evaluation are then the same with and without cached features.
        iter(DataLoader(self.dataset))
        items, size = self.dataset.data_source, self.loader.batch_size
        assert size is not None  # see has_fixed_order
        for start in range(0, len(items), size):
            batch = items[start : start + size]
            yield {
                "label": torch.tensor([item.label for item in batch]),
                "domain": torch.tensor([item.domain for item in batch]),
                "impath": [item.impath for item in batch],
                "index": torch.arange(start, start + len(batch)),
                "img": features[start : start + size],
            }


def has_fixed_order(loader: DataLoader) -> bool:
    """Whether a loader yields every item of its list, in order."""
    return isinstance(loader.sampler, SequentialSampler) and loader.batch_size is not None and not loader.drop_last
