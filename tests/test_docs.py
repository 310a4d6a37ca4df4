"""The pages of docs/: every command is accepted, every link and picture is there, every example is a tested file.

Scripts and sweeps are only planned (--dry-run); that they run is for other tests.
"""

import os
import re
import shlex
import subprocess
import sys

import pytest

from clip_prompts.report import log_summary
from tests.conftest import ROOT
from tests.tools.test_check_method import EXAMPLES
from tools import check_method, report, sweep

pytestmark = pytest.mark.integration

DOCS = [ROOT / "docs/protocols.md", ROOT / "docs/results.md", ROOT / "docs/extending.md"]
MORE = ("docs/own_pictures.md", "docs/architecture.md", "CONTRIBUTING.md", "README.md")
LINKED = [*DOCS, *(ROOT / name for name in MORE)]
PROGRAMS = {
    "tools/report.py": report, "tools/sweep.py": sweep, "tools/parse_test_res.py": log_summary,
    "tools/check_method.py": check_method,
}  # fmt: skip


def commands(doc):
    blocks = re.findall(r"^```bash\n(.*?)^```", doc.read_text(encoding="utf-8"), re.M | re.S)
    return [
        " ".join(line.split()) for block in blocks for line in block.replace("\\\n", " ").splitlines() if line.strip()
    ]


ALL = sorted({command for doc in DOCS for command in commands(doc)})
PLANNED = [c for c in ALL if "scripts/" in c or "sweep.py run" in c]


def test_every_command_is_tested():
    assert all(commands(doc) for doc in DOCS)
    known = [c for c in ALL if c in PLANNED or c.split()[:1] == ["python"] and c.split()[1] in PROGRAMS]
    assert known == ALL


@pytest.mark.parametrize("command", PLANNED)
def test_scripts_and_sweeps_are_planned(command, tmp_path):
    path = f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}"
    env = {**os.environ, "PATH": path, "VIRTUAL_ENV": sys.prefix, "DATA": ""}
    added = f" --dry-run --output {shlex.quote(str(tmp_path))}"
    done = subprocess.run(["bash", "-c", command + added], cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert re.search(r"\d+ jobs?: \d+ waiting", done.stdout) and not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", [c for c in ALL if c not in PLANNED])
def test_options_of_programs_exist(command):
    program, *argv = shlex.split(command)[1:]
    PROGRAMS[program].parse(argv)  # ends the process where they do not


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
    """What a link may name behind #: headings, as GitHub turns them into names."""
    return {re.sub(r"[^\w\- ]", "", h).strip().lower().replace(" ", "-") for h in re.findall(r"^#+ (.*)", text, re.M)}


@pytest.mark.parametrize("doc", LINKED, ids=lambda doc: doc.name)
def test_links_lead_somewhere(doc):
    text = doc.read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'src="([^"]+)"', text)
    assert links
    for link in links:
        if link.startswith("https://"):
            continue
        name, _, anchor = link.partition("#")
        file = doc.parent / name if name else doc
        assert file.exists(), link
        assert not anchor or anchor in anchors(file.read_text(encoding="utf-8")), link


def test_pictures_are_small_and_all_are_shown():
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    shown = "".join(page.read_text(encoding="utf-8") for page in pages)
    pictures = list((ROOT / "docs/pictures").glob("*"))
    assert pictures
    for picture in pictures:
        assert (
            picture.suffix in (".png", ".svg")
            and picture.stat().st_size < 500_000
            and f"pictures/{picture.name}" in shown
        )
