"""The training pictures of a prompt that are most similar to a picture."""

import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from dassl.data.datasets import DATASET_REGISTRY
from torch import Tensor

from clip_prompts.artifact.content import last_test
from clip_prompts.clip import unit
from clip_prompts.common.random_states import unchanged_random_states
from clip_prompts.common.trees import branch
from clip_prompts.data import BenchmarkDataset
from clip_prompts.records.image_lists import data_of, list_sha256
from clip_prompts.run.checkout import load_checkout
from clip_prompts.run.config import default_config
from clip_prompts.run.errors import USER_ERRORS

from .building import quiet
from .prompt import Prompt

SECONDS = 20.0  # that encoding the training pictures may take; features that are kept on disk take none
MOST = 20_000  # training pictures


class Training(NamedTuple):
    """Training pictures with their unit image features (N, D) and class names."""

    paths: list[str]
    names: list[str]
    features: Tensor

    def nearest(self, feature: Tensor, classes: Sequence[str]) -> dict[str, str]:
        """Class name to the path of its most similar picture, for the classes that were trained on.

        Args:
            feature: of a picture, (D,), not normalized.
        """
        similar = self.features @ unit(feature)
        found = {}
        for name in classes:
            own = [i for i, other in enumerate(self.names) if other == name]
            if own:
                found[name] = self.paths[max(own, key=lambda i: float(similar[i]))]
        return found


def training_of(prompt: Prompt, folder: str | Path, seconds: float = SECONDS) -> Training | None:
    """The training pictures of a run, encoded.

    Args:
        folder: output folder of the run that learned the prompt. seconds: that encoding may take.

    Returns:
        None if the folder is no run's, the pictures are not those of the training any more, there are too many, or
        they cannot be encoded in time.
    """
    listed = [item for item in _pictures_of(Path(folder)) if Path(item.impath).is_file()]
    if not listed or len(listed) > MOST:
        return None
    paths, done, deadline = [item.impath for item in listed], 0, time.monotonic() + seconds

    def stop_if_late(count: int) -> None:
        nonlocal done
        done += count  # of features that are kept on disk, all at once
        if done < len(paths) and time.monotonic() > deadline:
            raise TimeoutError

    try:
        features, lost = prompt.try_features(paths, stop_if_late)
    except TimeoutError:
        return None
    good = [i for i in range(len(paths)) if i not in lost]
    names = [listed[i].classname for i in good]
    return Training([paths[i] for i in good], names, unit(features[good])) if good else None


def _pictures_of(folder: Path) -> list:
    """The training list of a run, if its record tells it and the list still has the recorded hash; else []."""
    if (record := last_test(folder)) is None:
        return []
    settings, hashes = branch(record, "settings"), branch(record, "hashes")
    load_checkout("datasets")
    cfg, data = default_config(), branch(settings, "DATASET")
    for key, value in data.items():
        if key in cfg.DATASET and value is not None:
            cfg.DATASET[key] = tuple(value) if isinstance(cfg.DATASET[key], tuple) else value
    if cfg.DATASET.NAME not in DATASET_REGISTRY.registered_names():
        return []
    kind = DATASET_REGISTRY.get(cfg.DATASET.NAME)
    seed = settings.get("SEED")
    if not issubclass(kind, BenchmarkDataset) or type(seed) is not int or seed < 0:
        return []
    cfg.SEED, cfg.OUTPUT_DIR = seed, str(folder)
    cfg.TRAINER.NAME, cfg.TEST = str(record.get("trainer")), _test_settings(cfg.TEST, settings)
    try:
        with quiet(), unchanged_random_states():
            random.seed(seed)  # shots are drawn as the run drew them
            dataset = type(kind.__name__, (kind,), {"writes_files": False})(cfg)
            known = list_sha256(data_of(dataset)[0]["data.train_x"])
    except (*USER_ERRORS, OSError, ValueError, TypeError):  # the folder was moved, or changed since
        return []
    return list(dataset.train_x) if known == hashes.get("train_x") else []


def _test_settings(test, settings: dict):
    """TEST.* that decide whether own pictures are set aside for validation."""
    given = branch(settings, "TEST")
    for key in ("FINAL_MODEL", "SPLIT"):
        if isinstance(given.get(key), str):
            test[key] = given[key]
    return test
