"""Programs answer --help at once, and a Python without the packages gets one line that says what to do."""

import os
import resource
import shutil
import subprocess
import sys

import pytest

from clip_prompts.common import environment
from tests import documented
from tests.conftest import ROOT

pytestmark = pytest.mark.integration

FILES = [*sorted(ROOT.glob("*.py")), *sorted((ROOT / "tools").glob("*.py"))]
PROGRAMS = [str(file.relative_to(ROOT)) for file in FILES if file.stem not in ("__init__", "installed")]


def call(*argv):
    return subprocess.run([sys.executable, *argv], cwd=ROOT, capture_output=True, text=True)


@pytest.mark.parametrize("program", PROGRAMS)
def test_help_takes_less_than_a_second_of_cpu_and_has_two_examples(program):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = call(program, "--help")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0 and done.stdout.startswith("usage:")
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 1.0
    shown = documented.examples(done.stdout)
    assert len(shown) >= 2
    for command in shown:
        documented.parse(command)  # ends the process if an option is wrong
        assert not documented.missing_files(command.replace(" my_trainer.py", " tests/examples/my_trainer.py"))


@pytest.mark.parametrize("argv", [["train.py", "--trainer", "CoOp"], ["tools/sweep.py", "status"], ["tools/data.py"]])
def test_a_python_without_packages_gets_one_line(argv):
    done = call("-S", *argv)  # -S: without site-packages
    assert done.returncode == 2 and not done.stdout
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"Error: {sys.executable} lacks ") and "torch" in line
    assert "bin/activate" in line or "pip install -r requirements.txt" in line


@pytest.fixture
def checkout(tmp_path):
    """``checkout(script, *arguments, **environment)`` runs a script of a copy of the repository.

    Its tools/sweep.py prints the Python that it was given and its arguments. ``checkout.python(folder, name)`` makes a
    Python that has all packages; with ``lacks=True``, one that has none.
    """
    repository = tmp_path / "repository"
    for part in ("scripts", "configs/datasets"):
        shutil.copytree(ROOT / part, repository / part)
    parts = (
        "clip_prompts/__init__.py", "clip_prompts/common/environment.py", "pyproject.toml", "engine/pyproject.toml",
        "requirements.txt", "requirements-dev.txt",
    )  # fmt: skip
    for part in parts:
        (repository / part).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / part, repository / part)
    (repository / "tools").mkdir()
    (repository / "tools/sweep.py").write_text("import os, sys\nprint(os.environ['WHICH'], *sys.argv[1:])\n")
    (tmp_path / "nothing").mkdir()

    def python(folder, name, lacks=False):
        """A Python that says its name to what it runs, and only says so when it should install something."""
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        file = tmp_path / folder / name
        file.write_text(f"""#!/bin/sh
            case "$*" in *pip*install*|*venv*) echo "{folder} installs $*" >> {tmp_path}/installed; exit 0;; esac
            WHICH={folder} exec {sys.executable} {"-S" if lacks else ""} "$@"
        """)
        file.chmod(0o755)

    def run(script, *arguments, **environment):
        path = os.pathsep.join([str(tmp_path / "path"), "/usr/bin", "/bin"])
        installed = {"PYTHONPATH": os.pathsep.join([str(repository), str(ROOT / "engine")])}
        done = subprocess.run(
            ["bash", str(repository / f"scripts/{script}.sh"), *arguments], cwd=tmp_path / "nothing",
            env={"PATH": path, **installed, **{key: str(tmp_path / value) for key, value in environment.items()}},
            capture_output=True, text=True,
        )  # fmt: skip
        run.installed = (tmp_path / "installed").read_text() if (tmp_path / "installed").exists() else ""
        return done

    run.python = python
    return run


@pytest.mark.parametrize("variable", ["VIRTUAL_ENV", "CONDA_PREFIX"])
@pytest.mark.parametrize("script", ["base2new", "demo"])
def test_scripts_use_the_active_environment_if_it_has_the_packages(script, variable, checkout):
    checkout.python("active/bin", "python")
    checkout.python("repository/.venv/bin", "python")
    done = checkout(script, **{variable: "active"})
    assert done.returncode == 0 and done.stdout.startswith("active/bin base2new"), done.stderr
    assert not checkout.installed


@pytest.mark.parametrize("script", ["few_shot", "demo"])
def test_scripts_use_the_repositorys_environment_if_the_active_one_lacks_packages(script, checkout):
    checkout.python("active/bin", "python", lacks=True)
    checkout.python("repository/.venv/bin", "python")
    done = checkout(script, VIRTUAL_ENV="active")
    assert done.returncode == 0 and done.stdout.startswith("repository/.venv/bin"), done.stderr
    assert not checkout.installed


@pytest.mark.parametrize("name", ["python", "python3"])
def test_scripts_find_a_python_of_either_name(name, checkout):
    checkout.python("path", name)
    done = checkout("zeroshot", "ZeroshotCLIP", "digits")
    assert done.returncode == 0 and done.stdout.startswith("path zeroshot ZeroshotCLIP digits"), done.stderr


def test_without_any_python_that_has_the_packages_one_line_says_what_to_run(checkout):
    for name in ("python", "python3"):
        checkout.python("path", name, lacks=True)
    done = checkout("base2new")
    assert done.returncode == 2 and not done.stdout and not checkout.installed
    (line,) = done.stderr.splitlines()
    assert "bash scripts/demo.sh" in line and "pip install -r requirements.txt" in line


def test_the_demo_sets_up_an_environment_only_if_there_is_none(checkout):
    for name in ("python", "python3"):
        checkout.python("path", name, lacks=True)
    checkout.python("repository/.venv/bin", "python", lacks=True)
    done = checkout("demo")
    assert "installs -m pip" in checkout.installed and "install -r requirements.txt" in checkout.installed
    assert done.stdout.startswith("Setting up .venv") and "bin/activate" in done.stdout


PROTOCOLS = {
    "few_shot": "few_shot", "base2new": "base2new", "cross_dataset": "cross_dataset", "zeroshot": "zeroshot",
    "domain_generalization": "domain_generalization", "ablations": "ablation", "linear_probe": "few_shot",
}  # fmt: skip


@pytest.mark.parametrize("script, protocol", PROTOCOLS.items())
def test_all_protocols_take_the_same_arguments(script, protocol, checkout):
    checkout.python("path", "python3")
    done = checkout(script, "LinearProbe,CoOp", "digits,shapes", "tiny", "--again")
    assert done.stdout.strip() == f"path {protocol} LinearProbe,CoOp digits,shapes tiny --again"


@pytest.mark.parametrize("given", ["", "digits", "all", "digits,shapes tiny", "mine.yaml", "--seeds 1"])
def test_the_linear_probe_may_be_called_without_its_name(given, checkout):
    checkout.python("path", "python3")
    done = checkout("linear_probe", *given.split())
    assert done.stdout.split() == ["path", "few_shot", "LinearProbe", *given.split()]


def test_an_old_python_gets_one_line(monkeypatch, capsys):
    monkeypatch.setattr(environment.sys, "version_info", (3, 8, 10))
    with pytest.raises(SystemExit) as stop:
        environment.require_packages("train.py")
    assert stop.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"Error: {sys.executable} is Python 3.8. ") and ("activate" in line or "3.10" in line)


def test_versions_are_compared_by_number(monkeypatch):
    monkeypatch.setattr(environment.importlib.util, "find_spec", lambda name: True)
    versions = {"torch": "2.10.0+cpu", "setuptools": "81.0.1", "yacs": "0.1.8", "tqdm": "4.9"}
    monkeypatch.setattr(environment.importlib.metadata, "version", versions.get)
    asked = ("torch>=2.4", "setuptools>=65,<81", "yacs>=0.1.8", "tqdm>=4.60")
    assert [environment._is_met(requirement) for requirement in asked] == [True, False, True, False]
