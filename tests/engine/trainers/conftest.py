"""The pictures of the small task, written once, and training on them."""

import pytest

from tests.engine.trainers import harness


@pytest.fixture(scope="session")
def patterns(tmp_path_factory):
    """Folder with the pictures of all domains."""
    return harness.write_patterns(tmp_path_factory.mktemp("patterns"))


@pytest.fixture
def build(patterns, tmp_path):
    """``build(trainer, *opts)`` returns a seeded, built trainer; opts are alternating keys and values."""
    return lambda trainer, *opts, **kwargs: harness.build(patterns, tmp_path / "run", trainer, *opts, **kwargs)


@pytest.fixture
def train(patterns, tmp_path):
    """``train(trainer, *opts)`` trains and tests it; returns a :class:`harness.Run`."""
    return lambda trainer, *opts, **kwargs: harness.train(patterns, tmp_path / "run", trainer, *opts, **kwargs)
