"""The parts of ``tools/data.py``: facts, downloading, unpacking, checking, contact sheets, documentation."""

from clip_prompts.run.checkout import load_checkout

load_checkout("datasets")  # registers the readers
