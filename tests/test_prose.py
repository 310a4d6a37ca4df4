"""Prose that can be measured: length of the README, length of sentences, settings and examples that are missing."""

import re

import pytest

from clip_prompts.common.trees import flat
from clip_prompts.run.checkout import load_checkout
from clip_prompts.run.config import default_config
from tests.conftest import ROOT
from tests.documented import PAGES, page, without_code

README_WORDS, SENTENCE_WORDS = 900, 18


def words(text: str) -> list[str]:
    return [word for word in text.split() if re.search(r"\w", word)]


def plain(text: str) -> str:
    """A page without code blocks, comments, pictures and the addresses of links."""
    text = re.sub(r"<!--.*?-->|<img.*?>", "", without_code(text), flags=re.S)
    return re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)


def sentences(text: str) -> list[list[str]]:
    """Words of each sentence. A list item and a paragraph end a sentence; tables and headings have none."""
    text = re.sub(r"^ *\|.*$|^#.*$", "", plain(text), flags=re.M)
    parts = re.split(r"\n\s*\n|\n(?= *(?:[-*]|\d+\.) )", re.sub(r"`[^`]*`", "code", text))
    found = [words(part) for block in parts for part in re.split(r"(?<=[.!?])[\"'*)]*\s", " ".join(block.split()))]
    return [sentence for sentence in found if sentence]


def test_sentences_are_told_apart():
    text = "# Title here\n\nOne `a. b` two. [Three](x.md) four?\n- five six\n- seven\n\n| a | b |\n```bash\nx y\n```\n"
    assert [len(sentence) for sentence in sentences(text)] == [3, 2, 2, 1]


def test_the_readme_is_short():
    assert len(words(plain(page(ROOT / "README.md")))) <= README_WORDS


@pytest.mark.parametrize("path", [p for p in PAGES if "zh" not in p.parts], ids=lambda path: path.name)
def test_sentences_are_short(path):
    found = sentences(page(path))
    assert sum(map(len, found)) / len(found) <= SENTENCE_WORDS, max(found, key=len)


def test_every_setting_is_documented():
    load_checkout("trainers")
    groups = re.split(r"^## (.*)$", page(ROOT / "docs/config.md"), flags=re.M)[1:]
    tables = dict(zip(groups[::2], groups[1::2], strict=True))
    missing = []
    for key in flat(default_config()):
        group, _, name = key.rpartition(".")
        if group.startswith("TRAINER.") and f"## {group}\n" not in page(ROOT / "docs/config.md"):
            continue  # of a plugin that another test has imported
        if not re.search(rf"^\| `{name}`(?: °)? \|", tables.get(group or "General", ""), re.M):
            missing.append(key)
    assert not missing
