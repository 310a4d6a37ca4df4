"""The cases of a run, part by part."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from measuring.trainers import learning_methods
from tests.gpu.epoch import epoch
from tests.gpu.golden import Golden
from tests.gpu.run import Case
from tests.gpu.steps import Steps
from tests.gpu.suite import gpu_tests

PRECISIONS = ("fp32", "bf16", "fp16")
EPOCH = 120.0  # seconds that the epoch must be left


def cases(parts: Sequence[str], device: str, small: bool) -> Iterator[Case]:
    """All cases of some parts, in the order in which they run."""
    leaves = EPOCH if "epoch" in parts and not small else 0.0
    if "tests" in parts:
        yield Case("tests", "pytest -m gpu", partial(gpu_tests, device))
    with TemporaryDirectory(prefix="gpu-") as folder:
        if "golden" in parts:
            golden = Golden(Path(folder), device)
            for name in golden.names(small):
                yield Case("golden", name, partial(golden.compare, name), leaves)
        if "steps" in parts:
            steps, methods = Steps(device, small), learning_methods()
            for precision in PRECISIONS:
                for classes in steps.classes:
                    for method in methods:
                        name = f"{method}, {classes:,} classes, {precision}"
                        yield Case("steps", name, partial(steps.measure, method, classes, precision), leaves)
        if "epoch" in parts:
            yield Case(
                "epoch", "ViT-B/16, fp16" if not small else "tiny, fp32", partial(epoch, Path(folder), device, small)
            )
