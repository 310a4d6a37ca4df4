"""docs/datasets.md: its tables are those of the registry, and every dataset has its section."""

import re

import pytest
import yaml

from clip_prompts.common.errors import UserError
from datafiles import docs, state
from datafiles.catalogue import CATALOGUE, reader
from tests.conftest import ROOT
from tools.data import main

pytestmark = pytest.mark.integration

NAMES = docs.names()
TEXT = docs.PATH.read_text(encoding="utf-8")
HEADINGS = {"ImageFolder": "## Your own pictures"}


def section(name: str) -> str:
    """From the dataset's heading to the next."""
    heading = HEADINGS.get(name, f"### {name}")
    found = re.findall(rf"^{re.escape(heading)}\n(.*?)(?=^##|\Z)", TEXT, re.M | re.S)
    assert len(found) == 1, f"{heading} is there {len(found)} times"
    return found[0]


def overview() -> dict[str, list[str]]:
    rows = re.findall(r"^\| \[(\w+)\]\(#[\w-]+\)(.*)\|$", TEXT, re.M)
    return {name: [cell.strip() for cell in cells.split("|")[1:]] for name, cells in rows}


def test_all_public_and_embedded_datasets_are_named():
    assert len(CATALOGUE) == 15 and set(CATALOGUE) < set(NAMES)
    assert {"Digits", "Shapes", "ImageFolder"} < set(NAMES)
    assert list(overview()) == NAMES
    configs = {yaml.safe_load(f.read_text())["DATASET"]["NAME"] for f in (ROOT / "configs/datasets").glob("*.yaml")}
    ours = {name for name in configs if reader(name).__module__.startswith("datasets.")}
    assert ours == set(NAMES), "those of the engine are in docs/dassl_trainers.md"


@pytest.mark.parametrize("name", ["overview", *NAMES])
def test_generated_part_is_current_and_in_its_place(name):
    part = f"<!-- generated: {name} -->\n{docs.generate(name)}<!-- end -->"
    assert part in (TEXT.split("\n## ")[0] if name == "overview" else section(name))


@pytest.mark.parametrize("name", NAMES)
def test_section_says_what_a_user_needs(name):
    text, kind = section(name), reader(name)
    assert f"| prompt | `{kind.template}` |" in text
    if name == "ImageFolder":
        assert "**Class folders.**" in text and "**Domains.**" in text
        return
    layout = re.search(r"^Layout:\n\n```\n(.*?)^```", text, re.M | re.S)[1]
    assert layout.startswith(f"{kind.dataset_dir}/\n")
    assert not kind.image_folder or f" {kind.image_folder}/" in layout
    assert not kind.split_file or kind.split_file in layout
    assert "**Split**: " in text and "**Note**: " in text
    for row in ("source", "licence", "pitfalls", "images", "classes"):
        assert re.search(rf"^\| {row} \| \S.* \|$", text, re.M), row
    assert ("**Split**: test only" in text) == kind.test_only


@pytest.mark.parametrize("name", CATALOGUE)
def test_counts_and_files_are_the_catalogues(name):
    facts, text = CATALOGUE[name], section(name)
    counts = " / ".join(f"{n:,}" if n else "–" for n in facts["counts"])
    config, classes, shown, _, source = overview()[name]
    assert (config, classes, shown) == (f"`{facts['config']}`", f"{facts['classes']:,}", counts)
    assert source == facts["source"]
    half = facts["classes"] / 2
    assert f"| classes | {facts['classes']:,} (base {int(half + 0.5)}, new {int(half)}) |" in text
    for file in facts.get("files", []):
        assert f"[{file['file']}](" in text and file.get("checksum", "").partition(":")[2] in text


@pytest.mark.parametrize("name", NAMES)
def test_config_file_is_there(name):
    file = ROOT / "configs/datasets" / f"{docs.facts(name)['config']}.yaml"
    assert yaml.safe_load(file.read_text())["DATASET"]["NAME"] == name


@pytest.mark.parametrize("name", ["Digits", "ShapesBlur"])
def test_counts_of_embedded_datasets_are_those_that_are_made(name):
    found = state.examine(name, "")
    facts = docs.facts(name)
    assert found.classes == facts["classes"] and found.counts == [n or 0 for n in facts["counts"]]


def test_links_inside_the_document_lead_somewhere():
    headings = {re.sub(r"[^\w -]", "", h).lower().replace(" ", "-") for h in re.findall(r"^#+ (.*)$", TEXT, re.M)}
    links = re.findall(r"\]\(#([\w-]+)\)", TEXT)
    assert len(links) >= len(NAMES) and set(links) <= headings
    assert "(docs/datasets.md)" in (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.fixture
def changed(tmp_path, monkeypatch):
    """A copy with another number of pets."""
    path = tmp_path / "datasets.md"
    path.write_text(TEXT.replace("3,669 test", "3,670 test"), encoding="utf-8")
    monkeypatch.setattr(docs, "PATH", path)
    return path


def test_check_names_the_table_that_differs(changed, capsys):
    before = changed.read_text(encoding="utf-8")
    assert main(["docs", "--check"]) == 1
    out = capsys.readouterr().out
    assert "the part 'OxfordPets' is out of date" in out and "Caltech101" not in out
    assert changed.read_text(encoding="utf-8") == before
    assert main(["docs"]) == 0 and changed.read_text(encoding="utf-8") == TEXT
    assert main(["docs", "--check"]) == 0


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("generated: Food101", "generated: Food102", "Did you mean 'Food101'?"),
        ("<!-- end -->\n\nCounts", "\n\nCounts", "generated parts begin"),
        ("generated:", "made:", "0 generated parts begin"),
    ],
)
def test_broken_markers_are_told(old, new, says):
    assert old in TEXT
    with pytest.raises(UserError, match=re.escape(says)):
        docs.render(TEXT.replace(old, new))
