"""Section 1.6 and 5.3: samplers."""

import random

from ..checking import check, equal, raises


class Item:
    def __init__(self, label=0, domain=0):
        self.label, self.domain = label, domain


def by_domain(*counts):
    return [Item(domain=domain) for domain, count in enumerate(counts) for _ in range(count)]


def by_label(*counts):
    return [Item(label=label) for label, count in enumerate(counts) for _ in range(count)]


@check("sampler:*")
def sampler_by_name(entry):
    """build_sampler knows the name."""
    from dassl.data.samplers import build_sampler

    made = build_sampler(entry.short, data_source=by_label(4, 4), batch_size=4, n_domain=1, n_ins=2)
    equal(type(made).__name__, entry.short)
    assert sorted(set(made)) and set(made) <= set(range(8))


@check("dassl.data.samplers.build_sampler", "message:Unknown sampler type: {x}")
def unknown_sampler():
    """Another name is a ValueError."""
    from dassl.data.samplers import build_sampler

    with raises(ValueError, "Unknown sampler type: Other"):
        build_sampler("Other", data_source=by_label(4))


@check("sampler:RandomDomainSampler", "dassl.data.samplers.RandomDomainSampler", "cfg.DATALOADER.TRAIN_X.N_DOMAIN")
def random_domains():
    """Batches are blocks of n_domain random domains, without replacement; <= 0 or None means all; ends after the round
    in which a drawn domain falls below one share.
    """
    from dassl.data.samplers import RandomDomainSampler

    source = by_domain(6, 6, 6)
    random.seed(0)
    order = list(RandomDomainSampler(source, 4, 2))
    assert len(set(order)) == len(order) and len(order) % 4 == 0
    for start in range(0, len(order), 4):
        a, b, c, d = (source[i].domain for i in order[start : start + 4])
        assert a == b != c == d
    for everything in (0, -1, None):
        order = list(RandomDomainSampler(source, 6, everything))
        equal(len(order), 18)
        assert all({source[i].domain for i in order[s : s + 6]} == {0, 1, 2} for s in (0, 6, 12))
    equal(len(list(RandomDomainSampler(by_domain(5, 9), 4, 2))), 8)


@check("dassl.data.samplers.RandomDomainSampler")
def shares_are_equal():
    """batch_size must be divisible by n_domain: AssertionError."""
    from dassl.data.samplers import RandomDomainSampler

    with raises(AssertionError, chosen="errors-for-users"):
        RandomDomainSampler(by_domain(6, 6), 5, 2)


@check("sampler:SeqDomainSampler", "dassl.data.samplers.SeqDomainSampler")
def sequential_domains():
    """Every domain, sorted, in each round."""
    from dassl.data.samplers import SeqDomainSampler

    source = by_domain(4, 4)[::-1]
    equal([source[i].domain for i in SeqDomainSampler(source, 4)], [0, 0, 1, 1] * 2)


@check("sampler:RandomClassSampler", "dassl.data.samplers.RandomClassSampler", "cfg.DATALOADER.TRAIN_X.N_INS")
def random_classes():
    """Batches are blocks of n_ins of random classes; a class with fewer is over-sampled with np.random.choice;
    batch_size < n_ins is a ValueError.
    """
    from dassl.data.samplers import RandomClassSampler

    source = by_label(4, 4, 1)
    order = list(RandomClassSampler(source, 4, 2))
    for start in range(0, len(order), 4):
        a, b, c, d = (source[i].label for i in order[start : start + 4])
        assert a == b != c == d
    with raises(ValueError):
        RandomClassSampler(source, 2, 4)


@check("dassl.data.samplers.RandomClassSampler")
def enough_classes():
    """At least batch_size // n_ins classes are needed: AssertionError."""
    from dassl.data.samplers import RandomClassSampler

    with raises(AssertionError, chosen="errors-for-users"):
        RandomClassSampler(by_label(4, 4), 8, 2)


@check("dassl.data.samplers.RandomDomainSampler", "dassl.data.samplers.SeqDomainSampler",
       "dassl.data.samplers.RandomClassSampler")  # fmt: skip
def trial_pass():
    """The constructor runs one full pass for the length, and so draws random numbers once."""
    from dassl.data.samplers import RandomClassSampler, RandomDomainSampler, SeqDomainSampler

    for make in (
        lambda: RandomDomainSampler(by_domain(6, 6), 4, 2),
        lambda: SeqDomainSampler(by_domain(6, 6), 4),
        lambda: RandomClassSampler(by_label(4, 4), 4, 2),
    ):
        random.seed(3)
        made = make()
        constructed = random.getstate()
        random.seed(3)
        equal(len(list(made)), len(made))
        equal(random.getstate(), constructed)
