"""Jobs of a protocol: folders, command lines, configs, lists; bad input; the scripts."""

import os
import subprocess
import sys

import pytest

from clip_prompts.common import dataset_sets
from clip_prompts.common.errors import UserError
from clip_prompts.sweep import defaults, plan
from clip_prompts.sweep.request import Request, variant_of
from tests.conftest import ROOT
from tools import sweep

pytestmark = pytest.mark.integration

ELEVEN = set(dataset_sets.papers().datasets)


def jobs(protocol, **fields):
    return plan.plan([Request(protocol=protocol, **{"seeds": [1], **fields})])


def folders(protocol, **fields):
    return [job.folder for job in jobs(protocol, **fields)]


@pytest.mark.parametrize(
    "protocol, dataset, folder",
    [
        ("few_shot", "dtd", "dtd/CoOp/rn50_4shots"),
        ("base2new", "dtd", "base2new/train_base/dtd/shots_4/CoOp/vit_b16_ctxv1"),
        ("cross_dataset", "dtd", "imagenet/CoOp/vit_b16_ep50_ctxv1_4shots"),
    ],
)
def test_folders_are_upstreams(protocol, dataset, folder):
    """CoOp with 4 shots learns for 100 epochs in the few-shot protocol."""
    expected = folder.replace("rn50", "rn50_ep100") + "/seed1"
    assert folders(protocol, trainers=["CoOp"], datasets=[dataset], shots=[4])[0] == expected


def test_transfers_go_from_one_source_and_wait_for_it():
    source, *targets = jobs("cross_dataset", trainers=["CoOp"], root="/data")
    assert source.folder == "imagenet/CoOp/vit_b16_ep50_ctxv1_16shots/seed1" and source.protocol == "few_shot"
    assert {job.dataset for job in targets} == ELEVEN - {"imagenet"} and len(targets) == 10
    for job in targets:
        assert job.folder == f"evaluation/CoOp/vit_b16_ep50_ctxv1_16shots/{job.dataset}/seed1"
        argv = job.argv("/out")
        assert argv[argv.index("--model-dir") + 1] == f"/out/{source.folder}" and "--eval-only" in argv
        assert "DATASET.NUM_SHOTS" not in argv and argv[argv.index("--protocol") + 1] == "cross_dataset"
    assert folders("cross_dataset", trainers=["CoOp"])[1] == "evaluation/shapes/CoOp/tiny_16shots/digits/seed1"


@pytest.mark.parametrize("root, source", [("", "shapes"), ("/data", "imagenet")])
def test_domain_generalization_tests_on_the_variants(root, source):
    learned, *targets = jobs("domain_generalization", trainers=["CoOp"], root=root)
    assert (learned.dataset, tuple(job.dataset for job in targets)) == (source, dataset_sets.variants_of(source))
    assert {job.protocol for job in targets} == {"domain_generalization"}


@pytest.mark.parametrize("protocol", ["few_shot", "base2new", "zeroshot"])
@pytest.mark.parametrize("root, expected", [("", {"digits", "shapes"}), ("/data", ELEVEN)])
def test_all_datasets(protocol, root, expected):
    assert {job.dataset for job in jobs(protocol, root=root, datasets=["all"])} == expected


def test_base_to_new_commands():
    train, test = jobs("base2new", trainers=["CoCoOp"], datasets=["oxford_pets"], root="/data")
    assert test.after == train.folder
    assert train.argv("/o")[-2:] == ["DATASET.SUBSAMPLE_CLASSES", "base"] and not train.evaluates
    assert test.argv("/o")[-2:] == ["DATASET.SUBSAMPLE_CLASSES", "new"] and test.evaluates
    pairs = dict(zip(train.settings[::2], train.settings[1::2], strict=True))
    assert pairs["TRAIN.CHECKPOINT_FREQ"] == "1" and pairs["DATASET.NUM_SHOTS"] == "16"  # 10 epochs


def test_zero_shot_needs_no_training_and_is_shared():
    assert folders("few_shot", trainers=["ZeroshotCLIP"], datasets=["digits"]) == ["ZeroshotCLIP/tiny/digits"]
    both = plan.plan([Request(protocol=p, trainers=["ZeroshotCLIP"], seeds=[1]) for p in ("few_shot", "cross_dataset")])
    assert len({job.folder for job in both}) == len(both) == 2
    assert all(job.evaluates and not job.after for job in jobs("base2new", trainers=["ZeroshotCLIP"]))


@pytest.mark.parametrize(
    "dataset, shots, config",
    [
        ("dtd", 1, "rn50_ep50"), ("dtd", 2, "rn50_ep100"), ("dtd", 4, "rn50_ep100"), ("dtd", 8, "rn50"),
        ("dtd", 16, "rn50"), ("imagenet", 1, "rn50_ep50"), ("imagenet", 16, "rn50_ep50"), ("digits", 1, "tiny"),
    ],
)  # fmt: skip
def test_epochs_by_shots(dataset, shots, config):
    assert defaults.config_of("few_shot", "CoOp", dataset, shots, None)[0].stem == config


def test_a_family_without_a_file_for_its_epochs_gets_a_setting_that_names_the_folder():
    (job,) = jobs("few_shot", trainers=["CoOp"], datasets=["dtd"], config="vit_b32", shots=[2])
    assert job.folder == "dtd/CoOp/vit_b32_2shots/MAX_EPOCH-100/seed1" and job.settings[-2:] == [
        "OPTIM.MAX_EPOCH",
        "100",
    ]
    file = str(ROOT / "configs/trainers/CoOp/rn50.yaml")
    assert folders("few_shot", trainers=["CoOp"], datasets=["dtd"], config=file, shots=[1]) == [
        "dtd/CoOp/rn50_1shots/seed1"
    ]


PUBLISHED = {  # protocol, trainer, dataset: the folders of the runs that learn, without the seed
    ("base2new", "KgCoOp", "dtd"): ["dtd/shots_16/KgCoOp/vit_b16_ep100_ctxv1"],
    ("base2new", "ProGrad", "dtd"): ["dtd/shots_4/ProGrad/rn50_ep100"],
    ("base2new", "ProGrad", "imagenet"): ["imagenet/shots_4/ProGrad/rn50_ep50"],
    ("base2new", "IVLP", "dtd"): ["dtd/shots_16/IVLP/vit_b16_c2_ep5_batch4_2+2ctx"],
    ("base2new", "VPT", "dtd"): ["dtd/shots_16/VPT/vit_b16_c2_ep5_batch4_4"],
    ("base2new", "MaPLe", "caltech101"): ["caltech101/shots_16/MaPLe/vit_b16_c2_ep5_batch4_2ctx"],
    ("base2new", "PromptSRC", "dtd"): ["dtd/shots_16/PromptSRC/vit_b16_c2_ep20_batch4_4+4ctx"],
    ("base2new", "TCP", "dtd"): ["dtd/shots_16/TCP/vit_b16_ep100_ctxv1"],
    ("base2new", "TCP", "sun397"): ["sun397/shots_16/TCP/vit_b16_ep100_ctxv1/MAX_EPOCH-25"],
    ("base2new", "DePT", "dtd"): ["dtd/shots_16/DePT/coop_vit_b16_ep10_bs4_lr35"],
    ("few_shot", "ProGrad", "dtd"): [
        "dtd/ProGrad/rn50_ep50_1shots", "dtd/ProGrad/rn50_ep100_2shots", "dtd/ProGrad/rn50_ep100_4shots",
        "dtd/ProGrad/rn50_8shots/LAMBDA-0.8", "dtd/ProGrad/rn50_16shots/LAMBDA-0.8",
    ],
    ("few_shot", "TCP", "imagenet"): ["imagenet/TCP/vit_b16_ep100_ctxv1_4shots/MAX_EPOCH-25"],
    ("few_shot", "PromptSRC", "dtd"): [
        f"dtd/PromptSRC/vit_b16_c2_ep50_batch4_4+4ctx_few_shot_{k}shots/GPA_MEAN-45_GPA_STD-5" for k in (1, 2, 4, 8, 16)
    ],
    ("few_shot", "PromptSRC", "ucf101"): [
        f"ucf101/PromptSRC/vit_b16_c2_ep50_batch4_4+4ctx_few_shot_{k}shots" for k in (1, 2, 4, 8, 16)
    ],
    ("cross_dataset", "KgCoOp", "dtd"): ["imagenet/KgCoOp/vit_b16_ep100_ctxv1_4shots"],
    ("cross_dataset", "MaPLe", "dtd"): ["imagenet/MaPLe/vit_b16_c2_ep5_batch4_2ctx_cross_datasets_16shots"],
    ("domain_generalization", "KgCoOp", "imagenetv2"): ["imagenet/KgCoOp/vit_b16_ep100_ctxv1_16shots"],
    ("domain_generalization", "PromptSRC", "imagenetv2"): [
        "imagenet/PromptSRC/vit_b16_c2_ep20_batch4_4+4ctx_cross_datasets_16shots"
    ],
}  # fmt: skip


@pytest.mark.parametrize("protocol, trainer, dataset", PUBLISHED)
def test_a_method_takes_its_published_recipe(protocol, trainer, dataset):
    found = jobs(protocol, trainers=[trainer], datasets=[dataset], root="/data", part="train")
    assert [job.folder.removeprefix("base2new/train_base/").removesuffix("/seed1") for job in found] == PUBLISHED[
        protocol, trainer, dataset
    ]


def test_embedded_data_take_the_shots_of_the_protocol():
    assert {job.shots for job in jobs("base2new", trainers=["ProGrad"])} == {16}
    assert {job.shots for job in jobs("few_shot", trainers=["TCP"])} == {1, 2, 4, 8, 16}


def test_the_users_settings_and_shots_win_over_the_recipe():
    asked = {"shots": [8], "settings": ["TRAINER.PROGRAD.LAMBDA", "0.5", "OPTIM.MAX_EPOCH", "7"]}
    (job,) = jobs("few_shot", trainers=["ProGrad"], datasets=["dtd"], **asked)
    assert job.folder == "dtd/ProGrad/rn50_8shots/LAMBDA-0.5_MAX_EPOCH-7/seed1"
    assert folders("base2new", trainers=["ProGrad"], datasets=["dtd"], shots=[2])[0].split("/")[3] == "shots_2"


def test_a_recipe_changes_no_file_with_another_value():
    """PromptSRC's file for base to new has another GPA_MEAN than its file for few shots."""
    name = "vit_b16_c2_ep20_batch4_4+4ctx"
    (job,) = jobs("few_shot", trainers=["PromptSRC"], datasets=["dtd"], config=name, shots=[1])
    assert job.folder == f"dtd/PromptSRC/{name}_1shots/seed1"


@pytest.mark.parametrize("base, config", [
    ("CoOp", "coop_vit_b16_ep10_bs4_lr35"), ("CoCoOp", "cocoop_vit_b16_c4_ep10_batch1_ctxv1"),
    ("KgCoOp", "kgcoop_vit_b16_ep10_ctxv1_bs4_lr35"), ("MaPLe", "maple_vit_b16_c2_ep10_batch4_2ctx"),
])  # fmt: skip
def test_the_base_of_a_method_chooses_its_config_file(base, config):
    set_base = ["TRAINER.DEPT.BASE", base]
    found = jobs("base2new", trainers=["DePT"], datasets=["dtd"], settings=set_base)
    assert {job.config for job in found} == {config}
    assert all(f"/DePT/{config}/BASE-{base}/" in job.folder for job in found)


def test_settings_name_the_folder():
    assert variant_of(["TRAINER.COOP.N_CTX", "8", "MODEL.BACKBONE.NAME", "/a/b.pt"]) == "N_CTX-8_BACKBONE_NAME-b.pt"
    changed = folders("few_shot", trainers=["CoOp"], datasets=["digits"], shots=[1], settings=["TEST.NO_TEST", "x y"])
    assert changed == ["digits/CoOp/tiny_1shots/NO_TEST-x_y/seed1"]


def test_the_ablations():
    found = jobs("ablation", trainers=["CoOp", "CoCoOp", "ZeroshotCLIP"], datasets=["digits"])
    variants = {(j.trainer, j.classes, j.folder.split("/")[-2]) for j in found}
    words = "N_CTX-4_CTX_INIT-a_photo_of_a"
    assert {c for t, c, v in variants if t == "CoCoOp" and v == words} == {"base", "new", "all"}
    assert {v for t, c, v in variants if t == "CoOp" and c == "new"} == {
        words, *(f"N_CTX-{n}_CTX_INIT-none" for n in (4, 8, 16, 60))
    }  # fmt: skip
    assert ("CoCoOp", "base", "N_CTX-60_CTX_INIT-none") not in variants and ("ZeroshotCLIP", "all", "tiny") in variants
    assert {j.protocol for j in found} == {"ablation"}


def test_what_a_key_depends_on(tmp_path):
    config = tmp_path / "mine.yaml"
    config.write_text("OPTIM: {MAX_EPOCH: 2}\n")

    def keys(**fields):
        return [j.key for j in jobs("base2new", trainers=["CoOp"], datasets=["digits"], config=str(config), **fields)]

    before = keys()
    assert keys(root="/elsewhere") == before
    assert not set(keys(settings=["OPTIM.LR", "0.1"])) & set(before)
    config.write_text("# a comment\nOPTIM: {MAX_EPOCH: 2}\n")
    assert keys() == before
    config.write_text("OPTIM: {MAX_EPOCH: 3}\n")
    assert not set(keys()) & set(before)  # of the evaluation too


def test_two_runs_never_share_a_folder():
    pair = [Request(protocol="few_shot", trainers=["CoOp"], datasets=["digits"], variant="x", settings=["OPTIM.LR", v])
            for v in ("0.1", "0.2")]  # fmt: skip
    with pytest.raises(UserError, match="use the folder digits/CoOp/tiny_1shots/x/seed1"):
        plan.plan(pair)


@pytest.mark.parametrize("file", sorted((ROOT / "configs/sweeps").glob("*.yaml")), ids=lambda f: f.stem)
def test_shipped_sweeps_load(file):
    assert len(plan.plan(plan.read_requests(str(file), {}))) > 8


def test_a_sweep_file_varies_settings_and_the_command_line_wins(tmp_path):
    file = tmp_path / "s.yaml"
    file.write_text(
        "sweep: [{protocol: few_shot, trainers: CoOp, datasets: digits, shots: [1, 2], set: {OPTIM.LR: [1, 2]}}]"
    )
    found = plan.plan(plan.read_requests(str(file), {"seeds": [5]}))
    assert {(j.shots, j.folder.split("/")[-2], j.seed) for j in found} == {
        (k, f"LR-{lr}", 5) for k in (1, 2) for lr in (1, 2)
    }


@pytest.mark.parametrize(
    "argv, part",
    [
        (["base2new", "CoOp", "digit"], "'digits'"),
        (["base2new", "CoOp", "digits", "tinny"], "'tiny'"),
        (["base2new", "Unheard", "digits"], "configs/trainers/Unheard"),
        (["base2new", "CoOp", "digits", "nowhere.yaml"], "nowhere.yaml"),
        (["base2new", "CoOp", "digits", "--seeds", "-1"], "-1 is no seed"),
        (["base2new", "CoOp", "digits", "--shots", "0"], "0 is no number of shots"),
        (["base2new", "CoOp", "digits", "--set", "OPTIM.LR"], "OPTIM.LR"),
        (["base2new", "CoOp", "digits", "--jobs", "-2"], "-2"),
        (["base2new", "LinearProbe", "digits"], "few_shot"),
        (["cross_dataset", "CoOp", "shapes", "--source", "shapes"], "both source and target"),
        (["ablation", "CoOp", "digits", "--studies", "contxt"], "'context'"),
        (["run", "nowhere.yaml"], "nowhere.yaml"),
        (["status", "/nowhere"], "/nowhere"),
    ],
)
def test_bad_input_is_one_line(argv, part, capsys):
    assert sweep.main([*argv, *([] if argv[0] == "status" else ["--dry-run"])]) == 2
    line = capsys.readouterr().err.strip()
    assert line.startswith("Error: ") and part in line and "\n" not in line


@pytest.mark.parametrize(
    "text, part",
    [("a: 1", "sweep"), ("sweep: []", "list"), ("sweep: [{trainers: CoOp}]", "protocol"), ("{", "YAML"),
     ("sweep: [{protocol: few_shot, trainer: CoOp}]", "'trainers'"), ("sweep: [{protocol: few_shots}]", "'few_shot'"),
     ("sweep: [{protocol: few_shot, seeds: [a]}]", "seeds")],
)  # fmt: skip
def test_a_bad_sweep_file_is_one_line(text, part, tmp_path, capsys):
    (tmp_path / "s.yaml").write_text(text)
    assert sweep.main(["run", str(tmp_path / "s.yaml"), "--dry-run"]) == 2
    line = capsys.readouterr().err.strip()
    assert line.startswith("Error: ") and part in line and "\n" not in line


NCTX = "nctx16_cscFalse_ctpend"
COCOOP = "vit_b16_c4_ep10_batch1_ctxv1"
SCRIPTS = {
    "few_shot": (["CoOp", "dtd"], "dtd/CoOp/rn50_ep50_1shots/seed1"),
    "base2new": (["CoOp", "dtd"], "base2new/test_new/dtd/shots_16/CoOp/vit_b16_ctxv1/seed1"),
    "cross_dataset": (["CoCoOp"], f"evaluation/CoCoOp/{COCOOP}_16shots/ucf101/seed1"),
    "domain_generalization": (["CoCoOp"], f"evaluation/CoCoOp/{COCOOP}_16shots/imagenet_a/seed1"),
    "zeroshot": ([], "ZeroshotCLIP/vit_b16/sun397"),
    "linear_probe": (["dtd"], "dtd/LinearProbe/rn50_2shots/seed1"),
    "ablations": (
        ["CoOp", "dtd"],
        "base2new/test_all/dtd/shots_16/CoOp/vit_b16_ctxv1/N_CTX-4_CTX_INIT-a_photo_of_a/seed1",
    ),
    "coop/main": (["dtd", "rn50_ep50", "end", "16", "1", "False"], f"dtd/CoOp/rn50_ep50_1shots/{NCTX}/seed1"),
    "coop/eval": (["imagenetv2", "rn50"], f"evaluation/CoOp/rn50_16shots/{NCTX}/imagenetv2/seed1"),
    "coop/zeroshot": (["dtd", "rn50"], "ZeroshotCLIP/rn50/dtd"),
    "cocoop/base2new_train": (["dtd", "1"], f"base2new/train_base/dtd/shots_16/CoCoOp/{COCOOP}/seed1"),
    "cocoop/base2new_test": (["dtd", "1"], f"base2new/test_new/dtd/shots_16/CoCoOp/{COCOOP}/seed1"),
    "cocoop/xd_train": (["1"], f"imagenet/CoCoOp/{COCOOP}_16shots/seed1"),
    "cocoop/xd_test": (["imagenet_r", "1"], f"evaluation/CoCoOp/{COCOOP}_16shots/imagenet_r/seed1"),
}


def script(name, *argv, **env):
    path = f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}"
    command = ["bash", str(ROOT / f"scripts/{name}.sh"), *argv]
    env = {**os.environ, "PATH": path, "VIRTUAL_ENV": sys.prefix, "SEEDS": "1", **env}
    return subprocess.run(command, env=env, capture_output=True, text=True)


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_script_plans_upstreams_folders(name, tmp_path):
    arguments, folder = SCRIPTS[name]
    done = script(name, *arguments, "--dry-run", DATA="/data", OUTPUT=str(tmp_path))
    assert done.returncode == 0, done.stderr
    planned = [line.split()[-1] for line in done.stdout.splitlines()]
    assert folder in planned
    if "/" in name:  # upstream's names: these runs and no others
        assert len(planned) == 3
    assert not list(tmp_path.iterdir())
    assert script(name, "CoOp", "--nonsense", OUTPUT=str(tmp_path)).returncode == 2


def test_scripts_of_cocoop_take_other_methods():
    argv = {"xd_train": ("1",), "xd_test": ("dtd", "1"), "base2new_train": ("dtd", "1"), "base2new_test": ("dtd", "1")}
    planned = {
        name: script(f"cocoop/{name}", *arguments, "--dry-run", DATA="/data", TRAINER="KgCoOp").stdout.split()
        for name, arguments in argv.items()
    }
    assert "imagenet/KgCoOp/vit_b16_ep100_ctxv1_4shots/seed1" in planned["xd_train"]
    assert "evaluation/KgCoOp/vit_b16_ep100_ctxv1_4shots/dtd/seed1" in planned["xd_test"]
    for part in ("train_base", "test_new"):
        name = f"base2new_{part.split('_')[0]}"
        assert f"base2new/{part}/dtd/shots_16/KgCoOp/vit_b16_ep100_ctxv1/seed1" in planned[name]


def test_every_script_is_tested():
    names = {str(f.relative_to(ROOT / "scripts").with_suffix("")) for f in (ROOT / "scripts").rglob("*.sh")}
    assert names - {"setup", "test", "demo", "gpu"} == set(SCRIPTS)


@pytest.mark.parametrize(
    "config, source",
    [("rn50", "rn50_ep50"), (str(ROOT / "configs/trainers/CoOp/rn50.yaml"), "rn50")],
    ids=["name", "file"],
)
def test_a_transferred_model_is_that_of_the_sources_epochs_unless_a_file_says_it(config, source):
    """Upstream's eval.sh looks for rn50 where training wrote rn50_ep50."""
    (job,) = jobs("cross_dataset", trainers=["CoOp"], datasets=["imagenetv2"], config=config, part="test", root="/d")
    assert job.after == f"imagenet/CoOp/{source}_16shots/seed1"
    assert job.folder == "evaluation/CoOp/rn50_16shots/imagenetv2/seed1"
