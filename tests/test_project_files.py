"""Files around the code: changelog, citation, workflow, issue forms, container, conda, the Chinese README."""

import re

import pytest
import yaml

from tests.conftest import ROOT

VERSION = (ROOT / "engine/VERSION").read_text().strip()
PROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
INSTALLATION = (ROOT / "docs/installation.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
CHINESE = (ROOT / "docs/zh/README.md").read_text(encoding="utf-8")
FORMS = sorted((ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml"))
FOLDERS = "configs|docs|scripts|tools|tests|engine"
NAMED = re.compile(rf"(?<![\w/.])((?:{FOLDERS})/[\w./-]+\w|[A-Z]+\.md|requirements[\w-]*\.txt)")


def read_yaml(name):
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.M | re.S)


def test_the_changelog_is_by_versions():
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    heads = re.findall(r"^## (.*)", text, re.M)
    assert heads[0] == "[Unreleased]" and heads[1].startswith(f"[{VERSION}] - ")
    dated = [re.fullmatch(r"\[(\d+)\.(\d+)\.(\d+)\] - (\d{4}-\d\d-\d\d)", head).groups() for head in heads[1:]]
    order = [(tuple(map(int, numbers)), date) for *numbers, date in dated]
    assert order == sorted(order, reverse=True)
    for part in re.split(r"^## ", text, flags=re.M)[1:]:
        kinds = re.findall(r"^### (.*)", part, re.M)
        assert kinds == [k for k in ("Added", "Changed", "Deprecated", "Removed", "Fixed", "Security") if k in kinds]


def test_the_citation_has_every_paper_that_a_method_names():
    citation = read_yaml("CITATION.cff")
    assert (citation["cff-version"], citation["title"]) == ("1.2.0", "CLIP Prompt Toolbox")
    assert (str(citation["version"]), citation["license"]) == (VERSION, "MIT")
    assert citation["message"] and citation["authors"]
    cited = {(reference["title"], reference["year"]) for reference in citation["references"]}
    authors = [author for reference in citation["references"] for author in reference["authors"]]
    assert all(author.keys() == {"family-names", "given-names"} for author in authors)
    named = set()
    for file in (ROOT / "trainers").glob("*.py"):
        text = " ".join(file.read_text(encoding="utf-8").split())
        named |= {(title, int(year)) for title, year in re.findall(r'"([^"]+)", (?:[A-Z]{4}) (\d{4})', text)}
    assert len(named) >= 10 and named <= cited


def test_the_workflow_has_the_oldest_and_the_newest_versions():
    (job,) = read_yaml(".github/workflows/tests.yml")["jobs"].values()
    oldest, newest = job["strategy"]["matrix"]["include"]
    bounds = dict(re.findall(r'^    "([\w-]+)>=([\d.]+)', PROJECT, re.M))
    expected = [f"{name}=={bounds[name]}.*" for name in ("torch", "torchvision")]
    assert oldest["packages"].split() == expected and newest["packages"].split() == ["torch", "torchvision"]
    assert f'requires-python = ">={oldest["python"]}"' in PROJECT
    assert re.search(rf"Python {oldest['python']} to {newest['python']}\b", INSTALLATION)
    commands = [step["run"] for step in job["steps"] if "run" in step]
    assert commands[2] == "bash scripts/test.sh" and "pip install gradio" in commands[3]  # it changes Pillow
    index = re.search(r"--index-url \S+", INSTALLATION).group()
    assert commands[0].endswith(f"pip install ${{{{ matrix.packages }}}} {index}")


@pytest.mark.parametrize("form", [form for form in FORMS if form.name != "config.yml"], ids=lambda form: form.stem)
def test_issue_forms(form):
    """As GitHub reads them: a name, a description, and fields with labels and ids of their own."""
    content = yaml.safe_load(form.read_text(encoding="utf-8"))
    assert content["name"] and content["description"] and content["labels"]
    fields = [field for field in content["body"] if field["type"] != "markdown"]
    assert {field["type"] for field in fields} <= {"textarea", "input", "dropdown", "checkboxes"}
    assert len({field["id"] for field in fields}) == len(fields)
    assert len({field["attributes"]["label"] for field in fields}) == len(fields)
    assert any(field.get("validations", {}).get("required") for field in fields)
    assert all(field["attributes"]["options"] for field in fields if field["type"] in ("dropdown", "checkboxes"))


def test_the_forms_are_there():
    assert {form.stem for form in FORMS} == {"bug", "config", "new_method", "numbers_differ"}
    assert set(read_yaml(".github/ISSUE_TEMPLATE/config.yml")) <= {"blank_issues_enabled", "contact_links"}


def test_files_that_are_named_exist():
    files = [*FORMS, ROOT / ".github/workflows/tests.yml", ROOT / "Dockerfile", ROOT / "environment.yml"]
    named = {(name, file.name) for file in files for name in NAMED.findall(file.read_text(encoding="utf-8"))}
    assert len(named) > 8
    assert not {(name, file) for name, file in named if not (ROOT / name).exists()}


def test_container_and_conda_install_as_the_docs_say():
    documented = [line for block in blocks(INSTALLATION, "bash") for line in block.splitlines()]
    container = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    lines = re.findall(r"pip install [^;\n]*", container)
    assert len(lines) == 2 and set(lines) <= set(documented)
    assert container.index(lines[0]) > container.index("COPY . .") and lines[-1].endswith("requirements.txt")
    text = (ROOT / "environment.yml").read_text(encoding="utf-8")
    (index,) = re.findall(r"--index-url (\S+)", lines[0])
    assert f"# - --extra-index-url {index}\n" in text
    assert [x for x in read_yaml("environment.yml")["dependencies"] if isinstance(x, dict)] == [
        {"pip": ["-r requirements.txt"]}
    ]
    first = [line.removeprefix("# ") for line in text.splitlines() if line.startswith("#")]
    assert set(first) <= set(documented)
    pythons = re.findall(r"(?:FROM python:|python=)(3\.\d+)", container + text)
    assert len(pythons) == 2 and len(set(pythons)) == 1


def test_the_chinese_readme_has_the_commands_and_numbers_of_the_english_one():
    """``test_readme.py`` runs those."""
    for language in ("bash", "python"):
        assert blocks(README, language) and blocks(CHINESE, language) == blocks(README, language)
    assert CHINESE.count("\n## ") == README.count("\n## ")
    demo, methods = r"^\| \w+ +\| \w+ +\|(?: [\d.]+ ± [\d.]+ \|){3}$", r"^\| \[(\w+)\]\(.*#\w+\) \| (.*?) \|"
    for rows in (demo, methods):
        assert len(re.findall(rows, README, re.M)) > 5
        assert re.findall(rows, CHINESE, re.M) == re.findall(rows, README, re.M)
    numbers = [re.findall(r"#\w+\) .* \|([^|]*)\|$", text, re.M) for text in (README, CHINESE)]
    english, chinese = ([re.findall(r"[\d,]*\d", cell) for cell in cells] for cells in numbers)
    assert chinese == english


def test_the_chinese_readme_links_to_the_same_pages():
    def targets(text, folder):
        links = re.findall(r"\]\(([^)#\s]+)", text) + re.findall(r'src="(.+?)"', text)
        return {link if "://" in link else (folder / link).resolve() for link in links}

    english, chinese = targets(README, ROOT), targets(CHINESE, ROOT / "docs/zh")
    assert english - {ROOT / "docs/zh/README.md"} == chinese - {ROOT / "README.md"}
