"""Datasets for domain adaptation: labelled source images, unlabelled target images, tested on the target."""

from .cifar_stl import CIFARSTL
from .digit5 import Digit5
from .domainnet import DomainNet, miniDomainNet
from .office import Office31, OfficeHome
from .visda17 import VisDA17
