"""The file format ``clip-prompt`` 1.0: a learned prompt as a small folder of data, without code.

``content`` describes a trained method, ``writing`` writes the folder, ``reading`` checks one from anywhere. The format
is described in docs/prompt_format.md, and as a JSON schema in ``schema.json``.
"""

NAME, MAJOR, VERSION = "clip-prompt", 1, "1.0"
CONFIG, MODEL, CARD = "prompt_config.json", "prompt_model.safetensors", "README.md"
CLASSIFIER, RECORD = "classifier.safetensors", "results.json"
FILES = (CONFIG, MODEL, CARD, CLASSIFIER, RECORD)  # all names that belong to a prompt
FOLDER = "prompt"  # in the output folder of a training run
