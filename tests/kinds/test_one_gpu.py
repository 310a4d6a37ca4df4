"""A run uses one GPU: a model wrapped in DataParallel lacks the methods that trainers call."""

from tests.conftest import ROOT


def test_no_trainer_wraps_its_model():
    files = list((ROOT / "trainers").rglob("*.py"))
    assert files and not [file for file in files if "DataParallel" in file.read_text()]
