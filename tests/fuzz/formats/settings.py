"""YAML: configs and sweeps."""

import functools
from pathlib import Path

from clip_prompts.common.errors import UserError
from clip_prompts.run.config import default_config, merge_file
from clip_prompts.sweep import plan
from tests.conftest import ROOT
from tests.fuzz.mutate import spoil_yaml

from .base import Format


@functools.cache
def _defaults():
    import trainers  # noqa: F401  (registers the methods, whose settings a config has)

    return default_config()


def config_seeds(folder: Path) -> list[bytes]:
    names = ("trainers/CoOp/vit_b16_ep50_ctxv1.yaml", "trainers/CoCoOp/tiny.yaml", "datasets/image_folder.yaml")
    return [(ROOT / "configs" / name).read_bytes() for name in names]


def read_config(path: Path) -> None:
    cfg = _defaults().clone()
    merge_file(cfg, str(path))
    str(cfg)


def sweep_seeds(folder: Path) -> list[bytes]:
    own = b"""sweep:
  - protocol: base2new
    trainers: CoOp, CoCoOp
    datasets: [digits, shapes]
    seeds: [1, 2]
    shots: 4
    variant: one
  - protocol: cross_dataset
    trainers: [CoOp]
    datasets: digits
    source: shapes
    set: {OPTIM.MAX_EPOCH: [1, 2], TRAINER.COOP.CTX_INIT: a photo of a}
"""
    return [own, *(file.read_bytes() for file in sorted((ROOT / "configs" / "sweeps").glob("*.yaml")))]


def read_sweep(path: Path) -> None:
    jobs = plan.plan(plan.read_requests(str(path), {}))
    output = path.parent.resolve()
    assert all(job.path(output).resolve().is_relative_to(output) for job in jobs)


FORMATS = [
    Format("config, YAML", "config.yaml", (UserError,), config_seeds, spoil_yaml, read_config),
    Format("sweep, YAML", "sweep.yaml", (UserError,), sweep_seeds, spoil_yaml, read_sweep),
]
