"""The documentation site: every page has its place, and it is built without a warning and without other servers."""

import importlib.util
import re
import subprocess
import sys

import pytest
import yaml

from tests.conftest import ROOT

CONFIG = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))


def places(entries) -> list[str]:
    return [place for entry in entries for value in entry.values()
            for place in (places(value) if isinstance(value, list) else [value])]  # fmt: skip


def test_every_page_is_in_the_navigation():
    pages = {file.relative_to(ROOT / "docs").as_posix() for file in (ROOT / "docs").rglob("*.md")}
    assert pages == {place for place in places(CONFIG["nav"]) if place != "index.md" and not place.startswith("api/")}


@pytest.mark.slow
@pytest.mark.skipif(not importlib.util.find_spec("mkdocstrings_handlers"), reason="needs requirements-docs.txt")
def test_the_site_is_built_and_asks_no_other_server(tmp_path):
    argv = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    pages = {file.relative_to(tmp_path / "site").as_posix(): file.read_text(encoding="utf-8")
             for file in (tmp_path / "site").rglob("*.html")}  # fmt: skip
    assert len(pages) == len(places(CONFIG["nav"])) + 1  # 404.html
    loaded = r"""<(?:script|img|iframe|source|video|link)\b[^>]*\b(?:src|href)=["']?(?:https?:)?//"""
    assert not {name: found for name, text in pages.items() if (found := re.findall(loaded, text))}
    assert 'id="clip_prompts.prompt.loading.load_prompt"' in pages["api/prompts.html"]
    assert 'href="methods.html#coop"' in pages["index.html"] and "<table>" in pages["methods.html"]
