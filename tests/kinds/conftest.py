"""A plug-in that tests write, import and forget."""

import sys

import pytest
from dassl.data.datasets import DATASET_REGISTRY
from dassl.engine import TRAINER_REGISTRY


@pytest.fixture
def plugin(tmp_path):
    """Write a plug-in's text, to be imported by the next run; nothing stays registered afterwards."""

    def forget():
        sys.modules.pop("edited_plugin", None)
        DATASET_REGISTRY._objects.pop("IgnoresShots", None)
        TRAINER_REGISTRY._objects.pop("Edited", None)

    def write(text):
        forget()
        path = tmp_path / "edited_plugin.py"
        path.write_text(text)
        return ["--plugin", str(path)]

    yield write
    forget()
