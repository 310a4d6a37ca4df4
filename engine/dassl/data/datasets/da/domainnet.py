"""DomainNet and the part of it that Domain Adaptive Ensemble Learning uses."""

from ..build import DATASET_REGISTRY
from ..shared.domains import DomainLists


@DATASET_REGISTRY.register()
class DomainNet(DomainLists):
    """About 0.6 million images of 345 classes in six styles; validated on the test images of the source.

    ``domainnet/<domain>/<class>/`` and ``domainnet/splits/<domain>_{train,test}.txt``, labels from 0.
    Peng et al., "Moment Matching for Multi-Source Domain Adaptation", ICCV 2019.
    """

    dataset_dir = "domainnet"
    domains = ["clipart", "infograph", "painting", "quickdraw", "real", "sketch"]
    unlabeled = "target"
    lists = {"train": ("splits/{}_train.txt",), "val": ("splits/{}_test.txt",), "test": ("splits/{}_test.txt",)}
    where_to_get = (
        "Get the images and the lists of each domain from http://ai.bu.edu/M3SDA/; the lists belong into splits/."
    )


@DATASET_REGISTRY.register()
class miniDomainNet(DomainLists):  # noqa: N801  (the name is part of the interface)
    """126 classes and four styles of DomainNet, listed in ``domainnet/splits_mini/<domain>_{train,test}.txt``.

    Zhou et al., "Domain Adaptive Ensemble Learning", TIP 2021, section IV-A.
    """

    dataset_dir = "domainnet"
    domains = ["clipart", "painting", "real", "sketch"]
    unlabeled = "target"
    lists = {"train": ("splits_mini/{}_train.txt",), "test": ("splits_mini/{}_test.txt",)}
    where_to_get = (
        "Get the images of DomainNet from http://ai.bu.edu/M3SDA/ and the folder splits_mini, which the authors of "
        "Domain Adaptive Ensemble Learning released with Dassl.pytorch (DATASETS.md there links it)."
    )
