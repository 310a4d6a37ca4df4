"""Golden cases in fp32 on the device of the run."""

import contextlib
import io
from pathlib import Path

from tests.golden.fixture import write_clip, write_deep_clip, write_pets
from tests.golden.test_golden import EVALUATED, GOLDEN, LOSS, RATE, TRAINED, call, result

LOSSES = 6e-4  # they are printed with four digits
# Percent. On a GPU an image between two classes may fall on the other side: sums are in another order.
RESULTS = {"cpu": 0.0, "cuda": 1.0}


class Golden:
    """Runs cases and compares losses, learning rates and results.

    Args:
        folder: for data and outputs. device: cuda or cpu.
    """

    def __init__(self, folder: Path, device: str) -> None:
        self.folder, self.device = folder, device
        self.output = folder / "output"

    def names(self, small: bool) -> list[str]:
        """Names of all cases, or of two: a training, and an evaluation of what it learned."""
        return ["kgcoop_ctxv1_base_seed1", "kgcoop_ctxv1_base_seed1_eval_new"] if small else [*TRAINED, *EVALUATED]

    def compare(self, name: str, left: float) -> dict:
        """Largest differences of a case. Raises AssertionError if one is too large."""
        if not (self.folder / "deep_clip.pt").exists():
            write_pets(self.folder)
            write_clip(self.folder / "tiny_clip.pt")
            write_deep_clip(self.folder / "deep_clip.pt", self.folder / "oxford_pets")
        case, log = GOLDEN[name], self._run(name)
        steps = [line for line in log.splitlines() if line.startswith("epoch [")]
        losses, found = [float(loss) for step in steps for loss in LOSS.findall(step)], {}
        if "args" in case:
            assert len(losses) == len(case["loss"]), f"{len(losses)} losses in place of {len(case['loss'])}"
            assert [float(RATE.search(step)[1]) for step in steps] == case["lr"], "other learning rates"
            found["loss"] = max(abs(a - b) for a, b in zip(losses, case["loss"], strict=True))
            assert found["loss"] <= LOSSES, f"a loss differs by {found['loss']:.2g}"
        for key, value in result(log).items():
            found[f"{key}, %"] = abs(value - case["result"][key])
            assert found[f"{key}, %"] <= RESULTS[self.device], f"{key} is {value}, not {case['result'][key]}"
        return found

    def _run(self, name: str) -> str:
        trained, _, subset = name.partition("_eval_")
        args, flags = GOLDEN[trained]["args"].split(), []
        if subset:
            args = [subset if arg == "base" else arg for arg in args]
            flags = ["--eval-only", "--model-dir", str(self.output / trained), "--load-epoch", "3"]
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()) as errors:
            try:
                args = [*args, "USE_CUDA", str(self.device == "cuda"), "FEATURES.DIR", str(self.folder / "features")]
                call(self.folder, GOLDEN[trained], args, self.output / name, *flags)
            except AssertionError:
                raise AssertionError(f"train.py ends with an error: {errors.getvalue().strip()[-200:]}") from None
        return (self.output / name / "log.txt").read_text()
