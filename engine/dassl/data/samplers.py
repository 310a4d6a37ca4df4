"""The order in which a loader visits the images of a list.

The three samplers here draw from Python's global ``random`` (RandomClassSampler also from NumPy's
generator). Their length is found by one full trial pass in the constructor, which draws as well.
"""

import random
from collections import defaultdict

import numpy as np
from torch.utils.data import RandomSampler, Sampler, SequentialSampler

from dassl.utils import ConfigError, UnknownNameError, get_most_similar_str_to_a_from_b


class _TrialLengthSampler(Sampler):
    """A sampler that knows its length only by drawing."""

    def _measure(self):
        self.length = len(list(iter(self)))

    def __len__(self):
        return self.length

    def __iter__(self):
        # All at once: later draws of transforms and models, and batches that loader workers are ahead, cannot move it.
        return iter(list(self._draw()))

    def _draw(self):
        raise NotImplementedError


class _DomainBlockSampler(_TrialLengthSampler):
    """Batches made of equal blocks, one for each of some domains."""

    def __init__(self, data_source, batch_size, n_domain):
        self.data_source = data_source
        self.domain_dict = defaultdict(list)
        for index, item in enumerate(data_source):
            self.domain_dict[item.domain].append(index)
        self.domains = sorted(self.domain_dict)
        if n_domain is None or n_domain <= 0:
            n_domain = len(self.domains)
        if n_domain > len(self.domains):
            raise ConfigError(
                f"N_DOMAIN {n_domain} is more than the {len(self.domains)} domains of the images. Lower it."
            )
        if batch_size % n_domain:
            raise ConfigError(
                f"BATCH_SIZE {batch_size} cannot be shared equally by {n_domain} domains. Set it to a multiple of "
                f"{n_domain}."
            )
        self.batch_size = batch_size
        self.n_domain = n_domain
        self.n_img_per_domain = batch_size // n_domain
        self._measure()

    def _domains_of_round(self):
        raise NotImplementedError

    def _draw(self):
        left = {domain: list(indices) for domain, indices in self.domain_dict.items()}
        share = self.n_img_per_domain
        going_on = all(len(indices) >= share for indices in left.values())
        while going_on:
            for domain in self._domains_of_round():
                drawn = random.sample(left[domain], share)
                yield from drawn
                taken = set(drawn)
                left[domain] = [index for index in left[domain] if index not in taken]
                if len(left[domain]) < share:
                    going_on = False


class RandomDomainSampler(_DomainBlockSampler):
    """Each batch: ``n_domain`` random domains, an equal number of images of each, without replacement.

    Ends with the round in which a drawn domain falls below one share.

    Args:
        data_source (list): items with a ``domain``.
        batch_size (int): images per batch, a multiple of ``n_domain``.
        n_domain (int): domains per batch; None, 0 or less: all.

    Raises ConfigError: the batch cannot be shared equally.
    """

    def _domains_of_round(self):
        return random.sample(self.domains, self.n_domain)


class SeqDomainSampler(_DomainBlockSampler):
    """Each batch: all domains in rising order, an equal number of images of each.

    Args and errors: as :class:`RandomDomainSampler`.
    """

    def __init__(self, data_source, batch_size):
        super().__init__(data_source, batch_size, None)

    def _domains_of_round(self):
        return self.domains


class RandomClassSampler(_TrialLengthSampler):
    """Each batch: ``batch_size // n_ins`` random classes with ``n_ins`` images of each.

    A class with fewer images is filled up by drawing with replacement.

    Args:
        data_source (list): items with a ``label``.
        batch_size (int): images per batch.
        n_ins (int): images per class in a batch.

    Raises ConfigError: (a ValueError) ``batch_size < n_ins``, or there are too few classes.
    """

    def __init__(self, data_source, batch_size, n_ins):
        if batch_size < n_ins:
            raise ConfigError(f"BATCH_SIZE ({batch_size}) must be at least N_INS ({n_ins}). Change one of them.")
        self.data_source = data_source
        self.batch_size = batch_size
        self.n_ins = n_ins
        self.ncls_per_batch = batch_size // n_ins
        self.index_dict = defaultdict(list)
        for index, item in enumerate(data_source):
            self.index_dict[item.label].append(index)
        self.labels = list(self.index_dict)
        if len(self.labels) < self.ncls_per_batch:
            raise ConfigError(
                f"A batch of {batch_size} with N_INS {n_ins} needs {self.ncls_per_batch} classes, "
                f"but there are {len(self.labels)}. Lower BATCH_SIZE or raise N_INS."
            )
        self._measure()

    def _draw(self):
        groups = {label: self._groups_of(label) for label in self.labels}
        open_labels = list(self.labels)
        while len(open_labels) >= self.ncls_per_batch:
            for label in random.sample(open_labels, self.ncls_per_batch):
                yield from groups[label].pop(0)
                if not groups[label]:
                    open_labels.remove(label)

    def _groups_of(self, label):
        """Return the shuffled images of a class in full groups of ``n_ins``; a rest is skipped."""
        indices = list(self.index_dict[label])
        if len(indices) < self.n_ins:
            indices = np.random.choice(indices, size=self.n_ins, replace=True).tolist()
        random.shuffle(indices)
        full = len(indices) - len(indices) % self.n_ins
        return [indices[start : start + self.n_ins] for start in range(0, full, self.n_ins)]


_SAMPLERS = {
    "RandomSampler": lambda source, batch_size, n_domain, n_ins: RandomSampler(source),
    "SequentialSampler": lambda source, batch_size, n_domain, n_ins: SequentialSampler(source),
    "RandomDomainSampler": lambda source, batch_size, n_domain, n_ins: RandomDomainSampler(
        source, batch_size, n_domain
    ),
    "SeqDomainSampler": lambda source, batch_size, n_domain, n_ins: SeqDomainSampler(source, batch_size),
    "RandomClassSampler": lambda source, batch_size, n_domain, n_ins: RandomClassSampler(source, batch_size, n_ins),
}


def build_sampler(sampler_type, cfg=None, data_source=None, batch_size=32, n_domain=0, n_ins=16):
    """Return the sampler of that name for ``data_source``; each takes the settings it needs.

    Raises UnknownNameError: (a ValueError) no sampler has that name.
    """
    if sampler_type not in _SAMPLERS:
        near = get_most_similar_str_to_a_from_b(str(sampler_type), list(_SAMPLERS))
        known = ", ".join(_SAMPLERS)
        raise UnknownNameError(f"Unknown sampler type: {sampler_type}. Did you mean '{near}'? Known: {known}")
    return _SAMPLERS[sampler_type](data_source, batch_size, n_domain, n_ins)
