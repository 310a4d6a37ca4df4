"""CoOp the plain way."""

from torch.nn.functional import cross_entropy

from .network import Plain, Prompts


class CoOp(Plain):
    """Learned: the context (M, d), or (C, M, d) for one per class. Loss: cross-entropy."""

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.prompts = self.make_prompts()

    def make_prompts(self) -> Prompts:
        words = " ".join(["X"] * self.settings.N_CTX)
        texts = [f"{words} {name}." for name in self.names]
        position = getattr(self.settings, "CLASS_TOKEN_POSITION", "end")
        return Prompts(self.clip, texts, self.settings.N_CTX, self.names, position)

    def shapes(self):
        shape = (self.settings.N_CTX, self.text_width)
        return {"ctx": (len(self.names), *shape) if getattr(self.settings, "CSC", False) else shape}

    def text_features(self, x):
        return self.prompts.features(self.learned["ctx"])

    def terms(self, seen, label):
        return {"ce": cross_entropy(seen.logits, label)}
