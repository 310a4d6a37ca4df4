from ..build import TRAINER_REGISTRY
from ..loops import TrainerXU
from ..parts.one_loss import Supervised


@TRAINER_REGISTRY.register()
class SourceOnly(Supervised, TrainerXU):
    """Supervised learning on the source; the target's images are loaded, and not looked at.

    The baseline of domain adaptation, and the start of ADDA and AdaBN:

        loss = cross-entropy(source)

    Learned: the whole network.
    """
