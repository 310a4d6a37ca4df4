"""Rules for the values of settings: ranges, enumerations, lists. Imports nothing heavy."""

import math
from collections.abc import Callable
from dataclasses import dataclass

TRANSFORMS = (
    "random_flip", "random_resized_crop", "normalize", "instance_norm", "random_crop", "random_translation",
    "center_crop", "cutout", "imagenet_policy", "cifar10_policy", "svhn_policy", "randaugment",
    "randaugment_fixmatch", "randaugment2", "gaussian_noise", "colorjitter", "randomgrayscale", "gaussian_blur",
)  # fmt: skip


@dataclass(frozen=True)
class Rule:
    """The values that a setting takes.

    ``words`` completes "it is not ..."; ``holds`` is True for a value that fits. An enumeration also has its
    ``choices``, and ``kind`` says what it enumerates, for the hint on a wrong name.
    """

    words: str
    holds: Callable[[object], bool]
    choices: tuple[str, ...] = ()
    kind: str = "value"


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return _is_whole(value) or (isinstance(value, float) and math.isfinite(value))


def _list(value: object) -> list | None:
    return list(value) if isinstance(value, list | tuple) else None


def whole(low: int, high: int) -> Rule:
    return Rule(f"a whole number from {low:,} to {high:,}", lambda v: _is_whole(v) and low <= v <= high)


def number(low: float, high: float = math.inf, above: bool = False, below: bool = False) -> Rule:
    """Finite numbers from ``low`` to ``high``; ``above`` and ``below`` exclude the ends."""
    start = f"above {low:g}" if above else f"of at least {low:g}"
    end = "" if math.isinf(high) else f" and {'below' if below else 'at most'} {high:g}"
    words = "a finite number" if math.isinf(low) else f"a number {start}{end}"

    def holds(value: object) -> bool:
        excluded = (above and value == low) or (below and value == high)
        return _is_number(value) and low <= value <= high and not excluded

    return Rule(words, holds)


def choice(*names: str) -> Rule:
    words = ", ".join(name or '""' for name in names)
    return Rule(f"one of: {words}", lambda v: isinstance(v, str) and v in names, names)


def transforms() -> Rule:
    """Lists of names of transforms."""

    def holds(value: object) -> bool:
        values = _list(value)
        return values is not None and all(name in TRANSFORMS for name in values)

    return Rule(f"a list of names out of: {', '.join(TRANSFORMS)}", holds, TRANSFORMS, "transform")


def numbers(count: int, rule: Rule) -> Rule:
    """Lists of ``count`` values that fit ``rule``."""

    def holds(value: object) -> bool:
        values = _list(value)
        return values is not None and len(values) == count and all(map(rule.holds, values))

    return Rule(f"{count} values, each {rule.words}", holds)


def some(rule: Rule, least: int = 0) -> Rule:
    """Lists of values that fit ``rule``."""

    def holds(value: object) -> bool:
        values = _list(value)
        return values is not None and len(values) >= least and all(map(rule.holds, values))

    return Rule(f"a list of values, each {rule.words}", holds)


TEXT = Rule("text", lambda v: isinstance(v, str))
FLAG = Rule("True or False", lambda v: isinstance(v, bool))
TEXTS = Rule("a list of texts", lambda v: _list(v) is not None and all(isinstance(x, str) for x in v))
SHARE = number(0, 1)
BELOW_ONE = number(0, 1, below=True)
POSITIVE = number(0, above=True)
WEIGHT = number(0)
ODD = Rule("an odd whole number from 1 to 999", lambda v: _is_whole(v) and 1 <= v <= 999 and v % 2 == 1)
SHARES = Rule(
    "two numbers above 0 and at most 1, the smaller one first",
    lambda v: bool(v) and numbers(2, number(0, 1, above=True)).holds(v) and v[0] <= v[1],
)
