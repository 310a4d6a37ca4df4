"""Facts about methods and sets of datasets: their files, defaults for unknown methods, files that are refused."""

import pytest

import trainers  # noqa: F401  (registers the trainers, whose settings the files name)
from clip_prompts.common import dataset_sets, method_facts
from clip_prompts.common.errors import UserError
from clip_prompts.common.method_facts import default_methods, read_facts, row_order
from clip_prompts.common.trees import flat
from clip_prompts.common.yaml_files import read_yaml
from clip_prompts.run.config import default_config
from tests.conftest import ROOT

KEYS = flat(default_config())
FILES = sorted((ROOT / "configs/trainers").glob("*/method.yml"))


@pytest.fixture
def method(tmp_path, monkeypatch):
    """A function that writes the file of the method New."""
    (tmp_path / "New").mkdir()
    monkeypatch.setattr(method_facts, "FOLDER", tmp_path)
    method_facts._read.cache_clear()
    yield (tmp_path / "New" / "method.yml").write_text
    method_facts._read.cache_clear()


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.parent.name)
def test_every_file_names_existing_configs(file):
    facts = read_facts(file.parent.name)
    assert facts.folder == file.parent
    configs = {f.stem: f for f in file.parent.glob("*.yaml")}
    assert set(facts.configs.values()) <= set(configs)
    datasets = {name for rule in facts.settings for name in rule.get("datasets", [])}
    assert datasets <= {*dataset_sets.papers().datasets}
    assert {key for rule in facts.settings for key in rule["set"]} <= set(KEYS)


def test_rows_of_tables():
    expected = [
        "ZeroshotCLIP", "ZeroshotCLIP2", "LinearProbe", "CoOp", "CoCoOp", "KgCoOp", "ProGrad", "VPT", "IVLP", "MaPLe",
        "PromptSRC", "TCP", "DePT", "Anything",
    ]  # fmt: skip
    assert sorted(sorted(expected), key=row_order) == expected


def test_default_methods():
    assert default_methods("base2new") == ["ZeroshotCLIP", "CoOp", "CoCoOp"]
    assert default_methods("zeroshot") == ["ZeroshotCLIP"]


def test_the_first_rule_that_fits_gives_the_value_of_a_key(method):
    method("""settings:
  - {datasets: [imagenet], set: {A.B: 1}}
  - {protocols: [few_shot, base2new], least_shots: 2, most_shots: 4, set: {A.B: 2, C: x}}
  - {set: {A.B: 3}}
""")
    found = read_facts("New").settings_for
    assert found("few_shot", "imagenet", 1) == {"A.B": "1"}
    assert found("base2new", "imagenet", 2) == {"A.B": "1", "C": "x"}
    assert found("few_shot", "dtd", 4) == {"A.B": "2", "C": "x"}
    assert found("few_shot", "dtd", 5) == found("cross_dataset", "dtd", 4) == {"A.B": "3"}


def test_shots_are_a_number_or_a_list(method):
    method("shots: {base2new: 4, few_shot: [1, 2], other: 8}")
    facts = read_facts("New")
    assert [facts.shots_for(protocol) for protocol in ("base2new", "few_shot", "ablation")] == [[4], [1, 2], [8]]
    assert read_facts("Unheard").shots_for("base2new") == []


def test_an_unknown_method_takes_part_everywhere():
    facts = read_facts("Unheard")
    assert facts.folder is None and facts.takes_part("ablation") and not facts.is_zero_shot
    assert facts.settings_for("few_shot", "imagenet", 1) == {} and facts.config("few_shot") is None
    expected = ["TRAINER.UNHEARD.N_CTX", "4", "TRAINER.UNHEARD.CTX_INIT", "a photo"]
    assert facts.context_settings(4, "a photo") == expected


def test_a_folder_without_the_file_has_defaults(method):
    assert read_facts("New").takes_part("zeroshot") and read_facts("NewToo").folder.name == "New"


def test_transductive_methods_are_the_last_rows():
    assert sorted(["PromptKD", "Anything", "CoOp", "ZeroshotCLIP"], key=row_order)[-2:] == ["Anything", "PromptKD"]


def test_ablated_settings_are_the_files(method):
    method("ablation: {length: TRAINER.OTHER.LENGTH, capacity: 7}")
    assert read_facts("New").context_settings(8, "")[:2] == ["TRAINER.OTHER.LENGTH", "8"]
    assert read_facts("New").ablation["capacity"] == 7


@pytest.mark.parametrize(
    "text, parts",
    [
        ("oder: 3", ("unknown key 'oder'", "order")),
        ("order: high", ("order", '"high"')),
        ("learns: dogs", ("dogs", "classes")),
        ("by_default: 1", ("by_default",)),
        ("transductive: 1", ("transductive",)),
        ("base: [CoOp]", ("base",)),
        ("- order", ("KEY: VALUE",)),
        ("a: [", ("cannot be read",)),
        ("settings: [50]", ("settings: 50",)),
        ("settings: [{datasets: [dtd]}]", ("lacks 'set'",)),
        ("settings: [{dataset: dtd, set: {A: 1}}]", ("unknown key 'settings: dataset'",)),
        ("shots: {base2new: few}", ("shots", "whole numbers")),
        ("shots: {base_new: 4}", ("Did you mean 'base2new'",)),
        ("ablation: {capacity: x}", ("ablation: capacity",)),
        ("protocols: [1]", ("Unknown protocol '1'",)),
        ("protocols: [fewshot]", ("Did you mean 'few_shot'",)),
        ("settings: [{protocols: [base_new], set: {A: 1}}]", ("Did you mean 'base2new'",)),
        ("configs: {few_shot: 3}", ("configs",)),
    ],
)
def test_a_wrong_file_is_one_line(text, parts, method):
    method(text)
    with pytest.raises(UserError) as caught:
        read_facts("New")
    assert all(part in str(caught.value) for part in ("method.yml", *parts)) and "\n" not in str(caught.value)


def test_sets_of_datasets():
    found = dataset_sets.embedded(), dataset_sets.papers()
    for one in found:
        assert one.source in one.datasets and one.source not in one.of_protocol("cross_dataset")
        assert dataset_sets.variants_of(one.source) == one.of_protocol("domain_generalization")
        assert all(
            (dataset_sets.FOLDER / f"{name}.yaml").is_file() for name in one.datasets + one.variants + one.others
        )
    assert dataset_sets.variants_of("dtd") == () and "shapes_domains" in found[0] and "dtd" not in found[0]
    assert dataset_sets.table_order()[:2] == ("ImageNet", "Caltech101") and len(dataset_sets.table_order()) == 15


def test_every_generated_dataset_is_embedded():
    from dassl.data.datasets import DATASET_REGISTRY

    import datasets  # noqa: F401
    from clip_prompts.data.generated import GeneratedDataset

    names = {f.stem: read_yaml(f)["DATASET"]["NAME"] for f in dataset_sets.FOLDER.glob("*.yaml")}
    generated = {stem for stem, name in names.items() if issubclass(DATASET_REGISTRY.get(name), GeneratedDataset)}
    assert generated and generated <= {stem for stem in names if stem in dataset_sets.embedded()}
