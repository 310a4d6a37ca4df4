"""An identity in a checkpoint, or beside it, is untrusted data."""

import json

import pytest
import torch

from clip_prompts.records.stored_identity import determines_of, facts_of
from tests.kinds.limits import limited

pytestmark = pytest.mark.integration


def shared(depth=40):
    found = ["lol"] * 2
    for _ in range(depth):
        found = [found, found]
    return found


SHARED = shared()
HOSTILE = {
    "shared lists": SHARED,
    "a key that is no text": {1: 2},
    "a number of 5,000 digits": 10**5000,
    "a tensor": torch.zeros(2),
    "many values": list(range(200_000)),
}


@pytest.mark.parametrize("value", HOSTILE.values(), ids=HOSTILE)
def test_it_is_no_identity(value):
    with limited(seconds=5):
        assert determines_of({"determines": {"settings.SEED": value}}) is None
        assert facts_of({"facts": {"images": {"total": value}, "epochs": 3}}) == {}


@pytest.mark.parametrize("where", ["checkpoint", "file"])
@pytest.mark.parametrize("value", [SHARED, "\x1b[2J", {"a": {}}, [[]]], ids=["shared", "escape", "dict", "list"])
def test_a_hostile_identity_costs_one_line(run, value, where):
    assert run("CoOp", out="learned") == 0
    learned = run.out
    path = learned / "prompt_learner/model.pth.tar-1"
    checkpoint = torch.load(path, weights_only=True)
    if where == "checkpoint":
        checkpoint["identity"]["determines"]["settings.TRAINER.COOP.N_CTX"] = value
        torch.save(checkpoint, path)
    else:
        del checkpoint["identity"]
        torch.save(checkpoint, path)
        stored = json.loads((learned / "identity.json").read_text())
        stored["determines"]["settings.TRAINER.COOP.N_CTX"] = "deep" if value is SHARED else value
        (learned / "identity.json").write_text(json.dumps(stored))
    with limited(seconds=40, memory=3 * 2**30):
        status = run("CoOp", "--eval-only", "--model-dir", str(learned), out="eval")
    # Shared lists are no identity, so nothing can be compared but names and shapes.
    assert status == (0 if where == "checkpoint" and value is SHARED else 2), run.err
    assert "\x1b" not in run.err + run.stdout and (status == 0 or len(run.err.strip().splitlines()) == 1)


def test_facts_of_another_kind_are_left_out(run):
    assert run("CoOp", out="learned") == 0
    path = run.out / "prompt_learner/model.pth.tar-1"
    checkpoint = torch.load(path, weights_only=True)
    facts = checkpoint["identity"]["facts"]
    facts |= {"shots": "=cmd", "epochs": [1], "label": 3}
    facts["training"] |= {"OPTIM.LR": {"a": 1}, "OPTIM.NAME": ["x"], "SEED": 1}
    torch.save(checkpoint, path)
    assert run("CoOp", "--eval-only", "--model-dir", str(run.out), out="eval") == 0
    record = json.loads((run.out / "results.json").read_text())[-1]
    assert record["shots"] is None and record["epochs"]["planned"] is None
    assert record["settings"]["OPTIM"]["LR"] == 0.002 and record["settings"]["OPTIM"]["NAME"] == "sgd"
