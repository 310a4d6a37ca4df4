"""Words are tokens: the context's length, class names and placement follow CLIP's tokenizer, not blanks and letters."""

import json
import shutil

import pytest
import torch
from PIL import Image

from clip_prompts.backbones.loading import load_clip, openai
from clip_prompts.clip.learners import PromptLearner
from clip_prompts.clip.tokens import check_class_names, tokens_of
from clip_prompts.common.errors import UserError
from clip_prompts.encoders.text_encoder import TextEncoder
from clip_prompts.run import arguments
from clip_prompts.run.config import build_config
from tests.conftest import ROOT

pytestmark = pytest.mark.integration

TEXTS = {
    "a_photo_of_a": 4, "a_photo_of_a_": 4, " a  photo of\ta": 4, "A Photo OF a": 4, "a photo of a &amp;": 5,
    "a photograph, of": 4, "hummingbirds": 2, "it's": 2, "32x32": 5, "X": 1, "caf\u00e9": 1, "__a__": 1,
}  # fmt: skip


@pytest.fixture(scope="module")
def encoder():
    return TextEncoder(load_clip("tiny").float())


@pytest.mark.parametrize("text", TEXTS)
def test_a_context_has_a_vector_per_token(text, encoder):
    tokens = openai._tokenizer.encode(text.replace("_", " "))
    assert len(tokens) == TEXTS[text]
    learner = PromptLearner(encoder, ["cat"], ctx_init=text)
    assert torch.equal(learner.ctx, encoder.embed(torch.tensor(tokens)).float())


@pytest.mark.parametrize("position", ("end", "middle", "front"))
@pytest.mark.parametrize("words", ("hummingbirds of", "a photo of a", ""))
def test_placement_keeps_every_token(words, position, encoder):
    names = ["cat", "forest hummingbirds", "st.", "wow!", "?!", "U.S."]
    learner = PromptLearner(encoder, names, n_ctx=3, ctx_init=words, position=position)
    m = len(learner.ctx)
    for c, name in enumerate(names):
        row = learner.prompts.sources[learner.prompts.rank[c]]
        tokens = openai._tokenizer.encode(f"{name}.")
        assert [-1 - entry for entry in row if entry < 0] == list(range(m))
        assert len(row) == m + len(tokens) + 2
        before = {"end": m, "middle": m // 2, "front": 0}[position]
        assert row[1 : 1 + before] == [-1 - i for i in range(before)] and row[1 + before] >= 0 and row[-1] >= 0


@pytest.mark.parametrize("text", (" ", "_", "\x00", "&nbsp;"), ids=repr)
def test_words_without_tokens_are_an_error(text, encoder):
    with pytest.raises(UserError, match="0 tokens"):
        PromptLearner(encoder, ["cat"], ctx_init=text)
    with pytest.raises(UserError, match="has no tokens"):
        check_class_names(["cat", text])


def test_too_many_words_and_marks_of_the_end(encoder):
    with pytest.raises(UserError, match="76 tokens"):
        PromptLearner(encoder, ["cat"], ctx_init="a " * 76)
    with pytest.raises(UserError, match="75"):
        PromptLearner(encoder, ["cat"], n_ctx=10**9)
    for text in ("<|endoftext|>", "a <|startoftext|> b"):
        with pytest.raises(UserError, match="token for the start or the end"):
            tokens_of(text)


@pytest.mark.parametrize(
    "names", [("one", "One"), ("o ne", "o_ne"), ("cat", " cat "), ("a b", "a  b"), ("R&D", "R&amp;D"), ("x", "X")]
)
def test_two_classes_with_equal_tokens_are_named(names, capsys):
    with pytest.raises(UserError) as caught:
        check_class_names(["other", *names])
    assert f"'{names[0]}' and '{names[1]}'" in str(caught.value)
    check_class_names(["other", *names], unique=False)
    assert "1 pair(s) of classes share a name" in capsys.readouterr().out
    check_class_names(["one", "o ne", "on e", "ones"])


@pytest.fixture
def folder(tmp_path):
    """``C/test/{zero,one,One}`` with pictures."""
    for i, name in enumerate(("zero", "one", "One")):
        (tmp_path / "C/test" / name).mkdir(parents=True)
        for j in range(3):
            Image.new("RGB", (32, 32), (80 * i, 10 * j, 0)).save(tmp_path / "C/test" / name / f"{j}.png")
    return tmp_path / "C"


@pytest.mark.parametrize("trainer", ("ZeroshotCLIP", "ZeroshotCLIP2", "CoOp", "CoCoOp"))
def test_every_trainer_that_makes_text_refuses_them(trainer, folder, run):
    files = {"config": ROOT / "configs/trainers/ZeroshotCLIP/vit_b16.yaml"} if trainer.startswith("Zero") else {}
    run(trainer, "--root", str(folder), dataset="image_folder", DATASET__NUM_SHOTS=-1, **files)
    assert run.status == 2 and "'One' and 'one'" in run.err and "Traceback" not in run.err


def test_a_split_file_is_refused_alike(small, tmp_path, run):
    shutil.copytree(small / "oxford_pets", tmp_path / "data/oxford_pets")
    split = tmp_path / "data/oxford_pets/split_zhou_OxfordPets.json"
    content = json.loads(split.read_text())
    names = sorted({item[2] for part in content.values() for item in part})[:2]
    for part in content.values():
        for item in part:
            item[2] = names[0].upper() if item[2] == names[1] else item[2]
    split.write_text(json.dumps(content))
    run("CoOp", "--root", str(tmp_path / "data"))
    assert run.status == 2 and names[0] in run.err and names[0].upper() in run.err


def config(*argv):
    files = ["--trainer", "CoOp", "--config-file", str(ROOT / "configs/trainers/CoOp/tiny.yaml")]
    return build_config(arguments.parse([*files, *argv])).TRAINER.COOP


def test_the_settings_say_what_is_learned():
    assert config().N_CTX == 4
    assert config("TRAINER.COOP.CTX_INIT", "a photo of a hummingbirds").N_CTX == 6
    assert config("TRAINER.COOP.CTX_INIT", "", "TRAINER.COOP.N_CTX", "16").N_CTX == 16
    assert config("TRAINER.COOP.CTX_INIT", "hummingbirds", "TRAINER.COOP.N_CTX", "2").N_CTX == 2


@pytest.mark.parametrize(
    "settings, parts",
    [
        (["TRAINER.COOP.N_CTX", "16"], ["N_CTX is 16", "4 tokens", 'CTX_INIT ""']),
        (["TRAINER.COOP.CSC", "True"], ["CTX_INIT 'a photo of a'", "CSC True", "cannot be combined"]),
        (["TRAINER.COOP.CTX_INIT", "_"], ["CTX_INIT '_'", "0 tokens"]),
    ],
)
def test_words_are_never_silently_overridden(settings, parts):
    with pytest.raises(UserError) as caught:
        config(*settings)
    assert all(part in str(caught.value) for part in parts)


def test_a_blank_too_many_changes_nothing(run):
    words = {"TRAINER__COOP__CTX_INIT": "a_photo_of_a_", "OPTIM__MAX_EPOCH": 2}
    assert run("CoOp", **words) == 0
    learned = torch.load(run.out / "prompt_learner/model.pth.tar-2", weights_only=True)["state_dict"]["ctx"]
    assert run("CoOp", out="plain", **(words | {"TRAINER__COOP__CTX_INIT": "a photo of a"})) == 0
    plain = torch.load(run.out / "prompt_learner/model.pth.tar-2", weights_only=True)["state_dict"]["ctx"]
    assert learned.shape == (4, 64) and torch.equal(learned, plain)
