"""The checker of methods: every method and every example passes, and faults are named."""

import re
import sys
from pathlib import Path

import pytest
import torch
from dassl.engine import TRAINER_REGISTRY

import trainers  # noqa: F401
from checking.bench import Bench
from checking.table import CHECKS, run_checks
from clip_prompts.run.config import import_plugin
from tests.conftest import ROOT
from tests.test_step import registered
from tools import check_method

pytestmark = pytest.mark.integration

MUTANTS = ROOT / "tests/tools/mutants.py"
EXAMPLES = {
    "AnchoredCoOp": "my_trainer", "DeepText": "deep_text", "ImageTokens": "image_tokens", "Distilled": "distilled",
    "ClippedCoOp": "own_update", "NearestMean": "own_loop",
}  # fmt: skip
MAPLE = ("TRAINER.DEPT.BASE", "MaPLe", "TRAINER.DEPT.PROMPT_DEPTH", "3")
FAULTS = [  # broken method, the check that fails, its reason
    ("LossRises", "loss", "in 20 steps on one batch. Check the sign of each term"),
    ("TermDropped", "gradients", "no gradient reaches scale"),
    ("WeightLost", "settings", "W has no effect"),
    ("GroupForgotten", "gradients", "deep never changes"),
    ("ClipTrained", "clip", "ln_final.weight, ln_final.bias of CLIP is learned or saved"),
    ("ScaleTrained", "clip", "logit_scale of CLIP is learned or saved"),
    ("ClipChanged", "clip", "text_projection of CLIP changed"),
    ("TeacherMoves", "teacher", "self.w0 changed in training"),
    ("NotSaved", "load", "after loading, the scores of the test differ"),
    ("StaleScores", "load", "or is older than the training"),
    ("CountLost", "resume", "step 1 after resuming has loss"),
    ("CachedAnyway", "cache", "with features encoded for the cache, the scores of the test differ"),
    ("NeedsPixels", "cache", "on features that were encoded ahead, a step has loss"),
    ("RowsMixed", "chunks", "in chunks, the scores differ"),
    ("PartsMixed", "chunks", "in chunks, a step has loss"),
    ("OldNames", "new", "the new classes have the scores of the base classes"),
    ("BiasOfClasses", "new", "bias"),
    ("TokensLeftOut", "test", "the scores of a test, and those of the training's forward pass, differ"),
    ("ZeroShotTest", "test", "the scores of a test, and those of the training's forward pass, differ"),
    ("BatchCentred", "batch", "one by one, the scores of the same images differ"),
    ("NotFiniteInHalf", "half", "in bfloat16: Loss is infinite or NaN! (term 'log')"),
    ("DrawsInSteps", "draws", "a training step draws from torch"),
    ("DrawsInTests", "draws", "a test draws from torch"),
    ("DrawsTooMuch", "draws", "building draws 512 numbers, but only 256 of what is learned start at random"),
    ("DrawsOneNumber", "draws", "building draws 1 numbers, but only 0 of what is learned start at random"),
    ("StartsAnyhow", "draws", "ctx starts differently under the same seed"),
]


@pytest.fixture(scope="module", autouse=True)
def _plugins():
    """The broken methods and the examples are registered for this file alone."""
    files = [MUTANTS, *(ROOT / f"tests/examples/{name}.py" for name in EXAMPLES.values())]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TRAINER_REGISTRY, "_objects", dict(TRAINER_REGISTRY._objects))
        for file in files:
            patch.setitem(sys.modules, file.stem, None)
            patch.delitem(sys.modules, file.stem)
            import_plugin(str(file))
        yield


@pytest.fixture(autouse=True)
def _threads():
    """The program sets the number of threads of its process, which is this one here."""
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def failures(folder: Path, name: str, pairs=(), only=None) -> dict[str, str]:
    results = run_checks(Bench(name, folder, pairs), only)
    assert len(results) == len(only or CHECKS)
    return {result.check: result.text for result in results if result.status == "FAILED"}


@pytest.mark.parametrize(
    "name, pairs", [(name, ()) for name in (*registered("trainers"), *EXAMPLES)] + [("DePT", MAPLE)]
)
def test_every_method_passes(name, pairs, tmp_path):
    assert failures(tmp_path, name, pairs) == {}


@pytest.mark.parametrize("name, check, reason", FAULTS, ids=[fault[0] for fault in FAULTS])
def test_a_fault_is_named_by_its_check(name, check, reason, tmp_path):
    found = failures(tmp_path, name, only=[check])
    assert list(found) == [check] and reason in found[check]


def test_a_crash_is_one_line_and_what_needs_the_run_is_not_checked(tmp_path):
    results = {result.check: result for result in run_checks(Bench("Crashes", tmp_path))}
    assert results["trains"].status == "FAILED"
    assert re.fullmatch(r"ZeroDivisionError: .* \(mutants.py, line \d+\)", results["trains"].text)
    assert results["load"].status == "-" and results["load"].text == "not checked, because the whole run fails"
    assert results["loss"].status == "ok"


def test_every_check_has_a_fault():
    assert {check for _, check, _ in FAULTS} | {"trains"} == CHECKS.keys()


def test_the_program_prints_a_table_and_says_by_its_status_whether_checks_failed(capsys):
    assert check_method.main(["CoOp", "--only", "batch", "loss"]) == 0
    batch, loss, last = capsys.readouterr().out.splitlines()
    assert batch.startswith("batch  scores do not depend on the batch  ok  8 images")
    assert re.match(r"loss   the loss falls +ok  loss [\d.]+ -> [\d.]+ in 20 steps", loss)
    assert last == "CoOp: all checks passed"
    assert check_method.main(["LossRises", "--plugin", str(MUTANTS), "--only", "loss"]) == 1
    line, last = capsys.readouterr().out.splitlines()
    assert line.startswith("loss  the loss falls  FAILED  loss ")
    assert last == "LossRises: 1 of 1 checks failed"


@pytest.mark.parametrize(
    "argv, line",
    [
        (["CoOpp"], "Unknown method 'CoOpp'. Did you mean 'CoOp'? Known: "),
        (["SourceOnly"], "'SourceOnly' is not a method of this toolbox"),
        (["CoOp", "--only", "speed"], "Unknown check 'speed'. "),
        (["CoOp", "--plugin", "/nowhere.py"], "Plugin '/nowhere.py' cannot be imported"),
        (["CoOp", "--config-file", "/nowhere.yaml"], "No config file '/nowhere.yaml'"),
        (["CoOp", "TRAINER.COOP.DEPTH", "2"], "Unknown config key 'TRAINER.COOP.DEPTH'"),
        (["CoOp", "TRAINER.COOP.N_CTX"], "'TRAINER.COOP.N_CTX' has no value"),
        (["MaPLe", "TRAINER.MAPLE.PROMPT_DEPTH", "9"], "Lower the prompt depth"),
    ],
)
def test_bad_input_is_one_line(argv, line, capsys):
    assert check_method.main(argv) == 2
    err = capsys.readouterr().err
    assert err.startswith("Error: ") and line in err and err.count("\n") == 1
