"""CoCoOp the plain way: one image at a time."""

import torch
from torch.nn.functional import linear, relu

from .coop import CoOp


class CoCoOp(CoOp):
    """Learned: the context v (M, d) and the Meta-Net h. Prompts of image x: v_m + h(x). Loss: cross-entropy.

    Attributes:
        separately: go backward after every image, with the memory of one; the gradients are the same.
    """

    separately = False

    def shapes(self):
        hidden, d = self.joint // 16, self.text_width
        return {
            "ctx": (self.settings.N_CTX, d),
            "meta_net.linear1.weight": (hidden, self.joint),
            "meta_net.linear1.bias": (hidden,),
            "meta_net.linear2.weight": (d, hidden),
            "meta_net.linear2.bias": (d,),
        }

    def text_features(self, x):
        p = self.learned
        hidden = relu(linear(x, p["meta_net.linear1.weight"], p["meta_net.linear1.bias"]))
        shift = linear(hidden, p["meta_net.linear2.weight"], p["meta_net.linear2.bias"])  # (B, d)
        return torch.stack([self.prompts.features(p["ctx"] + one) for one in shift])

    def backward(self, image, label):
        if not self.separately:
            return super().backward(image, label)
        self.zero_grad()
        total = 0.0
        for one, y in zip(image.split(1), label.split(1), strict=True):
            loss = self.terms(self.see(one), y)["ce"] / len(label)
            loss.backward()
            total += loss.item()
        return {"ce": total}
