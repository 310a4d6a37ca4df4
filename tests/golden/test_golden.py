"""Same seed, same numbers: losses, learning rates, few-shot draws and results of the reference implementation.

The numbers in golden.json were measured on CoOp's own code, fp32 on a CPU, one thread.
"""

import json
import re
from pathlib import Path

import PIL
import pytest
import torch

import train
from tests.golden.fixture import write_clip, write_deep_clip, write_pets

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path(__file__).parent
GOLDEN = {k: v for file in ("golden", "variants") for k, v in json.loads((FOLDER / f"{file}.json").read_text()).items()}
TRAINED = [name for name, case in GOLDEN.items() if "args" in case]
EVALUATED = [name for name in GOLDEN if "args" not in GOLDEN[name]]
DRAWS = [name for name in TRAINED if "fewshot_train" in GOLDEN[name]]
LOSS, RATE = re.compile(r"(?:^| )(?:loss|xe_loss|kl_loss) (\S+) "), re.compile(r" lr (\S+) eta ")

# The numbers are those of Pillow 13. Older ones resize crops above 32 pixels of height differently, by up to 7 of 255.
LOSS_DIFFERS, RESULT_DIFFERS = (6e-4, 0) if int(PIL.__version__.split(".")[0]) >= 13 else (1e-2, 2.1)  # 1 image of 50


@pytest.fixture(scope="module")
def fixture(tmp_path_factory):
    root = tmp_path_factory.mktemp("golden")
    write_pets(root)
    write_clip(root / "tiny_clip.pt")
    write_deep_clip(root / "deep_clip.pt", root / "oxford_pets")
    return root


@pytest.fixture(scope="module")
def runs(fixture):
    """Output folder of each trained case, run once."""
    done = {}

    def run(name):
        if name not in done:
            done[name] = fixture / "output" / name
            call(fixture, GOLDEN[name], GOLDEN[name]["args"].split(), done[name])
        return done[name]

    return run


def call(fixture, case, args, output, *flags):
    for cache in (fixture / "oxford_pets" / "split_fewshot").glob("*"):
        cache.unlink()
    options, settings = args[: args.index("DATASET.NUM_SHOTS")], args[args.index("DATASET.NUM_SHOTS") :]
    options = [str(ROOT / o) if o.startswith("configs/") else o for o in options]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        status = train.main([
            *options, "--root", str(fixture), "--output-dir", str(output),
            "--dataset-config-file", str(ROOT / "configs/datasets/oxford_pets.yaml"),
            "--backbone", str(fixture / case.get("backbone", "tiny_clip.pt")), *flags, *settings,
        ])  # fmt: skip
    finally:
        torch.set_num_threads(threads)
    assert status == 0


def result(log: str) -> dict:
    return {
        name: float(re.findall(rf"^\* {name}: (\S+)%$", log, re.M)[-1]) for name in ("accuracy", "error", "macro_f1")
    }


@pytest.mark.parametrize("name", TRAINED)
def test_training(name, runs):
    case, log = GOLDEN[name], (runs(name) / "log.txt").read_text()
    steps = [line for line in log.splitlines() if line.startswith("epoch [")]
    losses = [float(loss) for step in steps for loss in LOSS.findall(step)]
    assert losses == pytest.approx(case["loss"], abs=LOSS_DIFFERS, rel=0)
    assert [float(RATE.search(step)[1]) for step in steps] == case["lr"]
    assert result(log) == pytest.approx(case["result"], abs=RESULT_DIFFERS, rel=0)


@pytest.mark.parametrize("name", EVALUATED)
def test_evaluation_on_other_classes(name, fixture, runs):
    trained, subset = name.rsplit("_eval_", 1)
    args = [subset if a == "base" else a for a in GOLDEN[trained]["args"].split()]
    output = fixture / "output" / name
    call(fixture, GOLDEN[trained], args, output, "--eval-only", "--model-dir", str(runs(trained)), "--load-epoch", "3")
    found = result((output / "log.txt").read_text())
    assert found == pytest.approx(GOLDEN[name]["result"], abs=RESULT_DIFFERS, rel=0)


@pytest.mark.parametrize("name", DRAWS)
def test_few_shot_draw(name, fixture):
    """The draw is over all classes, train before val, whatever classes the run then keeps."""
    import random

    from dassl.data.datasets import DATASET_REGISTRY

    from clip_prompts.run.config import default_config

    case = GOLDEN[name]
    args = case["args"].split()
    cfg = default_config()
    cfg.merge_from_list(
        ["DATASET.ROOT", str(fixture), "DATASET.NAME", "OxfordPets", "SEED", args[args.index("--seed") + 1]]
    )
    cfg.DATASET.NUM_SHOTS = int(args[args.index("DATASET.NUM_SHOTS") + 1])
    for cache in (fixture / "oxford_pets" / "split_fewshot").glob("*"):
        cache.unlink()
    for _ in ("drawn", "from the cache"):
        random.seed(cfg.SEED)
        dataset = DATASET_REGISTRY.get("OxfordPets")(cfg)
        assert [Path(item.impath).name for item in dataset.train_x] == case["fewshot_train"]
        assert [Path(item.impath).name for item in dataset.val] == case["fewshot_val"]
