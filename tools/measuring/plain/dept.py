"""DePT the plain way, over CoOp, CoCoOp, KgCoOp and MaPLe."""

import torch
from torch.nn.functional import cross_entropy, linear

from .cocoop import CoCoOp
from .coop import CoOp
from .kgcoop import KgCoOp
from .maple import MaPLe
from .network import Plain

BASES = {"CoOp": CoOp, "CoCoOp": CoCoOp, "KgCoOp": KgCoOp, "MaPLe": MaPLe}


class DePT(Plain):
    """A base method, and a linear head on scaled features of both sides, which are not normalized.

    Loss: (1 - WEIGHT) times the base's cross-entropy, the base's other terms, and WEIGHT times the head's cross-entropy
    on the 2 B rows [t~_y; f~]. Learned: what the base learns, as ``prompt_learner.*``; scalings and head.
    """

    def __init__(self, clip_model, names, settings, dataset="", w0=None) -> None:
        self.base = BASES[settings.BASE](clip_model, names, settings, dataset, w0)
        super().__init__(clip_model, names, settings, dataset, w0)
        self.learned |= {f"prompt_learner.{name}": value for name, value in self.base.learned.items()}

    def shapes(self):
        d, c = self.joint, len(self.names)
        scalings = {f"film_lp_{side}.{part}": (d,) for side in ("img", "text") for part in ("scale", "bias")}
        return scalings | {"linear_probe_proj.weight": (c, d), "linear_probe_proj.bias": (c,)}

    def text_features(self, x):
        return self.base.text_features(x)

    def image_features(self, image):
        return self.base.image_features(image)

    def scores(self, seen):
        """Of a test on the classes of the training."""
        f = self.learned["film_lp_img.scale"] * seen.f + self.learned["film_lp_img.bias"]
        h = linear(f, self.learned["linear_probe_proj.weight"], self.learned["linear_probe_proj.bias"])
        return (1 - self.settings.WEIGHT) * seen.logits + self.settings.WEIGHT * h

    def terms(self, seen, label):
        p, weight, terms = self.learned, self.settings.WEIGHT, self.base.terms(seen, label)
        t = seen.t if seen.t.dim() == 3 else seen.t.expand(len(label), -1, -1)
        own = torch.stack([t[b, y] for b, y in enumerate(label.tolist())])
        text = p["film_lp_text.scale"] * own + p["film_lp_text.bias"]
        image = p["film_lp_img.scale"] * seen.f + p["film_lp_img.bias"]
        h = linear(torch.cat([text, image]), p["linear_probe_proj.weight"], p["linear_probe_proj.bias"])
        head = cross_entropy(h, torch.cat([label, label]))
        return terms | {"ce": (1 - weight) * terms["ce"], "head": weight * head}
