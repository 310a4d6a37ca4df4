"""VPT the plain way."""

import clip
import torch
from torch.nn.functional import cross_entropy

from .network import Plain, run_image


class VPT(Plain):
    """Learned: image prompts (n, v) of layers l < J. Text: "a photo of a NAME.", fixed. Loss: cross-entropy."""

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        tokens = clip.tokenize([f"a photo of a {name}." for name in self.names]).to(self.device)
        with torch.no_grad():
            self.text = self.clip.encode_text(tokens)

    def shapes(self):
        shape = (self.settings.N_CTX_VISION, len(self.clip.visual.class_embedding))
        return {f"image_prompts.{i}": shape for i in range(self.settings.PROMPT_DEPTH_VISION)}

    def text_features(self, x):
        return self.text

    def image_features(self, image):
        return run_image(self.clip, image, list(self.learned.values()))

    def terms(self, seen, label):
        return {"ce": cross_entropy(seen.logits, label)}
