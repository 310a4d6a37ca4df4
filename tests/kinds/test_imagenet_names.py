"""Wrong lists of names: ImageNet's classes have the names curated for CLIP, or the user gets an error."""

import pytest
from torchvision.models import ResNet18_Weights

from clip_prompts.common.errors import UserError
from clip_prompts.data.imagenet_names import CURATED, check_names

WNIDS = sorted({*CURATED, *(f"n{i:08d}" for i in range(2_000_000, 2_000_992))})
CURATED_LIST = {wnid: CURATED.get(wnid, f"thing {i}") for i, wnid in enumerate(WNIDS)}


def lines(change):
    return {wnid: change(i, wnid, name) for i, (wnid, name) in enumerate(CURATED_LIST.items())}


def test_the_curated_list_is_recognized(capsys):
    check_names(CURATED_LIST, "classnames.txt", "")
    check_names(dict(reversed(CURATED_LIST.items())), "classnames.txt", "")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda i, wnid, name: f"{i} {name}", "a number"),
        (lambda i, wnid, name: f"{i}: {name}", "a number"),
        (lambda i, wnid, name: str(i), "a number"),
        (lambda i, wnid, name: f"{wnid} {name}", "WordNet id"),
        (lambda i, wnid, name: f"{name}, Tinca tinca", "synonyms"),
        (lambda i, wnid, name: f"'{name}',", "quotes"),
        (lambda i, wnid, name: f"{name}.n.01".replace(" ", "_"), "synset"),
    ],
)
def test_lists_of_another_make_are_refused(change, words):
    with pytest.raises(UserError, match=f"classnames.txt is not the list.*{words}.*next step"):
        check_names(lines(change), "classnames.txt", "next step")


def test_other_lists_get_one_line(capsys):
    raw = dict(zip(WNIDS, ResNet18_Weights.DEFAULT.meta["categories"], strict=True))
    for names in (raw, dict(list(CURATED_LIST.items())[:10]), lines(lambda i, wnid, name: name.replace(" ", "_"))):
        check_names(names, "classnames.txt", "next step")
        out = capsys.readouterr().out
        assert out.count("\n") == 1 and "not comparable with published ones" in out


@pytest.mark.parametrize("name", ("(449) tench", "tench; Tinca tinca", "tench|fish", "tench/Tinca"))
def test_names_of_other_makes_are_refused(name):
    with pytest.raises(UserError, match="not the list of names curated for CLIP"):
        check_names({"n01440764": name, "n01443537": name.replace("tench", "goldfish")}, "classnames.txt", "")


@pytest.mark.parametrize("dataset", ("imagenet", "imagenet_sketch", "imagenetv2", "imagenet_a", "imagenet_r"))
def test_every_reader_of_wordnet_folders_checks(dataset, tmp_path, run):
    folders = {"imagenet": "imagenet", "imagenet_sketch": "imagenet-sketch", "imagenetv2": "imagenetv2"}
    folder = tmp_path / folders.get(dataset, {"imagenet_a": "imagenet-adversarial"}.get(dataset, "imagenet-rendition"))
    for place in ("images", "imagenetv2-matched-frequency-format-val", "imagenet-a", "imagenet-r"):
        (folder / place).mkdir(parents=True)
    (folder / "classnames.txt").write_text("n01440764 449 tench\nn01443537 450 goldfish\n")
    run("CoOp", "--root", str(tmp_path), dataset=dataset, DATASET__NUM_SHOTS=-1)
    assert run.status == 2 and "'n01440764 449 tench'" in run.err and "a number in front" in run.err
