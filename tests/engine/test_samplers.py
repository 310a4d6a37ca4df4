from collections import Counter
from types import SimpleNamespace

import pytest
from dassl.data.samplers import RandomClassSampler, RandomDomainSampler, SeqDomainSampler, build_sampler
from dassl.utils import ConfigError, UnknownNameError
from torch.utils.data import RandomSampler, SequentialSampler

from tests.engine.stock import seed


def source(*groups):
    """Items of which ``groups[g]`` have domain and label ``g``."""
    return [SimpleNamespace(domain=g, label=g) for g, count in enumerate(groups) for _ in range(count)]


def test_domain_samplers_do_not_repeat_an_image_and_stop_below_one_share():
    data = source(7, 4)
    for sampler in (RandomDomainSampler(data, 4, n_domain=0), SeqDomainSampler(data, 4)):
        order = list(sampler)
        assert len(order) == len(set(order)) == len(sampler) == 8
        assert Counter(data[i].domain for i in order) == {0: 4, 1: 4}


def test_small_class_is_filled_up_with_repetitions():
    data = source(2)
    seed()
    assert set(list(RandomClassSampler(data, batch_size=4, n_ins=4))) <= {0, 1}
    assert len(RandomClassSampler(data, batch_size=4, n_ins=4)) == 4


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda d: RandomDomainSampler(d, 5, 2), "BATCH_SIZE 5 cannot be shared equally by 2 domains"),
        (lambda d: RandomDomainSampler(d, 9, 9), "N_DOMAIN 9"),
        (lambda d: RandomClassSampler(d, 2, 4), r"BATCH_SIZE \(2\) must be at least N_INS \(4\)"),
        (lambda d: RandomClassSampler(d, 8, 2), "needs 4 classes, but there are 2"),
    ],
)
def test_settings_that_cannot_work(make, message):
    with pytest.raises(ConfigError, match=message):
        make(source(8, 8))


def test_build_sampler():
    data = source(4, 4)
    kinds = {
        "RandomSampler": RandomSampler,
        "SequentialSampler": SequentialSampler,
        "RandomDomainSampler": RandomDomainSampler,
        "SeqDomainSampler": SeqDomainSampler,
        "RandomClassSampler": RandomClassSampler,
    }
    for name, kind in kinds.items():
        assert type(build_sampler(name, data_source=data, batch_size=4, n_domain=2, n_ins=2)) is kind
    with pytest.raises(UnknownNameError, match="Unknown sampler type: RandomSample.*Did you mean 'RandomSampler'"):
        build_sampler("RandomSample", data_source=data)
