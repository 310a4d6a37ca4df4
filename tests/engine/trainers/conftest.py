"""The pictures of the small task, written once, and training on them."""

from itertools import count

import pytest

from tests.engine.trainers import harness


@pytest.fixture(scope="session")
def patterns(tmp_path_factory):
    """Folder with the pictures of all domains."""
    return harness.write_patterns(tmp_path_factory.mktemp("patterns"))


@pytest.fixture
def build(patterns, tmp_path):
    """``build(trainer, *opts)`` returns a seeded, built trainer; opts are alternating keys and values."""
    numbers = count()
    return lambda *args, **kwargs: harness.build(patterns, tmp_path / f"build{next(numbers)}", *args, **kwargs)


@pytest.fixture
def train(patterns, tmp_path):
    """``train(trainer, *opts)`` trains and tests it, each in a folder of its own; returns a :class:`harness.Run`."""
    numbers = count()
    return lambda *args, **kwargs: harness.train(patterns, tmp_path / f"run{next(numbers)}", *args, **kwargs)


@pytest.fixture(scope="session")
def source(patterns, tmp_path_factory):
    """A :class:`harness.Run` of SourceOnly across the gap."""
    output = tmp_path_factory.mktemp("source")
    return harness.train(patterns, output, "SourceOnly", *harness.GAP, "OPTIM.MAX_EPOCH", 8)


@pytest.fixture
def source_weights(source):
    """File of the model that SourceOnly made."""
    return f"{source.trainer.output_dir}/model/model.pth.tar-8"


@pytest.fixture
def start(source_weights):
    """Settings that start from the model that SourceOnly made."""
    return "MODEL.INIT_WEIGHTS", source_weights
