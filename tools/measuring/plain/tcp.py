"""TCP the plain way."""

import torch
from torch.nn.functional import cross_entropy, linear

from .network import Plain, Prompts

N_CTX = 4
TEACHERS = {  # all others: the usual ones
    "FGVCAircraft": "a photo of an aircraft {}.",
    "DescribableTextures": "a photo of a {}, a type of texture.",
    "Food101": "a photo of a {}, a type of food.",
}
TEXTS = {  # the first four words stand for the context; all others: "X X X X {}."
    "OxfordPets": "X X X X {}, a type of pet.",
    "OxfordFlowers": "X X X X {}, a type of flower.",
    "FGVCAircraft": "X X X X {}, a type of aircraft.",
    "DescribableTextures": "X X X X {} texture.",
    "StanfordCars": "X X X X {}, a type of car",
    "Food101": "X X X X {}, a type of food.",
    "UCF101": "a photo of a person doing {}.",
}


class TCP(Plain):
    """Learned: the context (4, d) at the input, and an MLP from each class's feature z_c to its prompts T_c (4, d).

    T_c takes the places of the context at the input of layer LAYER. Loss: cross-entropy + W (1 - mean_c cos(w_c, z_c)).
    """

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        text = TEXTS.get(self.dataset, "X X X X {}.")
        self.prompts = Prompts(self.clip, [text.format(name) for name in self.names], N_CTX)

    def teacher_templates(self):
        return [self.template(TEACHERS)]

    def shapes(self):
        d, hidden = self.text_width, self.joint // 4
        return {
            "ctx": (N_CTX, d),
            "meta_net.linear1.weight": (hidden, self.joint),
            "meta_net.linear1.bias": (hidden,),
            "meta_net.linear2.weight": (N_CTX * d, hidden),
            "meta_net.linear2.bias": (N_CTX * d,),
        }

    def text_features(self, x):
        p = self.learned
        hidden = linear(self.w0, p["meta_net.linear1.weight"], p["meta_net.linear1.bias"])
        hidden = hidden * torch.sigmoid(1.702 * hidden)
        prompts = linear(hidden, p["meta_net.linear2.weight"], p["meta_net.linear2.bias"])
        return self.prompts.features(p["ctx"], {self.settings.LAYER: prompts.view(len(self.names), N_CTX, -1)})

    def terms(self, seen, label):
        cosine = (seen.w * self.w0).sum(dim=1)
        return {"ce": cross_entropy(seen.logits, label), "kg": self.settings.W * (1 - cosine.mean())}
