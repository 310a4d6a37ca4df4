"""A prompt's folder from anywhere: what fits is read, everything else is refused in one line."""

import json
import os

import pytest
import torch
from safetensors.torch import load_file

from clip_prompts.artifact import CONFIG, MODEL
from clip_prompts.artifact.reading import read_prompt
from clip_prompts.artifact.writing import sha256
from clip_prompts.common.errors import UserError
from tests.fuzz.formats.prompts import sign

from .made import made


@pytest.fixture
def folder(tmp_path):
    return made(tmp_path / "prompt")


def change(folder, edit) -> None:
    """Edit the config and make all hashes fit."""
    config = json.loads((folder / CONFIG).read_text())
    edit(config)
    sign(folder, config, (folder / MODEL).read_bytes())


def refusal(folder) -> str:
    with pytest.raises(UserError) as error:
        read_prompt(folder)
    return str(error.value)


def test_a_prompt_of_coop_has_a_kilobyte_for_each_vector_and_names_no_place(folder, tmp_path):
    assert set(load_file(folder / MODEL)) == {"ctx"} and (folder / MODEL).stat().st_size < 4 * 128 * 4 + 400
    text = (folder / CONFIG).read_text()
    assert str(tmp_path) not in text and "OUTPUT_DIR" not in text


def test_files_in_the_way_links_and_missing_files(folder, tmp_path):
    os.rename(folder / MODEL, tmp_path / "model")
    assert f"{MODEL} is missing" in refusal(folder)
    os.symlink(tmp_path / "model", folder / MODEL)
    assert f"{MODEL} is a link" in refusal(folder)
    os.unlink(folder / MODEL)
    (folder / MODEL).mkdir()
    assert "cannot be read" in refusal(folder)


@pytest.mark.parametrize(
    "edit, words",
    [
        (
            lambda c: c["format"].update(version="2.0"),
            "it has version 2.0 of the format clip-prompt, but this program",
        ),
        (lambda c: c["format"].update(name="other"), "does not have the format clip-prompt"),
        (lambda c: c.pop("logit"), "'logit' is a required property"),
        (lambda c: c["classes"].update(names=[]), "classes.names"),
        (lambda c: c["architecture"]["text"].update(width=64), r"tensor 'ctx' \(4, 128\) does not fit the declared"),
    ],
)
def test_what_the_config_may_not_say(folder, edit, words):
    change(folder, edit)
    with pytest.raises(UserError, match=words):
        read_prompt(folder)


def test_keys_that_are_unknown_and_a_newer_minor_version_are_read(folder):
    change(folder, lambda c: (c.update(more={"a": 1}), c["format"].update(version="1.7")))
    assert read_prompt(folder).config["more"] == {"a": 1}


def test_a_config_or_tensors_that_were_edited_are_noticed(folder):
    text = (folder / CONFIG).read_text()
    (folder / CONFIG).write_text(text.replace("red circle", "red square"))
    assert "its SHA-256 is not the one in prompt_model.safetensors" in refusal(folder)
    (folder / CONFIG).write_text(text)
    content = bytearray((folder / MODEL).read_bytes())
    content[-1] ^= 1
    (folder / MODEL).write_bytes(content)
    assert "its SHA-256 is not the one in prompt_config.json" in refusal(folder)


def test_values_that_are_not_finite(folder):
    content = (folder / MODEL).read_bytes()
    nan = torch.tensor([torch.nan]).numpy().tobytes()
    sign(folder, json.loads((folder / CONFIG).read_text()), content[: -len(nan)] + nan)
    assert "'ctx' holds values that are not finite" in refusal(folder)


def test_no_memory_is_taken_for_sizes_that_only_the_header_claims(folder):
    content = (folder / MODEL).read_bytes()
    claimed = content.replace(b"[4,128]", b"[9,999]")
    assert claimed != content
    sign(folder, json.loads((folder / CONFIG).read_text()), claimed)
    assert "does not fit the declared architecture" in refusal(folder)
    length = (2**60).to_bytes(8, "little")
    config = json.loads((folder / CONFIG).read_text())
    (folder / MODEL).write_bytes(length + content[8:])
    config["files"][MODEL] = {"sha256": sha256(length + content[8:]), "bytes": len(content)}
    (folder / CONFIG).write_text(json.dumps(config))
    assert "the header of prompt_model.safetensors has 1,152,921,504,606,846,976 bytes" in refusal(folder)
