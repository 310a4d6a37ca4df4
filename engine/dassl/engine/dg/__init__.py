"""Domain generalization: training on several labelled domains, for one that is never seen."""

from .crossgrad import CrossGrad
from .daeldg import DAELDG
from .ddaig import DDAIG
from .domain_mix import DomainMix
from .vanilla import Vanilla

__all__ = ["CrossGrad", "DAELDG", "DDAIG", "DomainMix", "Vanilla"]
