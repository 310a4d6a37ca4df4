"""Zero-shot CLIP: hand-crafted prompts; nothing is learned."""

from dassl.engine import TRAINER_REGISTRY

from clip_prompts.clip import CLIPTrainer, similarity, unit
from clip_prompts.clip.templates import SELECTED


@TRAINER_REGISTRY.register()
class ZeroshotCLIP(CLIPTrainer):
    """Classifies with the hand-crafted prompt of the dataset, such as "a photo of a CLASS."

    "Learning Transferable Visual Models From Natural Language Supervision", ICML 2021, section 3.1:

        p(y=i|x) = softmax_i(s * <f(x), w_i>)     w_i = g(template with class i)

    Learned: nothing.
    """

    CONFIG = {"PREC": "fp16"}

    def templates(self) -> list[str]:
        return [self.template()]

    def build_model(self):
        clip_model, _ = self.load_clip(self.settings.PREC)
        self.model = clip_model
        templates = self.templates()
        print(f"Prompts ({len(templates)}): {'; '.join(templates)}")
        each = [unit(self.teacher.text_features(template, self.dm.dataset.classnames)) for template in templates]
        self.w = unit(sum(each) / len(each))  # (C, D)

    def model_inference(self, image):
        features = image if image.dim() == 2 else self.teacher.image_features(image)
        return similarity(self.model.logit_scale, unit(features), self.w)

    def classifier(self):
        return self.w

    def train(self):
        print("Nothing to train: the prompts are hand-crafted")
        self.test()


@TRAINER_REGISTRY.register()
class ZeroshotCLIP2(ZeroshotCLIP):
    """Zero-shot CLIP with a prompt ensemble: the mean of seven selected prompts and the dataset's own.

    The same paper, section 3.1.4. ImageNet's own prompt is skipped, as in upstream.
    """

    def templates(self) -> list[str]:
        own = [] if self.cfg.DATASET.NAME == "ImageNet" else super().templates()
        return [*SELECTED, *own]
