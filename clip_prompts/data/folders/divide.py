"""Splits a listing into train, val and test: parts, domains and labels."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from clip_prompts.common.errors import UserError, unknown
from clip_prompts.data.split_rules import split_per_class, split_trainval

from .listing import PARTS, Listing, Picture
from .stored_split import StoredSplit

Pictures = list[Picture]


class Labelled(NamedTuple):
    """A picture with its label from 0. domain: the position of its domain in the list that the run names, else 0."""

    path: str
    label: int
    classname: str
    domain: int


def divide(
    listing: Listing, source: Sequence[str], target: Sequence[str], stored: StoredSplit, needs_val: bool
) -> list[list[Labelled]]:
    """Returns train, val and test of a listing.

    Pictures without a part are split 50/20/30 per class. If the user made parts but no val, and ``needs_val``, val is
    a fifth of each class of train. ``stored`` remembers both. If a run names domains, it trains and validates on
    ``source`` and tests on ``target``. If there are test pictures only, they are used for training too.
    Raises UserError: an unknown domain, a class that is not in train, a class too small to split.
    """
    _check_domains(listing, source, target)
    by_user = any(picture.part for picture in listing.pictures)
    train, val, test = _given(listing, source, target) if by_user else _split(listing, source, target, stored)
    only_test = bool(test) and not train and not val and not source
    if only_test:
        print(f"{listing.source} has test pictures only; they are used for training too, so that class names exist")
        train = test
    labels = _number(picture.key for picture in train)
    lists = [
        [_label(listing, labels, picture, domains) for picture in part]
        for part, domains in ((train, source), (val, source), (test, target))
    ]
    if lists[0] and not lists[1] and not only_test and needs_val:
        lists[:2] = _take_val(lists[0], stored)
        print(f"{len(lists[1])} pictures are taken out of train for validation, a fifth of each class")
    stored.save()
    return lists


def _take_val(train: list[Labelled], stored: StoredSplit) -> tuple[list[Labelled], list[Labelled]]:
    """Returns train and val of the user's train part. Each domain is divided by itself, as in ``_split``."""
    parts: tuple[list, list] = ([], [])
    for domain in dict.fromkeys(row.domain for row in train):
        own = [row for row in train if row.domain == domain]
        divided = stored.divide("val", own, lambda row: row.label, lambda rows, rng: split_trainval(rows, rng=rng))
        for part, rows in zip(parts, divided, strict=True):
            part += rows
    return parts


def target_to_train(
    listing: Listing, train: Sequence[Labelled], test: list[Labelled], target: Sequence[str]
) -> list[Labelled]:
    """Returns pictures of the ``target`` domains to train on without labels.

    Those that the user put into train or, where there are none of the target, those that are tested. ``train`` and
    ``test``: what ``divide`` made. Raises UserError: a class that the training list has not.
    """
    own = [p for p in listing.pictures if p.part == PARTS[0] and p.domain in target]
    if not own:
        return test
    keys = {picture.path: picture.key for picture in listing.pictures}
    labels = {keys[item.path]: item.label for item in train}
    return [_label(listing, labels, picture, target) for picture in own]


def _given(listing: Listing, source: Sequence[str], target: Sequence[str]) -> tuple[Pictures, Pictures, Pictures]:
    """Returns the user's parts; those of the source domains for train and val, of the target domains for test."""
    train, val, test = (
        [p for p in listing.pictures if p.part == part and (not domains or p.domain in domains)]
        for part, domains in zip(PARTS, (source, source, target), strict=True)
    )
    return train, val, test


def _split(
    listing: Listing, source: Sequence[str], target: Sequence[str], stored: StoredSplit
) -> tuple[Pictures, Pictures, Pictures]:
    """Returns the parts of the rule. A source domain is split by itself; a target that is no source is all tested.

    So what a run trains on does not depend on its targets, and a source may be a target as well. Each domain has draws
    of its own, so its split does not depend on the other sources.
    """
    print(f"{listing.source} is not split: 50/20/30 of each class for train/val/test, the same in every run")
    train, val, test = [], [], []
    for domain in dict.fromkeys((*source, *target)) or [None]:
        own = [picture for picture in listing.pictures if domain in (None, picture.domain)]
        if domain is not None and domain not in source:
            test += own
            continue
        place = f" of domain '{domain}'" if domain else ""

        def rule(pictures, rng, place=place):
            return split_per_class(pictures, rng=rng, label=lambda p: f"'{listing.names[p.key]}'{place}")

        parts = stored.divide("split", own, lambda picture: picture.key, rule)
        train += parts[0]
        val += parts[1]
        test += parts[2] if domain is None or domain in target else []
    return train, val, test


def _check_domains(listing: Listing, source: Sequence[str], target: Sequence[str]) -> None:
    """Raises UserError: source without target domains or the other way round, or a domain that no picture has."""
    if not source and not target:
        return
    for kind, domains in (("source", source), ("target", target)):
        if not domains:
            raise UserError(
                f"A run with domains needs both kinds: give --{kind}-domains (DATASET.{kind.upper()}_DOMAINS)."
            )
    there = {picture.domain for picture in listing.pictures if picture.domain}
    if not there:
        raise UserError(f"{listing.source} has no column 'domain'. Add one, or give no source and target domains.")
    for domain in (*source, *target):
        if domain not in there:
            raise unknown(f"domain of {listing.source}", domain, there)


def _number(keys: Iterable[str | int]) -> dict[str | int, int]:
    """Returns labels as they are; folders and names by their place in sorted order (capitals first)."""
    return {key: key if isinstance(key, int) else place for place, key in enumerate(sorted(set(keys)))}


def _label(listing: Listing, labels: dict, picture: Picture, domains: Sequence[str]) -> Labelled:
    name = listing.names[picture.key]
    if picture.key not in labels:
        raise UserError(
            f"{listing.source}: the class '{name}' of {picture.path} is not in train. Add training pictures of it, "
            "or remove the class."
        )
    return Labelled(picture.path, labels[picture.key], name, domains.index(picture.domain) if domains else 0)
