"""MaPLe the plain way."""

from torch.nn.functional import cross_entropy, linear

from .network import Plain, Prompts, run_image


def prompts_of_words(plain: Plain, n_ctx: int) -> Prompts:
    """Prompts "WORDS NAME.", of whose words the first n are learned; more than four have no words."""
    words = plain.settings.CTX_INIT if plain.settings.CTX_INIT and n_ctx <= 4 else " ".join(["X"] * n_ctx)
    return Prompts(plain.clip, [f"{words} {name}." for name in plain.names], n_ctx)


class MaPLe(Plain):
    """Learned: text prompts P_l (n, d) of layers l < J, and linear maps of them to image prompts. Loss: cross-entropy.

    P_0 is ``ctx``, its map ``proj``; P_l is ``compound_prompts_text.{l - 1}``, its map
    ``compound_prompt_projections.{l - 1}``.
    """

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.prompts = prompts_of_words(self, self.settings.N_CTX)

    def shapes(self):
        n, d, v = self.settings.N_CTX, self.text_width, len(self.clip.visual.class_embedding)
        found = {"ctx": (n, d), "proj.weight": (v, d), "proj.bias": (v,)}
        for i in range(self.settings.PROMPT_DEPTH - 1):
            coupling = f"compound_prompt_projections.{i}"
            found |= {f"compound_prompts_text.{i}": (n, d), f"{coupling}.weight": (v, d), f"{coupling}.bias": (v,)}
        return found

    def text_features(self, x):
        deep = {i + 1: self.learned[f"compound_prompts_text.{i}"] for i in range(self.settings.PROMPT_DEPTH - 1)}
        return self.prompts.features(self.learned["ctx"], deep)

    def image_features(self, image):
        p = self.learned
        rows = [linear(p["ctx"], p["proj.weight"], p["proj.bias"])]
        for i in range(self.settings.PROMPT_DEPTH - 1):
            coupling = f"compound_prompt_projections.{i}"
            rows.append(linear(p[f"compound_prompts_text.{i}"], p[f"{coupling}.weight"], p[f"{coupling}.bias"]))
        return run_image(self.clip, image, rows)

    def terms(self, seen, label):
        return {"ce": cross_entropy(seen.logits, label)}
