"""Zero-shot CLIP: hand-crafted prompts, nothing learned."""

from dassl.engine import TRAINER_REGISTRY

from clip_prompts.clip.learners import encode_texts
from clip_prompts.clip.model import encode_images, unit
from clip_prompts.clip.templates import SELECTED, fill, template_of
from clip_prompts.clip.trainer import CLIPTrainer


@TRAINER_REGISTRY.register()
class ZeroshotCLIP(CLIPTrainer):
    """Classify with the dataset's own prompt, "a photo of a CLASS." or the like.

    "Learning Transferable Visual Models From Natural Language Supervision", ICML 2021, section 3.1:

        p(y=i|x) = softmax_i(s * <f(x), w_i>)     w_i = g(template with class i)

    Learned: nothing.
    """

    CONFIG = {"PREC": "fp16"}

    def templates(self) -> list[str]:
        return [template_of(self.dm.dataset)]

    def build_model(self):
        clip_model, text_encoder = self.load_clip(self.settings.PREC)
        clip_model.to(self.device)
        classnames = self.dm.dataset.classnames
        templates = self.templates()
        print(f"Prompts ({len(templates)}): {'; '.join(templates)}")
        with self.precision.autocast():
            each = [unit(encode_texts(text_encoder, fill(t, classnames), classnames)) for t in templates]
        self.text_features = unit(sum(each) / len(each))  # (C, D)
        self.model = clip_model

    def model_inference(self, image):
        with self.precision.autocast():
            x = unit(encode_images(self.image_encoder, image))
        return self.model.logit_scale.float().exp() * x @ self.text_features.t()

    def train(self):
        print("Nothing to train: the prompts are hand-crafted")
        self.test()


@TRAINER_REGISTRY.register()
class ZeroshotCLIP2(ZeroshotCLIP):
    """Zero-shot CLIP with a prompt ensemble: the mean of seven selected prompts and the dataset's own.

    The same paper, section 3.1.4. ImageNet's own prompt is left out, as upstream does.
    """

    def templates(self) -> list[str]:
        own = [] if self.cfg.DATASET.NAME == "ImageNet" else super().templates()
        return [*SELECTED, *own]
