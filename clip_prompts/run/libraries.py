"""Imports everything heavy that a run needs, once. Every dataset and method registers itself on import."""

import gc

gc.disable()  # the imports make millions of objects that stay: collecting among them takes 0.45 of 4 seconds

import torch  # noqa: E402, F401
from dassl.engine import build_trainer  # noqa: E402, F401

from clip_prompts.records import protocols  # noqa: E402, F401
from clip_prompts.records.sources import remember_sources  # noqa: E402
from clip_prompts.run import checks, config, effects, errors  # noqa: E402, F401
from clip_prompts.run.checkout import load_checkout  # noqa: E402

load_checkout()
remember_sources()  # a sweep's process serves many runs: code that is edited meanwhile is not the code that runs

gc.freeze()  # what was imported stays: when a run ends, Python would look through all of it for garbage, for a second
gc.enable()
