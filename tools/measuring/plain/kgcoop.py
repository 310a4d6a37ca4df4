"""KgCoOp the plain way."""

from .coop import CoOp


class KgCoOp(CoOp):
    """CoOp with the term W (1 - mean_c cos(w_c, w0_c)); w0: text features of the hand-crafted prompt."""

    def teacher_templates(self):
        return [self.template({"DescribableTextures": "a photo of a {}, a type of texture."})]

    def terms(self, seen, label):
        cosine = (seen.w * self.w0).sum(dim=1)
        return super().terms(seen, label) | {"kg": self.settings.W * (1 - cosine.mean())}
