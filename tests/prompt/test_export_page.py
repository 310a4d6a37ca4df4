"""docs/export.md: its commands run, and its examples, without this package, classify the test images as the run did."""

import csv
import json
import os
import re
import shlex
import subprocess
import sys

import pytest
import torch

from clip_prompts import load_prompt
from clip_prompts.backbones.loading import load_clip
from clip_prompts.prompt.cli import main
from tests.conftest import ROOT

from .conftest import config_of

PAGE = (ROOT / "docs/export.md").read_text(encoding="utf-8")
COMMANDS = [line for block in re.findall(r"^```bash\n(.*?)^```", PAGE, re.M | re.S) for line in block.splitlines()]
EXAMPLES = dict(re.findall(r"^<!-- example: (\w+) -->\n```python\n(.*?)^```", PAGE, re.M | re.S))
# The examples name OpenAI's ViT-B/16. Here a file with the embedded weights takes its place.
IN_PLACE_OF = {"ViT-B/16": "weights.pt", "ViT-B-16-quickgelu": "embedded-quickgelu", "openai": "weights.pt"}
BEFORE = """
import json, sys
pictures = json.load(open("pictures.json"))
"""
SIZES = """
import open_clip
open_clip.add_model_config("embedded-quickgelu.json")
"""
AFTER = """
assert not {"clip_prompts", "dassl"} & set(sys.modules)
print(json.dumps(names))
"""


@pytest.mark.slow
def test_commands_and_examples_give_the_classes_of_the_run(run, small, tmp_path, monkeypatch):
    flags = ("--backbone", "tiny")
    assert run("CoOp", *flags, config=config_of("CoOp"), out="output/first", TEST__SAVE_PREDICTIONS=True) == 0, run.err
    with open(run.out / "predictions.csv", newline="") as lines:
        rows = list(csv.DictReader(lines))
    pictures = [str(small / "oxford_pets/images" / row["path"]) for row in rows]
    prompt = load_prompt(run.out)
    expected = [prompt.classes[int(row["prediction_index"])] for row in rows]
    assert len(set(expected)) > 2

    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").symlink_to(small / "oxford_pets/images")
    assert COMMANDS
    for command in COMMANDS:
        program, *arguments = shlex.split(command)[1:]
        assert program == "tools/prompt.py" and main(arguments) == 0

    (tmp_path / "pictures.json").write_text(json.dumps(pictures))
    (tmp_path / "embedded-quickgelu.json").write_text(json.dumps(open_clip_config(prompt.config["architecture"])))
    torch.save(load_clip("tiny").float().state_dict(), "weights.pt")
    assert set(EXAMPLES) == {"clip", "open_clip", "onnxruntime"}
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    for name, code in EXAMPLES.items():
        for stated, here in IN_PLACE_OF.items():
            code = code.replace(f'"{stated}"', f'"{here}"')
        script = BEFORE + SIZES * (name == "open_clip") + code + AFTER
        done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout.splitlines()[-1]) == expected, name


def open_clip_config(sizes):
    """The sizes of a CLIP as open_clip's config files give them."""
    image, text = sizes["image"], sizes["text"]
    return {
        "embed_dim": sizes["embed_dim"], "quick_gelu": sizes["activation"] == "quickgelu",
        "vision_cfg": {
            "image_size": image["size"], "layers": image["layers"], "width": image["width"],
            "patch_size": image["patch"], "head_width": image["width"] // image["heads"],
        },
        "text_cfg": {name: text[name] for name in ("context_length", "vocab_size", "width", "heads", "layers")},
    }  # fmt: skip
