"""The option ``--dassl``, and the seed of every test."""

import importlib
import random
import sys
from pathlib import Path

import numpy as np
import pytest
import torch


def pytest_addoption(parser):
    parser.addoption(
        "--dassl", metavar="FOLDER", help="check the dassl package in FOLDER, not the one of this repository"
    )


def pytest_configure(config):
    folder = config.getoption("--dassl")
    if not folder:
        return
    if not Path(folder, "dassl").is_dir():
        raise pytest.UsageError(f"--dassl: there is no folder 'dassl' in '{folder}'. Give the folder that holds it.")
    if "dassl" in sys.modules:
        raise pytest.UsageError("--dassl: another dassl is imported already. Run pytest engine/conformance alone.")
    sys.path.insert(0, str(Path(folder).resolve()))
    importlib.import_module("dassl")  # now, because pytest puts the folder above this one first on the path


def pytest_report_header(config):
    return f"dassl: {config.getoption('--dassl') or Path(__file__).parents[1]}"


def seed(value=0):
    """Seed the generators of Python, NumPy and torch."""
    random.seed(value)
    np.random.seed(value)
    torch.manual_seed(value)


@pytest.fixture(autouse=True)
def _seeded():
    seed()
