"""ProGrad the plain way."""

import torch
from torch.nn.functional import cross_entropy

from .coop import CoOp
from .network import Prompts

TEMPLATES = {  # all others: the usual ones
    "OxfordPets": "a type of pet, a photo of a {}.",
    "OxfordFlowers": "a type of flower, a photo of a {}.",
    "FGVCAircraft": "a type of aircraft, a photo of a {}.",
    "DescribableTextures": "a texture of {}.",
    "Food101": "a type of food, a photo of {}.",
}


class ProGrad(CoOp):
    """CoOp whose gradient loses what points against the gradient of the distillation from the zero-shot classifier.

    L_kl = -T^2 mean_b sum_c p0_c log p_c, at temperature T. Per learned tensor, with g = dL_ce and k = dL_kl: if
    <g, k> < 0, then g - LAMBDA (<g, k> / <k, k>) k takes the place of g.
    """

    def teacher_templates(self):
        return [self.template(TEMPLATES)]

    def make_prompts(self):
        """Prompts of X, the words of the template, and the name, if the context starts from the template."""
        if not self.settings.CTX_INIT:
            return super().make_prompts()
        words = self.settings.CTX_INIT
        words = self.template(TEMPLATES).removesuffix(" {}.") if words == "template" else words
        before = ["X"] * (self.settings.N_CTX - len(words.split()))
        texts = [" ".join([*before, words, f"{name}."]) for name in self.names]
        return Prompts(self.clip, texts, self.settings.N_CTX)

    def terms(self, seen, label):
        t = self.settings.T
        p0 = (self.similarity(seen.x, self.w0) / t).softmax(dim=1)
        log_p = (seen.logits / t).log_softmax(dim=1)
        return {"xe_loss": cross_entropy(seen.logits, label), "kl_loss": -(t**2) * (p0 * log_p).sum(dim=1).mean()}

    def backward(self, image, label):
        terms = self.terms(self.see(image), label)
        for tensor in self.learned.values():
            (g,) = torch.autograd.grad(terms["xe_loss"], tensor, retain_graph=True)
            (k,) = torch.autograd.grad(terms["kl_loss"], tensor, retain_graph=True)
            product, square = (g * k).sum(), (k * k).sum()
            tensor.grad = g - self.settings.LAMBDA * product / square * k if product < 0 and square > 0 else g
        return {name: term.item() for name, term in terms.items()}
