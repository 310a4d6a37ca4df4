"""Synthetic records, as train.py writes them, for tests of the report."""

import hashlib
import json

EPOCHS = {"CoOp": 200, "CoCoOp": 10}
BATCH = {"CoOp": 32, "CoCoOp": 1}


def sha(text):
    return hashlib.sha256(str(text).encode()).hexdigest()


def record(accuracy, trainer="CoOp", dataset="EuroSAT", classes="all", seed=1, shots=16, backbone="ViT-B/16",
           protocol="few_shot", settings=None, **more):  # fmt: skip
    """One record. ``settings``: dotted keys that differ from the papers' recipe; more: fields to replace."""
    own = {"N_CTX": 4, "CTX_INIT": "a photo of a", "PREC": "fp16"}
    own |= {"CSC": False, "CLASS_TOKEN_POSITION": "end"} if trainer == "CoOp" else {}
    epochs = 50 if (trainer, dataset) == ("CoOp", "ImageNet") else EPOCHS.get(trainer, 200)
    config = {
        "SEED": seed,
        "OUTPUT_DIR": f"out/{seed}",
        "DATASET": {"NAME": dataset, "NUM_SHOTS": shots, "SUBSAMPLE_CLASSES": classes, "TEMPLATE": ""},
        "OPTIM": {"MAX_EPOCH": epochs, "LR": 0.002},
        "DATALOADER": {"TRAIN_X": {"BATCH_SIZE": BATCH.get(trainer, 32)}},
        "INPUT": {"SIZE": [224, 224]},
        "TRAINER": {"NAME": trainer, trainer.upper(): own},
    }
    for key, value in (settings or {}).items():
        node = config
        *path, last = key.split(".")
        for part in path:
            node = node[part]
        node[last] = value
    recipe = sha([trainer, shots, backbone, config["OPTIM"], config["DATALOADER"], config["TRAINER"]])
    total = 10000
    return {
        "format": 2, "protocol": protocol, "time": "2026-01-01T00:00:00+00:00", "split": "test", "epoch": epochs,
        "images": total, "seconds": 1.0, "train_seconds": 9.0,
        "metrics": {"accuracy": accuracy, "error_rate": 100 - accuracy, "macro_f1": accuracy, "ece": 3.0, "nll": 1.0},
        "counts": {"total": total, "correct": round(accuracy * total / 100)}, "per_class": [], "confusion": [],
        "calibration": [], "memory": {"process_mib": 900.0, "cuda_mib": None}, "curve": [],
        "trainer": trainer, "dataset": dataset, "classes": classes, "shots": shots, "seed": seed,
        "backbone": backbone, "precision": "fp16", "selection": "last epoch", "config": "vit_b16_ctxv1",
        "recipe": recipe, "source": None, "loaded": None, "learned": 2048,
        "hashes": {"config": sha(config), "backbone": sha(backbone), "train_x": sha([dataset, seed, shots]),
                   "val": None, "test": sha([dataset, classes])},
        "versions": {}, "settings": config,
    } | more  # fmt: skip


def write(folder, *records):
    """A run's folder with these records."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.json").write_text(json.dumps(list(records)), encoding="utf-8")
    return folder
