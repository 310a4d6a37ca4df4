"""A plug-in of methods that are broken on purpose. Each class's docstring names its fault."""

import json

import torch
import torch.nn.functional as F
from dassl.engine import TRAINER_REGISTRY
from torch import nn

from clip_prompts.clip import CLIPTrainer, PromptLearner, unit
from clip_prompts.encoders.blocks import BlockHook
from trainers.cocoop import CoCoOp
from trainers.coop import CoOp
from trainers.ivlp import IVLP
from trainers.kgcoop import KgCoOp
from trainers.vpt import VPT

SETTINGS = {"N_CTX": 2, "PREC": "fp32"}


class Broken(CoOp):
    """CoOp with another learner, ``LEARNER``."""

    CONFIG = SETTINGS
    WORDS_SET_LENGTH = False
    LEARNER = PromptLearner

    def build_prompt_learner(self, clip_model, text_encoder, classnames):
        return self.LEARNER(text_encoder, classnames, n_ctx=self.settings.N_CTX)


class Deep(PromptLearner):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.deep = nn.Parameter(nn.init.normal_(torch.empty_like(self.ctx), std=0.02))

    def text_inputs(self, x=None):
        return super().text_inputs() | {"deep": {1: self.deep}}


@TRAINER_REGISTRY.register()
class Crashes(Broken):
    """A term divides by zero in the second epoch."""

    def loss_terms(self, seen, label):
        return {"ce": F.cross_entropy(seen.logits, label) / (1 // (1 - self.epoch))}


@TRAINER_REGISTRY.register()
class LossRises(Broken):
    """The optimizer climbs."""

    def update(self, terms):
        super().update({name: -term for name, term in terms.items()})


@TRAINER_REGISTRY.register()
class TermDropped(KgCoOp):
    """The term is gone that a learned scale is for."""

    CONFIG = SETTINGS | {"CTX_INIT": "", "CSC": False, "W": 8.0}

    def build_prompt_learner(self, *args):
        learner = super().build_prompt_learner(*args)
        learner.scale = nn.Parameter(torch.ones(1))
        return learner

    def loss_terms(self, seen, label):
        return {"ce": F.cross_entropy(seen.logits, label), "kg": 0 * self.learner.scale.sum()}


@TRAINER_REGISTRY.register()
class WeightLost(KgCoOp):
    """The term is gone that a weight is for."""

    CONFIG = SETTINGS | {"CTX_INIT": "", "CSC": False, "W": 8.0}

    def loss_terms(self, seen, label):
        return {"ce": super().loss_terms(seen, label)["ce"]}


@TRAINER_REGISTRY.register()
class GroupForgotten(Broken):
    """The optimizer does not know the deep rows."""

    LEARNER = Deep

    def parameter_groups(self):
        return [{"params": [self.learner.ctx]}]


@TRAINER_REGISTRY.register()
class ClipTrained(Broken):
    """A norm of CLIP is a part of the learner."""

    def build_prompt_learner(self, clip_model, *args):
        learner = super().build_prompt_learner(clip_model, *args)
        learner.norm = clip_model.ln_final.requires_grad_(True)
        return learner


@TRAINER_REGISTRY.register()
class ScaleTrained(Broken):
    """The temperature of CLIP is learned in place."""

    def build_prompt_learner(self, clip_model, *args):
        learner = super().build_prompt_learner(clip_model, *args)
        self.logit_scale = clip_model.logit_scale.requires_grad_(True)
        return learner

    def parameter_groups(self):
        return [{"params": [self.learner.ctx, self.logit_scale]}]


@TRAINER_REGISTRY.register()
class ClipChanged(Broken):
    """CLIP's projection is rescaled when the method is built."""

    def build_prompt_learner(self, clip_model, *args):
        clip_model.text_projection.data *= 1.1
        return super().build_prompt_learner(clip_model, *args)


@TRAINER_REGISTRY.register()
class TeacherMoves(KgCoOp):
    """The features of the hand-crafted prompts follow the learned ones."""

    CONFIG = SETTINGS | {"CTX_INIT": "", "CSC": False, "W": 8.0}

    def loss_terms(self, seen, label):
        terms = super().loss_terms(seen, label)
        self.w0 = unit(self.w0 + 0.01 * seen.w.detach())
        return terms


@TRAINER_REGISTRY.register()
class NotSaved(Broken):
    """A direction is drawn at the start, added to the context, and not saved."""

    class LEARNER(PromptLearner):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            self.direction = torch.randn(self.ctx.shape)

        def text_inputs(self, x=None):
            return {"context": (self.ctx + self.direction)[None]}


@TRAINER_REGISTRY.register()
class StaleScores(Broken):
    """The first test's text features serve all later ones."""

    class LEARNER(PromptLearner):
        first = None

        def scores(self, seen):
            if self.training:
                return seen.logits
            self.first = seen.w if self.first is None else self.first
            return 10 * seen.x @ self.first.t()


@TRAINER_REGISTRY.register()
class CountLost(Broken):
    """The weight of the loss depends on a count of steps that is not in STATE."""

    count = 0

    def loss_terms(self, seen, label):
        self.count += 1
        return {"ce": F.cross_entropy(seen.logits, label) / self.count}


@TRAINER_REGISTRY.register()
class CachedAnyway(VPT):
    """Tests take features for fixed, although rows of the image encoder are learned."""

    CONFIG = VPT.CONFIG | {"PREC": "fp32", "PROMPT_DEPTH_VISION": 1}
    has_fixed_features = True

    def before_train(self):
        super(CLIPTrainer, self).before_train()  # on images


@TRAINER_REGISTRY.register()
class NeedsPixels(Broken):
    """The loss is weighted by the brightness of the images, which features do not have."""

    def loss_terms(self, seen, label):
        return {"ce": F.cross_entropy(seen.logits, label) * (1 + seen.image.mean())}


@TRAINER_REGISTRY.register()
class RowsMixed(Broken):
    """A hook takes the mean over all rows, of however many prompts there are."""

    class LEARNER(PromptLearner):
        class Centred(BlockHook):
            def after(self, normed, x):
                return x - 0.1 * x.mean(dim=0)

        def text_inputs(self, x=None):
            return super().text_inputs() | {"hooks": {1: self.Centred()}}


@TRAINER_REGISTRY.register()
class PartsMixed(CoCoOp):
    """A term compares the images of a batch, but the loss counts as the mean over images."""

    CONFIG = CoCoOp.CONFIG | {"N_CTX": 2, "PREC": "fp32"}
    WORDS_SET_LENGTH = False
    LOSS_IS_MEAN = True

    def loss_terms(self, seen, label):
        return {"ce": F.cross_entropy(seen.logits, label), "spread": seen.w.std(dim=0, correction=0).mean()}


@TRAINER_REGISTRY.register()
class OldNames(Broken):
    """A checkpoint brings along the names that its prompts are made of."""

    class LEARNER(PromptLearner):
        def __init__(self, encoder, classnames, n_ctx):
            super().__init__(encoder, classnames, n_ctx=n_ctx)
            self.encoder = [encoder]
            self.register_buffer("names", torch.tensor([*json.dumps(list(classnames)).encode()]))

        def _load_from_state_dict(self, state_dict, prefix, *args):
            self.names = state_dict[prefix + "names"]
            names = json.loads(bytes(self.names.tolist()))
            self.prompts = PromptLearner(*self.encoder, names, n_ctx=len(self.ctx)).prompts
            super()._load_from_state_dict(state_dict, prefix, *args)


@TRAINER_REGISTRY.register()
class BiasOfClasses(Broken):
    """A bias per class is loaded for other classes, of which there are as many."""

    class LEARNER(PromptLearner):
        def __init__(self, encoder, classnames, n_ctx):
            super().__init__(encoder, classnames, n_ctx=n_ctx)
            self.bias = nn.Parameter(torch.zeros(len(classnames)))

        def scores(self, seen):
            return seen.logits + self.bias

    def loss_terms(self, seen, label):
        return {"ce": F.cross_entropy(self.learner.scores(seen), label)}


@TRAINER_REGISTRY.register()
class TokensLeftOut(Broken):
    """The test leaves the deep rows out."""

    class LEARNER(Deep):
        def text_inputs(self, x=None):
            return super().text_inputs() if self.training else PromptLearner.text_inputs(self)


@TRAINER_REGISTRY.register()
class ZeroShotTest(IVLP):
    """The test asks the frozen CLIP."""

    CONFIG = IVLP.CONFIG | {"PREC": "fp32", "PROMPT_DEPTH_VISION": 1, "PROMPT_DEPTH_TEXT": 1}

    def model_inference(self, image):
        w = unit(self.teacher.text_features("a photo of a {}.", self.dm.dataset.classnames))
        return unit(self.teacher.image_features(image)) @ w.t()


@TRAINER_REGISTRY.register()
class BatchCentred(Broken):
    """Scores are relative to the mean of the batch."""

    class LEARNER(PromptLearner):
        def scores(self, seen):
            return seen.logits - seen.logits.mean(dim=0)


@TRAINER_REGISTRY.register()
class NotFiniteInHalf(Broken):
    """A constant below 1 is 1 in bfloat16, and its logarithm infinite."""

    def loss_terms(self, seen, label):
        near = torch.full_like(seen.text_features[0, 0], 0.999)
        return {"ce": F.cross_entropy(seen.logits, label), "log": 1e-3 * (1 - near).log().abs()}


@TRAINER_REGISTRY.register()
class DrawsInSteps(Broken):
    """A step draws noise from the default stream."""

    def loss_terms(self, seen, label):
        return {"ce": F.cross_entropy(seen.logits + 0.01 * torch.randn_like(seen.logits), label)}


@TRAINER_REGISTRY.register()
class DrawsInTests(Broken):
    """A test shuffles its classes with the default stream, and puts them back."""

    def test(self, split=None):
        torch.randperm(self.num_classes)
        return super().test(split)


@TRAINER_REGISTRY.register()
class DrawsTooMuch(Broken):
    """The start is drawn twice, and the first one thrown away."""

    def build_prompt_learner(self, *args):
        super().build_prompt_learner(*args)
        return super().build_prompt_learner(*args)


@TRAINER_REGISTRY.register()
class DrawsOneNumber(CoOp):
    """The context starts from words, and one number is drawn for nothing."""

    CONFIG = SETTINGS | {"CTX_INIT": "a photo of a", "CSC": False, "CLASS_TOKEN_POSITION": "end"}

    def build_prompt_learner(self, *args):
        torch.rand(1)
        return super().build_prompt_learner(*args)


@TRAINER_REGISTRY.register()
class StartsAnyhow(Broken):
    """The start is not the seed's."""

    class LEARNER(PromptLearner):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            generator = torch.Generator()
            generator.seed()
            self.ctx.data.normal_(std=0.02, generator=generator)
