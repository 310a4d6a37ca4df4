"""Domain adaptation: labelled images of the sources, unlabelled ones of the target. One method in each file."""

from .adabn import AdaBN
from .adda import ADDA
from .cdac import CDAC
from .dael import DAEL
from .dann import DANN
from .m3sda import M3SDA
from .mcd import MCD
from .mme import MME
from .se import SE
from .source_only import SourceOnly

__all__ = ["ADDA", "AdaBN", "CDAC", "DAEL", "DANN", "M3SDA", "MCD", "MME", "SE", "SourceOnly"]
