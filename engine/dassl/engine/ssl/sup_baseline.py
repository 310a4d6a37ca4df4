from ..build import TRAINER_REGISTRY
from ..loops import TrainerXU
from ..parts.one_loss import Supervised


@TRAINER_REGISTRY.register()
class SupBaseline(Supervised, TrainerXU):
    """The baseline: plain training on the labelled images; the others only set the length of an epoch.

        loss = H(y, p(x))

    H: cross-entropy. Learned: the whole network. Required: a dataset with unlabelled images, as for the methods that
    are compared with it.
    """
