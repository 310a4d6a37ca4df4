"""Published tables: runs with their numbers and settings verify; their config files hold their recipes."""

import csv
import io

import pytest

import trainers  # noqa: F401  (registers the trainers, whose settings the files change)
from clip_prompts.common.dataset_sets import papers, reader_name
from clip_prompts.common.method_facts import read_facts
from clip_prompts.common.protocols import TRANSFERS
from clip_prompts.common.trees import flat
from clip_prompts.report.published import published
from clip_prompts.run import arguments
from clip_prompts.run.config import build_config
from tests.tools.records import record, write
from tools import report

GENERAL = {"epochs": "OPTIM.MAX_EPOCH", "batch": "DATALOADER.TRAIN_X.BATCH_SIZE", "lr": "OPTIM.LR"}
OF_RECORD = ("backbone", "shots", "precision", "selection")  # facts of a recipe that a record has in fields of its own
COMPANION = "Unheard"  # zero-shot methods are shown next to a method that learns


def name(entry):
    return f"{entry.protocol} {entry.trainer} {entry.source} {','.join(map(str, entry.values.get('average', '')))}"


def parts(entry):
    """The method that the entry's method is put on, or "", and its trainer."""
    base, _, trainer = entry.trainer.partition("+")
    return (base, trainer) if trainer.isalnum() else ("", entry.trainer)


def of(value, dataset):
    return value.get(dataset, value["*"]) if isinstance(value, dict) else value


def keys(entry, dataset):
    """Config key -> value of the settings in an entry's recipe, for runs that learn on a dataset."""
    node = f"TRAINER.{parts(entry)[1].upper()}."
    plain = {key: of(value, dataset) for key, value in entry.recipe.items() if key not in OF_RECORD}
    return {GENERAL.get(key, key if "." in key else node + key): value for key, value in plain.items()}


def run(entry, accuracy, dataset, classes="all", shots=16, source=None, trainer=None, **more):
    """A record of the entry's method, with the settings of its recipe."""
    base, own = parts(entry)
    idle = read_facts(own).is_zero_shot and not trainer
    more |= {key: entry.recipe[key] for key in ("backbone", "precision", "selection") if key in entry.recipe}
    settings = keys(entry, source or dataset) | ({f"TRAINER.{own.upper()}.BASE": base} if base else {})
    if source:
        classes_of = "base" if source == dataset else "all"
        more["source"] = {"dataset": source, "classes": classes_of, "shots": shots, "seed": 1, "recipe": "r"}
    settings = {} if idle or trainer else settings
    return record(accuracy, trainer or own, dataset, classes, shots=shots, settings=settings, **more)


def records(entry):
    """One run for each cell of an entry's table; an average alone is that of equal cells."""
    protocol, datasets = entry.protocol, [*map(reader_name, papers().of_protocol(entry.protocol))]
    idle = read_facts(entry.trainer).is_zero_shot
    cells = {d: row for d, row in entry.values.items() if d != "average"}
    if not set(cells) & set(datasets):
        cells |= dict.fromkeys(datasets, entry.values["average"])
    for dataset, row in cells.items():
        for column, accuracy in zip(entry.columns, row, strict=True):
            shots = int(column) if column.isdigit() else entry.recipe.get("shots", 16)
            if column in ("base", "new"):
                yield run(entry, accuracy, dataset, column, shots, protocol=protocol)
            elif column == "joint":
                yield run(entry, accuracy, dataset, shots=shots, source=None if idle else dataset, protocol=protocol)
                yield run(entry, 50.0, dataset, shots=shots, source=dataset, protocol=protocol, trainer=COMPANION)
            elif protocol in TRANSFERS and dataset != "ImageNet" and not idle:
                yield run(entry, accuracy, dataset, shots=shots, source="ImageNet", protocol=protocol)
            elif column != "H":
                yield run(entry, accuracy, dataset, shots=shots, protocol="zeroshot" if idle else "few_shot")
    if idle and protocol in TRANSFERS:
        for dataset in datasets:
            yield run(entry, 50.0, dataset, source="ImageNet", protocol=protocol, trainer=COMPANION)


@pytest.mark.parametrize("entry", published(), ids=name)
def test_runs_with_the_published_numbers_verify(entry, tmp_path, capsys):
    for i, one in enumerate(records(entry)):
        write(tmp_path / str(i), one)
    status = report.main([str(tmp_path), "--protocol", entry.protocol, "--verify", "--against", entry.source])
    printed, err = capsys.readouterr()
    out = " ".join(printed.split())
    count = sum(number is not None for row in entry.values.values() for number in row)
    assert status == 0, printed
    assert f"{count} of {count} published numbers are reached within tolerance" in err
    assert f"published: {entry.title}{' (a rerun)' * entry.rerun}" in out and "settings: as published" in out
    assert "not recorded" not in out and out.count("against the published numbers") == 1


@pytest.mark.parametrize("protocol", ["base2new", "cross_dataset", "domain_generalization", "few_shot"])
def test_a_folder_with_every_method_verifies(protocol, tmp_path, capsys):
    """The first table of each method and backbone."""
    first = {(e.trainer, e.recipe["backbone"]): e for e in reversed(published()) if e.protocol == protocol}
    for i, one in enumerate(one for entry in first.values() for one in records(entry)):
        write(tmp_path / str(i), one)
    assert report.main([str(tmp_path), "--protocol", protocol, "--verify"]) == 0
    printed, err = capsys.readouterr()
    assert f"{printed.count(' yes ')} of {printed.count(' yes ')} published numbers are reached" in err
    assert {e.trainer for e in first.values()} <= {word.strip(",") for word in printed.split()}


def test_a_transductive_method_is_marked_and_not_ranked(tmp_path, capsys):
    """PromptKD has the highest numbers; the best of the others is marked instead."""
    for entry in published():
        if entry.source == "promptkd-table-1":
            for i, one in enumerate(records(entry)):
                write(tmp_path / entry.trainer / str(i), one | {"selection": "last epoch"})
    assert report.main([str(tmp_path), "--format", "csv"]) == 0
    table = csv.DictReader(io.StringIO(capsys.readouterr().out))
    rows = {row["row"]: row for row in table if row["group"].startswith("average") and row["column"] == "H"}
    assert list(rows) == ["MaPLe", "PromptSRC", "PromptKD (transductive)"]
    assert [row["best"] for row in rows.values()] == ["0", "1", "0"]
    assert float(rows["PromptKD (transductive)"]["value"]) > float(rows["PromptSRC"]["value"])
    assert report.main([str(tmp_path)]) == 0
    assert "PromptKD (transductive): learns from unlabelled images" in " ".join(capsys.readouterr().out.split())


def test_runs_with_another_backbone_or_other_shots_have_nothing_to_compare(tmp_path, capsys):
    for i, more in enumerate(({"backbone": "RN101"}, {"shots": 2})):
        write(tmp_path / str(i), record(90.0, "CoOp", classes="base", protocol="base2new", **more))
    assert report.main([str(tmp_path), "--verify"]) == 1
    assert "Nothing to compare" in capsys.readouterr().err


def folder(entry):
    """The method's config files; None until there are some."""
    found = read_facts(parts(entry)[1]).folder
    return found if found and any(found.glob("*.yaml")) else None


@pytest.mark.parametrize("entry", [e for e in published() if e.config and folder(e)], ids=name)
def test_the_config_file_holds_the_recipe(entry):
    for dataset in entry.config if isinstance(entry.config, dict) else ["*"]:
        file = folder(entry) / f"{of(entry.config, dataset)}.yaml"
        merged = flat(build_config(arguments.parse(["--trainer", parts(entry)[1], "--config-file", str(file)])))
        wanted = keys(entry, dataset) | {"MODEL.BACKBONE.NAME": entry.recipe["backbone"]}
        assert {key: merged[key] for key in wanted} == wanted
