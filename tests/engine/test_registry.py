"""Registries and the check of names."""

import pytest
from dassl.utils import Registry, UserError, check_availability, get_most_similar_str_to_a_from_b


def _class(name):
    return type(name, (), {})


def test_decorator_returns_the_object_and_the_call_none():
    registry = Registry("R")
    a, b = _class("A"), _class("B")
    assert registry.register()(a) is a
    assert registry.register(b) is None
    assert registry.get("A") is a and registry.get("B") is b
    assert registry.registered_names() == ["A", "B"]


def test_duplicate_needs_force_and_keeps_its_place():
    registry = Registry("R")
    for name in "AB":
        registry.register(_class(name))
    with pytest.raises(KeyError) as caught:
        registry.register(_class("A"))
    assert str(caught.value) == 'An object named "A" was already registered in "R" registry'
    newer = _class("A")
    registry.register(force=True)(newer)
    assert registry.get("A") is newer
    assert registry.registered_names() == ["A", "B"]


def test_unknown_object():
    with pytest.raises(KeyError) as caught:
        Registry("TRAINER").get("X")
    assert str(caught.value) == 'Object name "X" does not exist in "TRAINER" registry'


def test_check_availability_suggests_the_closest():
    check_availability("CoOp", ["CoOp"])
    with pytest.raises(ValueError) as caught:
        check_availability("CoOP", ["CoCoOp", "CoOp"])
    assert isinstance(caught.value, UserError)
    assert str(caught.value) == (
        "The requested one is expected to belong to ['CoCoOp', 'CoOp'], but got [CoOP] (do you mean [CoOp]?)"
    )


def test_most_similar_takes_the_last_of_a_tie():
    assert get_most_similar_str_to_a_from_b("ab", ["ax", "ay"]) == "ay"
    assert get_most_similar_str_to_a_from_b("ab", []) is None
