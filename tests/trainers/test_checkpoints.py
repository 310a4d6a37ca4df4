"""Saving, loading, resuming: ours and upstream's files."""

import json
import re

import pytest
import torch

from tests.conftest import METHODS, ROOT


def losses(folder):
    text = "".join(path.read_text() for path in sorted(folder.glob("log.txt*"), key=lambda p: p.stat().st_mtime))
    found = re.findall(r"^epoch \[(\d+)/\d+\] batch \[(\d+)/.*? loss (\S+) .*? lr (\S+)", text, re.M)
    return {(int(e), int(b)): (float(loss), float(lr)) for e, b, loss, lr in found}


def accuracy(folder):
    return json.loads((folder / "results.json").read_text())[-1]["metrics"]["accuracy"]


@pytest.mark.parametrize("trainer", METHODS)
def test_only_what_is_learned_is_saved(trainer, run):
    assert run(trainer) == 0
    checkpoint = torch.load(run.out / "prompt_learner/model.pth.tar-1", weights_only=True)
    names = {name.split(".")[0] for name in checkpoint["state_dict"]}
    assert names == ({"ctx"} if trainer == "CoOp" else {"ctx", "meta_net"})
    assert {"state_dict", "epoch", "optimizer", "scheduler", "val_result"} <= set(checkpoint)


@pytest.mark.parametrize("trainer", METHODS)
def test_resume_ends_with_the_same_losses(trainer, run, monkeypatch):
    """Interrupted after epoch 2 of 4 and resumed, against never interrupted: losses, rates and result are equal."""
    settings = {
        "OPTIM__MAX_EPOCH": 4,
        "TRAIN__CHECKPOINT_FREQ": 1,
        "DATALOADER__TRAIN_X__BATCH_SIZE": 4,
        "OPTIM__LR": 0.1,
    }
    assert run(trainer, out="whole", **settings) == 0
    whole = run.out

    from dassl.engine import TRAINER_REGISTRY

    cls, before_epoch = TRAINER_REGISTRY.get(trainer), TRAINER_REGISTRY.get(trainer).before_epoch

    def stop_at_epoch_3(self):
        if self.epoch == 2:
            raise KeyboardInterrupt
        before_epoch(self)

    monkeypatch.setattr(cls, "before_epoch", stop_at_epoch_3)
    assert run(trainer, out="parts", **settings) == 130
    monkeypatch.undo()
    assert run(trainer, "--resume", str(whole.parent / "parts"), out="parts", **settings) == 0

    assert losses(run.out) == losses(whole)
    assert len(losses(whole)) == 4 * 5
    assert accuracy(run.out) == accuracy(whole)
    last = "prompt_learner/model.pth.tar-4"
    ours, theirs = (torch.load(f / last, weights_only=True)["state_dict"] for f in (run.out, whole))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_promptsrc_goes_on_at_any_batch_to_the_same_sum_of_its_epochs(run, monkeypatch):
    """Stopped in the first, a middle and the last step of three epochs; the sum is no part of a finished run."""
    from trainers.promptsrc import PromptSRC

    settings = {
        "OPTIM__MAX_EPOCH": 3, "TRAIN__CHECKPOINT_BATCHES": 1, "OPTIM__LR": 0.1, "TRAINER__PROMPTSRC__GPA_MEAN": 2.0,
        "TRAINER__PROMPTSRC__PROMPT_DEPTH_TEXT": 2, "TRAINER__PROMPTSRC__PROMPT_DEPTH_VISION": 2,
    }  # fmt: skip
    last, config = "VLPromptLearner/model.pth.tar-3", ROOT / "configs/trainers/PromptSRC/tiny.yaml"

    def train(out):
        return run("PromptSRC", out=out, config=config, **settings)

    assert train("whole") == 0
    whole, expected = losses(run.out), torch.load(run.out / last, weights_only=True)["state_dict"]
    assert set(expected) == {"ctx", "text_prompts.1", "image_prompts.0", "image_prompts.1"}
    step = PromptSRC.forward_backward
    for epoch, batch in ((0, 1), (1, 2), (2, 4)):

        def stop(self, data, epoch=epoch, batch=batch):
            if (self.epoch, self.batch_idx) == (epoch, batch):
                raise KeyboardInterrupt
            return step(self, data)

        monkeypatch.setattr(PromptSRC, "forward_backward", stop)
        assert train(f"stopped in {epoch}") == 130
        monkeypatch.undo()
        assert train(f"stopped in {epoch}") == 0
        assert losses(run.out) == whole and len(whole) == 3 * 5
        state = torch.load(run.out / last, weights_only=True)["state_dict"]
        assert set(state) == set(expected) and all(torch.equal(state[name], expected[name]) for name in state)


@pytest.mark.parametrize("subset", ("new", "all"))
@pytest.mark.parametrize("trainer", METHODS)
def test_a_prompt_of_base_classes_is_evaluated_on_others(trainer, subset, run):
    settings = {"OPTIM__MAX_EPOCH": 2, "TRAIN__CHECKPOINT_FREQ": 1}
    assert run(trainer, out="base", DATASET__SUBSAMPLE_CLASSES="base", **settings) == 0
    flags = ["--eval-only", "--model-dir", str(run.out), "--load-epoch", "1"]
    assert run(trainer, *flags, out="eval", DATASET__SUBSAMPLE_CLASSES=subset, **settings) == 0
    assert "(epoch = 1)" in run.stdout
    record = json.loads((run.out / "results.json").read_text())[-1]
    assert record["classes"] == subset
    assert record["images"] == {"new": 100, "all": 200}[subset]


@pytest.mark.parametrize("csc", (False, True), ids=("unified", "class-specific"))
def test_a_checkpoint_of_upstream_loads(csc, run):
    """Upstream's files also hold the fixed tokens, padded to 77, and a scheduler pickled as an object."""
    settings = {"TRAINER__COOP__N_CTX": 4, "TRAINER__COOP__CSC": csc}
    assert run("CoOp", out="ours", **settings) == 0
    ours, expected = run.out, accuracy(run.out)
    path = ours / "prompt_learner/model.pth.tar-1"
    checkpoint = torch.load(path, weights_only=True)
    state = checkpoint["state_dict"]
    state.pop("classes_sha256", None)
    state["token_prefix"], state["token_suffix"] = upstream_tokens(ours, n_ctx=4)
    optimizer = torch.optim.SGD([torch.nn.Parameter(state["ctx"])], lr=0.002, momentum=0.9)
    successor = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 1.0)
    checkpoint["scheduler"] = {"successor": successor, "cons_lr": 1e-5, "warmup_epoch": 1, "last_epoch": 1}
    torch.save({k: checkpoint[k] for k in ("state_dict", "epoch", "optimizer", "scheduler", "val_result")}, path)
    assert run("CoOp", "--eval-only", "--model-dir", str(ours), "--load-epoch", "1", out="eval", **settings) == 0
    assert accuracy(run.out) == expected


def test_class_specific_upstream_checkpoint_of_other_classes_is_refused(run):
    settings = {"TRAINER__COOP__N_CTX": 4, "TRAINER__COOP__CSC": True, "DATASET__SUBSAMPLE_CLASSES": "base"}
    assert run("CoOp", out="ours", **settings) == 0
    ours = run.out
    path = ours / "prompt_learner/model.pth.tar-1"
    checkpoint = torch.load(path, weights_only=True)
    del checkpoint["state_dict"]["classes_sha256"]
    _, suffix = upstream_tokens(ours, n_ctx=4)
    checkpoint["state_dict"]["token_suffix"] = suffix[:5]
    torch.save(checkpoint, path)
    flags = ["--eval-only", "--model-dir", str(ours), "--load-epoch", "1"]
    assert run("CoOp", *flags, out="same", **settings) == 0
    assert run("CoOp", *flags, out="other", **(settings | {"DATASET__SUBSAMPLE_CLASSES": "new"})) == 2
    assert "other classes" in run.err


def upstream_tokens(folder, n_ctx):
    """token_prefix (C, 1, d) and token_suffix (C, 76 - M, d) of the ten classes, as upstream stores them."""
    import clip

    from tests.golden.fixture import CLASSES

    settings = json.loads((folder / "results.json").read_text())[-1]["settings"]
    table = torch.load(settings["MODEL"]["BACKBONE"]["NAME"], weights_only=True)["token_embedding.weight"]
    words = " ".join(["X"] * n_ctx)
    embedding = table[clip.tokenize([f"{words} {name.lower().replace('_', ' ')}." for name in CLASSES])]
    return embedding[:, :1], embedding[:, 1 + n_ctx :]
