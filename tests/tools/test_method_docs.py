"""docs/methods.md and the README's table of methods: generated from the methods, and up to date."""

import re

import pytest

from tests.conftest import ROOT
from tools import method_docs

pytestmark = pytest.mark.slow


def test_tables_are_up_to_date(capsys):
    assert method_docs.main(["--check"]) == 0, capsys.readouterr().out
    names = {file.parent.name for file in (ROOT / "configs/trainers").glob("*/method.yml")}
    with_configs = {name for name in names if any((ROOT / "configs/trainers" / name).glob("*.yaml"))}
    assert with_configs | {"ZeroshotCLIP2"} == {cls.__name__ for cls in method_docs.methods()}


def test_numbers_are_those_of_the_papers():
    counted = {cls.__name__: method_docs.count(cls, next(iter(method_docs.recipes(cls.__name__))))
               for cls in method_docs.methods()}  # fmt: skip
    known = {"CoOp": "2,048", "CoCoOp": "35,360", "MaPLe": "3,555,072", "PromptSRC": "46,080", "TCP": "331,904",
             "DePT": "10,240 + 513 per class", "LinearProbe": "1,025 per class", "ZeroshotCLIP": "0"}  # fmt: skip
    assert counted.items() >= known.items()


def test_a_stale_table_is_found_and_written_again(tmp_path, monkeypatch, capsys):
    page, readme = tmp_path / "methods.md", tmp_path / "README.md"
    text = method_docs.PAGE.read_text(encoding="utf-8")
    page.write_text(text.replace("3,555,072", "3,555,073"), encoding="utf-8")
    readme.write_text("# Title\n\n<!-- methods -->\n<!-- end -->\n\nText.\n", encoding="utf-8")
    monkeypatch.setattr(method_docs, "PAGE", page)
    monkeypatch.setattr(method_docs, "README", readme)
    assert method_docs.main(["--check"]) == 1 and "3,555,073" in page.read_text(encoding="utf-8")
    assert method_docs.main([]) == 0 == method_docs.main(["--check"])
    assert page.read_text(encoding="utf-8") == text
    rows = re.findall(r"^\| \[(\w+)\]\(docs/methods\.md#(\w+)\)", readme.read_text(encoding="utf-8"), re.M)
    assert len(rows) == len(method_docs.methods()) and all(name.lower() == anchor for name, anchor in rows)
    page.write_text(text.replace("generated: CoOp", "generated: CoOq"), encoding="utf-8")
    assert method_docs.main([]) == 2 and "CoOq" in capsys.readouterr().err
