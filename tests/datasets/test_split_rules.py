"""Split rules and class halves on plain lists."""

import random
from collections import Counter, namedtuple

import pytest

from clip_prompts.data.split_rules import split_per_class, split_trainval
from clip_prompts.data.subsample import subsample_classes

Item = namedtuple("Item", "impath label classname domain")


def items(*counts):
    return [Item(f"{c}_{i}", c, f"class{c}", 0) for c, n in enumerate(counts) for i in range(n)]


def test_trainval_takes_a_rounded_fifth_of_each_class():
    train, val = split_trainval(items(10, 13, 100), rng=random.Random(0))
    assert Counter(item.label for item in val) == {0: 2, 1: 3, 2: 20}
    assert sorted(train + val) == sorted(items(10, 13, 100))


def test_trainval_shuffles_positions_class_by_class():
    """The draws are upstream's: one shuffle of range(n) per class, the first of it for validation."""
    order = list(range(10))
    random.Random(5).shuffle(order)
    train, val = split_trainval(items(10), rng=random.Random(5))
    assert [item.impath for item in val] == [f"0_{i}" for i in order[:2]]
    assert [item.impath for item in train] == [f"0_{i}" for i in order[2:]]


def test_per_class_shares_with_pythons_rounding():
    train, val, test = split_per_class(items(5, 7), rng=random.Random(0))
    assert [Counter(i.label for i in part) for part in (train, val, test)] == [{0: 2, 1: 4}, {0: 1, 1: 1}, {0: 2, 1: 2}]
    assert sorted(train + val + test) == sorted(items(5, 7))


@pytest.mark.parametrize("split", [split_trainval, split_per_class])
def test_a_class_too_small_to_split_is_named(split, user_error):
    user_error(lambda: split(items(20, 2)), "too few", "2")


@pytest.mark.parametrize("split", [split_trainval, split_per_class])
def test_without_rng_the_global_generator_is_used(split):
    random.seed(4)
    first = split(items(20))
    random.seed(4)
    assert split(items(20)) == first == split(items(20), rng=random.Random(4))


@pytest.mark.parametrize(("n", "base", "new"), [(2, 1, 1), (5, 3, 2), (37, 19, 18), (47, 24, 23)])
def test_base_is_the_larger_half(tmp_path, n, base, new):
    (tmp_path / "x").touch()
    full = [Item(str(tmp_path / "x"), label, str(label), 0) for label in range(n)]
    (first,) = subsample_classes(full, subsample="base")
    (second,) = subsample_classes(full, subsample="new")
    assert [item.label for item in first] == list(range(base))
    assert [item.label for item in second] == list(range(new))
    assert [item.classname for item in first + second] == [str(label) for label in range(n)]
    assert subsample_classes(full, subsample="all")[0] is full


def test_unknown_choice_gets_the_closest_match(user_error):
    parts = ["SUBSAMPLE_CLASSES 'bass'", "'base'", "all, base, new"]
    user_error(lambda: subsample_classes(items(4), subsample="bass"), *parts)


def test_new_of_one_class_is_empty(user_error):
    user_error(lambda: subsample_classes(items(4), subsample="new"), "leaves no class", "has 1")
