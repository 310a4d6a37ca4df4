"""Hand-crafted prompts: what a dataset's zero-shot classifier says about a class."""

from collections.abc import Iterable

from clip_prompts.common.errors import UserError

DEFAULT = "a photo of a {}."

# Readers of our own name their template themselves; this table serves readers written for upstream, which do not.
# Source: the prompts of CLIP's authors as CoOp uses them; all other datasets take the default.
BY_DATASET = {
    "OxfordPets": "a photo of a {}, a type of pet.",
    "OxfordFlowers": "a photo of a {}, a type of flower.",
    "FGVCAircraft": "a photo of a {}, a type of aircraft.",
    "DescribableTextures": "{} texture.",
    "EuroSAT": "a centered satellite photo of {}.",
    "Food101": "a photo of {}, a type of food.",
    "UCF101": "a photo of a person doing {}.",
}

# The seven that CLIP's authors selected out of eighty for ImageNet.
SELECTED = (
    "itap of a {}.",
    "a bad photo of the {}.",
    "a origami {}.",
    "a photo of the large {}.",
    "a {} in a video game.",
    "art of the {}.",
    "a photo of the small {}.",
)

# The eighty of CLIP's authors for ImageNet, from which the seven were selected.
IMAGENET = (
    *(f"a {look} photo of {a} {{}}." for look in (
        "bad", "good", "low resolution", "cropped", "bright", "dark", "close-up", "black and white", "pixelated",
        "jpeg corrupted", "blurry") for a in ("a", "the")),
    *(f"a photo of {a} {kind} {{}}." for kind in (
        "hard to see", "clean", "dirty", "cool", "large", "small", "nice", "weird") for a in ("a", "the")),
    *(f"{made} of {a} {{}}." for made in (
        "a sculpture", "a rendering", "graffiti", "a tattoo", "a drawing", "a painting", "a doodle", "a sketch",
        "a rendition", "art", "itap") for a in ("a", "the")),
    *(f"{a} {of} {{}}." for of in ("embroidered", "plastic", "origami", "toy", "cartoon", "plushie")
      for a in ("a", "the")),
    *(f"a photo of {a} {{}}." for a in ("a", "the", "many", "my", "one")),
    *(f"{a} {{}} in a video game." for a in ("a", "the")),
    "itap of my {}.",
)  # fmt: skip
_NOT_IN_SIXTY = {
    "a jpeg corrupted photo of the {}.", "a good photo of a {}.", "a black and white photo of a {}.",
    "a dark photo of a {}.", "a photo of the nice {}.", "a photo of the weird {}.", "a photo of the large {}.",
    "a photo of the small {}.", "a photo of a small {}.", "a photo of a cool {}.", "a drawing of the {}.",
    "a tattoo of the {}.", "graffiti of the {}.", "art of the {}.", "itap of a {}.", "itap of my {}.", "a plushie {}.",
    "the plushie {}.", "the cartoon {}.", "a toy {}.",
}  # fmt: skip
SIXTY = tuple(template for template in IMAGENET if template not in _NOT_IN_SIXTY)  # those that PromptSRC uses


def template_of(dataset: object) -> str:
    """The template of a dataset object: its own, its name's in the table, or the default."""
    return getattr(dataset, "template", None) or BY_DATASET.get(type(dataset).__name__, DEFAULT)


def check_template(template: str) -> None:
    """Raise UserError unless there is exactly one ``{}``, and no other brace."""
    before, _, after = template.partition("{}")
    if "{}" not in template or any(brace in before + after for brace in "{}"):
        raise UserError(
            f"DATASET.TEMPLATE '{template}' needs exactly one {{}}, where the class name goes: \"a photo of a {{}}.\""
        )


def fill(template: str, classnames: Iterable[str]) -> list[str]:
    """One text per class; underscores in class names become spaces."""
    return [template.format(name.replace("_", " ")) for name in classnames]
