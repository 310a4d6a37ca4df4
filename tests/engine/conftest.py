import pytest

from tests.engine.stock import stock_cfg, write_pictures


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    """Folder with train, val and test pictures of three classes, six of each."""
    return write_pictures(tmp_path_factory.mktemp("pictures"))


@pytest.fixture
def make_cfg(pictures, tmp_path):
    """Config of a stock run into ``tmp_path/run``; arguments are alternating keys and values."""
    return lambda *opts: stock_cfg(pictures, tmp_path / "run", *opts)
