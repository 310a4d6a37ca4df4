"""Datasets for domain generalization: trained on source domains, tested on domains never seen."""

from .cifar_c import CIFAR10C, CIFAR100C
from .digit_single import DigitSingle
from .digits_dg import DigitsDG
from .office_home_dg import OfficeHomeDG
from .pacs import PACS
from .vlcs import VLCS
from .wilds import Camelyon17, FMoW, IWildCam
