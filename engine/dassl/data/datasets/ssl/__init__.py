"""Datasets for semi-supervised learning: some images keep their labels, the rest is unlabelled."""

from .cifar import CIFAR10, CIFAR100
from .stl10 import STL10
from .svhn import SVHN
