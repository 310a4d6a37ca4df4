"""ClippedCoOp: CoOp whose steps have a limited length."""

from dassl.engine import TRAINER_REGISTRY
from torch.nn.utils import clip_grad_norm_

from trainers.coop import CoOp


@TRAINER_REGISTRY.register()
class ClippedCoOp(CoOp):
    """After "On the difficulty of training recurrent neural networks", ICML 2013, section 3.2.

    A gradient that is longer than MAX_NORM is shortened to MAX_NORM. Learned: the context vectors.
    """

    CONFIG = CoOp.CONFIG | {"MAX_NORM": 1.0}

    def update(self, terms):
        self.optim.zero_grad()
        self.precision.backward(sum(terms.values()))
        self.precision.scaler.unscale_(self.optim)  # with amp on a GPU the loss is scaled; otherwise nothing happens
        clip_grad_norm_(self.learner.parameters(), self.settings.MAX_NORM)
        self.precision.step(self.optim)
