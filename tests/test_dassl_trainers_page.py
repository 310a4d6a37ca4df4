"""docs/dassl_trainers.md: its tables are those of the registries, and its commands fit the files that they name."""

import re
import shlex

import pytest
from dassl.data.datasets import DATASET_REGISTRY
from dassl.engine import TRAINER_REGISTRY, TrainerXU

import datasets  # noqa: F401  (registers the readers)
from clip_prompts.run import arguments
from clip_prompts.run.checks import check_config
from clip_prompts.run.config import build_config
from tests.conftest import ROOT

pytestmark = pytest.mark.zoo

TEXT = (ROOT / "docs/dassl_trainers.md").read_text(encoding="utf-8")
COMMANDS = [
    " ".join(line.split())
    for block in re.findall(r"^```bash\n(.*?)^```", TEXT, re.M | re.S)
    for line in block.replace("\\\n", " ").splitlines()
]


def bundled(registry):
    return {n: registry.get(n) for n in registry.registered_names() if registry.get(n).__module__.startswith("dassl.")}


def table(heading):
    """First cell -> the others, of the table that begins with these columns."""
    lines = TEXT[TEXT.index(heading) :].split("\n\n")[0].splitlines()[2:]
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    return {row[0]: row[1:] for row in rows}


def test_every_trainer_is_in_the_table():
    rows, trainers = table("| name | task | idea"), bundled(TRAINER_REGISTRY)
    assert set(rows) == set(trainers)
    for name, (task, _, paper, requires) in rows.items():
        assert (
            task
            == {"dg": "generalization", "ssl": "few labels", "da": "adaptation"}[
                trainers[name].__module__.split(".")[2]
            ]
        )
        title = re.sub(r",? (ICLR|CVPR|NeurIPS|ICCV|IJCAI|AAAI|JMLR|TIP).*", "", paper)
        source = " ".join((trainers[name].__doc__ or "").split()).lower()
        assert paper == "baseline" or title.split(": ")[-1].lower() in source, "the paper that the class names"
        assert issubclass(trainers[name], TrainerXU) == ("images" in requires)


def test_every_dataset_is_in_the_table():
    rows, kinds = table("| name | for | folder"), bundled(DATASET_REGISTRY)
    assert set(rows) == set(kinds)
    for name, (task, folder, domains) in rows.items():
        kind = kinds[name]
        assert task == {"dg": "generalization", "ssl": "few labels", "da": "adaptation"}[kind.__module__.split(".")[3]]
        assert f"{kind.dataset_dir}/" in folder or folder == "that of Digit5"
        assert domains == ", ".join(kind.domains) or not kind.domains


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_fits_its_files(command, monkeypatch):
    monkeypatch.chdir(ROOT)
    program, *argv = shlex.split(command)[1:]
    assert program == "train.py"
    cfg = build_config(arguments.parse(argv))
    check_config(cfg)
    assert f"configs/trainers/{cfg.TRAINER.NAME}/" in command
    if weights := cfg.MODEL.INIT_WEIGHTS:
        folder, epochs = re.fullmatch(r"(.*)/model/model\.pth\.tar-(\d+)", weights).groups()
        (earlier,) = (c for c in COMMANDS if f"--output-dir {folder} " in c)
        made = build_config(arguments.parse(shlex.split(earlier)[2:]))
        assert made.OPTIM.MAX_EPOCH == int(epochs) and made.MODEL.BACKBONE.NAME == cfg.MODEL.BACKBONE.NAME


def test_the_page_is_found_from_the_readme():
    assert "(docs/dassl_trainers.md)" in (ROOT / "README.md").read_text(encoding="utf-8")
