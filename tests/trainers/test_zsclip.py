"""Zero-shot CLIP and the prompt ensemble."""

import json

import pytest
import torch

from clip_prompts.clip.templates import BY_DATASET, SELECTED, fill, template_of
from tests.trainers import plain


def test_underscores_become_spaces():
    assert fill("a photo of a {}.", ["great_pyrenees"]) == ["a photo of a great pyrenees."]


def test_a_reader_of_upstream_gets_its_datasets_template():
    reader = type("EuroSAT", (), {})()
    assert template_of(reader) == BY_DATASET["EuroSAT"]
    reader.template = "{} from above."
    assert template_of(reader) == "{} from above."
    assert template_of(object()) == "a photo of a {}."


@pytest.mark.parametrize("trainer, count", [("ZeroshotCLIP", 1), ("ZeroshotCLIP2", 8)])
def test_it_evaluates_without_training_and_without_a_model_folder(trainer, count, run):
    config = "configs/trainers/ZeroshotCLIP/vit_b16.yaml"
    for out in ("first", "second"):  # the ensemble does not grow when it is built again
        assert run(trainer, "--eval-only", out=out, config=config, DATASET__SUBSAMPLE_CLASSES="new") == 0
        assert f"Prompts ({count}): " in run.stdout
    record = json.loads((run.out / "results.json").read_text())[-1]
    assert record["images"] == 100
    assert run(trainer, out="trained", config=config, DATASET__SUBSAMPLE_CLASSES="new") == 0  # nothing to train
    assert json.loads((run.out / "results.json").read_text())[-1]["metrics"] == record["metrics"]


def test_logits_are_those_of_plain_clip(small, run, monkeypatch):
    """Against CLIP's own forward: similarity of the image to each ensemble mean."""
    import clip

    from trainers import zsclip

    seen = {}

    def inference(self, image):
        seen["image"], seen["logits"], seen["names"] = image, original(self, image), self.dm.dataset.classnames
        return seen["logits"]

    original = zsclip.ZeroshotCLIP.model_inference
    monkeypatch.setattr(zsclip.ZeroshotCLIP, "model_inference", inference)
    config = "configs/trainers/ZeroshotCLIP/vit_b16.yaml"
    assert run("ZeroshotCLIP2", "--eval-only", config=config, FEATURES__CACHE=False) == 0

    model = clip.model.build_model(torch.load(small / "tiny_clip.pt", weights_only=True)).float()
    templates = [*SELECTED, "a photo of a {}, a type of pet."]
    with torch.no_grad():
        w = []
        for name in seen["names"]:
            each = model.encode_text(clip.tokenize([t.format(name.replace("_", " ")) for t in templates]))
            mean = (each / each.norm(dim=-1, keepdim=True)).mean(dim=0)
            w.append(mean / mean.norm())
        x = torch.stack([plain.image_feature(model, image) for image in seen["image"][:4]])
        expected = model.logit_scale.exp() * x @ torch.stack(w).t()
    torch.testing.assert_close(seen["logits"][:4], expected, rtol=1e-4, atol=1e-4)
