"""Documented commands: where they are, and what parses them."""

import importlib
import re
import shlex
from pathlib import Path

from tests.conftest import ROOT

PAGES = [*sorted((ROOT / "docs").rglob("*.md")), ROOT / "README.md"]
# Commands that install, need a GPU, or belong to another program. They are not run.
OTHER = (
    "pip ", "python3 -m venv ", "source ", "conda ", "docker ", "mkdocs ", "bash scripts/demo.sh",
    "bash scripts/gpu.sh",
)  # fmt: skip
PARSERS = {
    "train.py": "clip_prompts.run.arguments", "interpret_prompt.py": "interpret_prompt",
    "parse_test_res.py": "clip_prompts.report.log_summary",
    "tools/parse_test_res.py": "clip_prompts.report.log_summary",
    "tools/prompt.py": "clip_prompts.prompt.cli",
    **{f"tools/{name}.py": f"tools.{name}" for name in (
        "benchmark", "check_method", "config_docs", "data", "draw_idea", "method_docs", "report", "sweep", "train_tiny",
    )},
}  # fmt: skip


def page(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def without_code(text: str) -> str:
    """A page without its blocks of code."""
    return re.sub(r"^ *```.*?^ *```$\n?", "", text, flags=re.M | re.S)


def commands(text: str) -> list[str]:
    """The commands of the bash blocks of a page, each in one line, without comments."""
    blocks = re.findall(r"^ *```bash\n(.*?)^ *```", text, re.M | re.S)
    lines = [" ".join(line.split()) for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    return [re.sub(r" # .*", "", line) for line in lines if line]


def examples(help_text: str) -> list[str]:
    """The commands that a program's --help shows, each in one line, without comments."""
    shown = help_text.partition("examples:")[2].replace("\\\n", " ")
    lines = [re.sub(r" +# .*|   .*", "", line.strip()) for line in re.sub(r"(?<=\S) +-", " -", shown).splitlines()]
    return [" ".join(line.split()) for line in lines if line.startswith(("python ", "clip-prompts "))]


def parse(command: str) -> None:
    """Parse the command of a program of ours; ends the process if an option is wrong. KeyError: an unknown program."""
    words = [word for word in shlex.split(command) if not re.match(r"[A-Z_]+=", word)]
    program = {"python": words[1], "clip-prompts": "tools/prompt.py"}[words[0]]
    argv = words[2:] if words[0] == "python" else words[1:]
    if "--loading" in argv:
        argv.remove("--loading")
        importlib.import_module("measuring.loading").parse(argv)
        return
    importlib.import_module(PARSERS[program]).parse(argv)


def missing_files(command: str) -> list[str]:
    """Files of the repository that a command names and that are not there."""
    words = [word for word in shlex.split(command) if re.match(r"(configs|scripts|tests|tools)/[\w/.+-]+$", word)]
    words += re.findall(r" (?:-r|-f) (\S+)", command)
    return [word for word in words if not (ROOT / word).exists()]
