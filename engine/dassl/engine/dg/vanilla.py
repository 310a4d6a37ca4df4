from ..build import TRAINER_REGISTRY
from ..loops import TrainerX
from ..parts.one_loss import Supervised


@TRAINER_REGISTRY.register()
class Vanilla(Supervised, TrainerX):
    """The baseline: plain training on the images of all source domains, also called empirical risk minimisation.

        loss = H(y, p(x))

    H: cross-entropy. Learned: the whole network. Required: nothing.
    """
