"""The pages of docs/: every command is accepted, every link and picture is there, every example is a tested file.

Scripts and sweeps are only planned (--dry-run); that they run is for other tests. Other programs parse their options.
"""

import importlib
import os
import re
import shlex
import subprocess
import sys

import pytest

from tests import documented
from tests.conftest import ROOT
from tests.documented import PAGES, page, without_code
from tests.tools.test_check_method import EXAMPLES

pytestmark = pytest.mark.integration

LINKED = [*PAGES, *(ROOT / name for name in ("CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "engine/README.md"))]
# test_readme.py runs the README's commands.
ALL = sorted({c for path in PAGES if path.name != "README.md" for c in documented.commands(page(path))})
OTHER = [c for c in ALL if c.startswith(documented.OTHER)]
PLANNED = [c for c in ALL if c not in OTHER and ("scripts/" in c or "sweep.py run" in c)]
PARSED = [c for c in ALL if c not in (*OTHER, *PLANNED)]


def test_commands_name_files_that_are_there():
    assert len(ALL) > 80 and not {c: files for c in ALL if (files := documented.missing_files(c))}


@pytest.mark.parametrize("command", PLANNED)
def test_scripts_and_sweeps_are_planned(command, tmp_path):
    path = f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}"
    env = {**os.environ, "PATH": path, "VIRTUAL_ENV": sys.prefix, "DATA": ""}
    added = f" --dry-run --output {shlex.quote(str(tmp_path))}"
    done = subprocess.run(["bash", "-c", command + added], cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert re.search(r"\d+ jobs?: \d+ waiting", done.stdout) and not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", PARSED)
def test_options_of_programs_exist(command):
    documented.parse(command)  # ends the process where they do not


def test_examples_are_tested_files():
    """``test_check_method.py`` runs them."""
    text = (ROOT / "docs/extending.md").read_text(encoding="utf-8")
    shown = dict(re.findall(r"^<!-- example: (\w+)\.py -->\n```python\n(.*?)^```\n<!-- end -->$", text, re.M | re.S))
    assert set(shown) == set(EXAMPLES.values())
    for name, code in shown.items():
        assert code == (ROOT / f"tests/examples/{name}.py").read_text(encoding="utf-8")


def test_files_that_the_table_of_seams_names_exist():
    table = (ROOT / "docs/extending.md").read_text(encoding="utf-8").partition("## What is cached")[0]
    files = re.findall(r"`(\w+/\w+\.py)`", table)
    assert len(files) > 10
    assert all((ROOT / file).is_file() or (ROOT / "clip_prompts" / file).is_file() for file in files)


def anchors(text):
    """Return the anchors of a page: its headings, as GitHub and the site turn them into names."""
    headings = re.findall(r"^#+ (.*)", without_code(text), re.M)
    return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("doc", LINKED, ids=lambda doc: str(doc.relative_to(ROOT)))
def test_links_lead_somewhere(doc):
    text = without_code(page(doc))
    for link in re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'src="([^"]+)"', text):
        if link.startswith(("https://", "http://", "mailto:")):
            continue
        name, _, anchor = link.partition("#")
        file = doc.parent / name if name else doc
        assert file.exists(), link
        assert not anchor or anchor in anchors(page(file)), link


def test_pictures_are_small_and_all_are_shown():
    shown = "".join(page(path) for path in PAGES)
    pictures = list((ROOT / "docs/pictures").glob("*"))
    assert pictures
    for picture in pictures:
        assert (
            picture.suffix in (".png", ".svg")
            and picture.stat().st_size < 500_000
            and f"pictures/{picture.name}" in shown
        )


@pytest.mark.parametrize("program", ["clip_prompts.prompt.cli", "tools.data", "tools.sweep"])
def test_commands_of_programs_have_examples_and_say_what_they_print(program, capsys):
    parse = importlib.import_module(program).parse
    with pytest.raises(SystemExit):
        parse(["--help"])
    listed = re.findall(r"^    (\w+) ", capsys.readouterr().out, re.M)
    assert len(listed) > 5
    for command in listed:
        with pytest.raises(SystemExit):
            parse([command, "--help"])
        shown = capsys.readouterr().out
        examples = documented.examples(shown)
        assert len(examples) == 2 and all(f" {command} " in f"{line} " for line in examples)
        for line in examples:
            documented.parse(line)
        assert shown.rstrip().splitlines()[-1].startswith("Prints ")
