"""IVLP the plain way."""

from torch.nn.functional import cross_entropy

from .maple import prompts_of_words
from .network import Plain, run_image


class IVLP(Plain):
    """Learned: text prompts (n_t, d) of layers l < J_t and image prompts (n_v, v) of layers l < J_v.

    The text prompt of layer 0 is ``ctx``. Loss: cross-entropy.
    """

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.prompts = prompts_of_words(self, self.settings.N_CTX_TEXT)

    @property
    def image_depth(self) -> int:
        return self.settings.PROMPT_DEPTH_VISION if self.settings.N_CTX_VISION else 0

    def shapes(self):
        text = (self.settings.N_CTX_TEXT, self.text_width)
        found = {"ctx": text} | {f"text_prompts.{i}": text for i in range(1, self.settings.PROMPT_DEPTH_TEXT)}
        if self.image_depth:
            image = (self.settings.N_CTX_VISION, len(self.clip.visual.class_embedding))
            found |= {f"image_prompts.{i}": image for i in range(self.image_depth)}
        return found

    def text_features(self, x):
        deep = {i: self.learned[f"text_prompts.{i}"] for i in range(1, self.settings.PROMPT_DEPTH_TEXT)}
        return self.prompts.features(self.learned["ctx"], deep)

    def image_features(self, image):
        if not self.image_depth:
            return super().image_features(image)
        return run_image(self.clip, image, [self.learned[f"image_prompts.{i}"] for i in range(self.image_depth)])

    def terms(self, seen, label):
        return {"ce": cross_entropy(seen.logits, label)}
