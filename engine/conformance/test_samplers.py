"""Section 1.6 and 5.3: samplers."""

import random
import re

import pytest
from dassl.data.samplers import RandomClassSampler, RandomDomainSampler, SeqDomainSampler, build_sampler

from .catalogue import table
from .support import or_user_error


class Item:
    def __init__(self, label=0, domain=0):
        self.label, self.domain = label, domain


def by_domain(*counts):
    return [Item(domain=domain) for domain, count in enumerate(counts) for _ in range(count)]


def by_label(*counts):
    return [Item(label=label) for label, count in enumerate(counts) for _ in range(count)]


@pytest.mark.parametrize("name", table("sampler"))
def test_sampler_by_name(name):
    """build_sampler knows the name."""
    made = build_sampler(name, data_source=by_label(4, 4), batch_size=4, n_domain=1, n_ins=2)
    assert type(made).__name__ == name
    assert sorted(set(made)) and set(made) <= set(range(8))


def test_unknown_sampler():
    """Another name is a ValueError."""
    with pytest.raises(ValueError, match=re.escape("Unknown sampler type: Other")):
        build_sampler("Other", data_source=by_label(4))


def test_random_domains():
    """Batches are blocks of n_domain random domains, without replacement; <= 0 or None means all; ends after the round
    in which a drawn domain falls below one share.
    """
    source = by_domain(6, 6, 6)
    random.seed(0)
    order = list(RandomDomainSampler(source, 4, 2))
    assert len(set(order)) == len(order) and len(order) % 4 == 0
    for start in range(0, len(order), 4):
        a, b, c, d = (source[i].domain for i in order[start : start + 4])
        assert a == b != c == d
    for everything in (0, -1, None):
        order = list(RandomDomainSampler(source, 6, everything))
        assert len(order) == 18
        assert all({source[i].domain for i in order[s : s + 6]} == {0, 1, 2} for s in (0, 6, 12))
    assert len(list(RandomDomainSampler(by_domain(5, 9), 4, 2))) == 8


def test_shares_are_equal():
    """batch_size must be divisible by n_domain: AssertionError."""
    with pytest.raises(or_user_error(AssertionError)):
        RandomDomainSampler(by_domain(6, 6), 5, 2)


def test_sequential_domains():
    """Every domain, sorted, in each round."""
    source = by_domain(4, 4)[::-1]
    assert [source[i].domain for i in SeqDomainSampler(source, 4)] == [0, 0, 1, 1] * 2


def test_random_classes():
    """Batches are blocks of n_ins of random classes; a class with fewer is over-sampled with np.random.choice;
    batch_size < n_ins is a ValueError.
    """
    source = by_label(4, 4, 1)
    order = list(RandomClassSampler(source, 4, 2))
    for start in range(0, len(order), 4):
        a, b, c, d = (source[i].label for i in order[start : start + 4])
        assert a == b != c == d
    with pytest.raises(ValueError):
        RandomClassSampler(source, 2, 4)


def test_enough_classes():
    """At least batch_size // n_ins classes are needed: AssertionError."""
    with pytest.raises(or_user_error(AssertionError)):
        RandomClassSampler(by_label(4, 4), 8, 2)


def test_trial_pass():
    """The constructor runs one full pass for the length, and so draws random numbers once."""
    for make in (
        lambda: RandomDomainSampler(by_domain(6, 6), 4, 2),
        lambda: SeqDomainSampler(by_domain(6, 6), 4),
        lambda: RandomClassSampler(by_label(4, 4), 4, 2),
    ):
        random.seed(3)
        made = make()
        constructed = random.getstate()
        random.seed(3)
        assert len(list(made)) == len(made)
        assert random.getstate() == constructed
