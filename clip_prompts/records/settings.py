"""The table of all settings: range, meaning, and whether a run's result depends on it.

``settings.json`` is the table: key -> [rule, meaning, marks...]. A rule is a name in ``_NAMED``, or a function here
with its arguments. The marks are fields of ``Setting``. ``docs/config.md`` is written from the table (``python
tools/config_docs.py``), and ``checks.check_config`` checks every config with it. Settings that a plugin declares are
not in the table; only their type is checked. Imports nothing heavy, so that tools can use it.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clip_prompts.common.errors import unknown
from clip_prompts.common.files import read_json
from clip_prompts.common.text import one_line

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
    holds: Callable[[Any], bool]
    choices: tuple[str, ...] = ()
    kind: str = "value"


@dataclass(frozen=True)
class Setting:
    """One config key.

    irrelevant: a run's result does not depend on it: the same command with another value gives the same numbers, up to
    rounding. Paths are irrelevant, because their content counts, and so is everything about memory, speed, printing
    and saving. DATALOADER.NUM_WORKERS is not: with workers, random transforms draw in the workers, from other streams.
    of_run: runs that are averaged may differ in it (the seed, the data). names_file: it is the path of a file with data
    or weights; the content counts, not the path.
    """

    key: str
    rule: Rule
    text: str
    irrelevant: bool = False
    of_run: bool = False
    names_file: bool = False


def whole(low: int, high: int) -> Rule:
    return Rule(
        f"a whole number from {low:,} to {high:,}",
        lambda v: isinstance(v, int) and not isinstance(v, bool) and low <= v <= high,
    )


def number(low: float, high: float = math.inf, above: bool = False, below: bool = False) -> Rule:
    """Finite numbers from ``low`` to ``high``; ``above`` and ``below`` exclude the ends."""
    start = f"above {low:g}" if above else f"of at least {low:g}"
    end = "" if math.isinf(high) else f" and {'below' if below else 'at most'} {high:g}"

    def holds(value: object) -> bool:
        if isinstance(value, bool) or not isinstance(value, int | float) or value in (math.inf, -math.inf):
            return False
        return low <= value <= high and not (above and value == low) and not (below and value == high)

    return Rule("a finite number" if math.isinf(low) else f"a number {start}{end}", holds)


def choice(*names: str) -> Rule:
    words = ", ".join(name or '""' for name in names)
    return Rule(f"one of: {words}", lambda v: isinstance(v, str) and v in names, names)


def some(rule: Rule, least: int = 0) -> Rule:
    """Lists of at least ``least`` values that fit ``rule``."""
    return Rule(
        f"a list of values, each {rule.words}",
        lambda v: isinstance(v, list | tuple) and len(v) >= least and all(map(rule.holds, v)),
    )


def numbers(count: int, rule: Rule) -> Rule:
    """Lists of ``count`` values that fit ``rule``."""
    return Rule(f"{count} values, each {rule.words}", lambda v: some(rule, count).holds(v) and len(v) == count)


_TEXT = Rule("text", lambda v: isinstance(v, str))
_NAMES = some(choice(*TRANSFORMS))
_SHARES = numbers(2, number(0, 1, above=True))
_FUNCTIONS = {rule.__name__: rule for rule in (whole, number, choice, some, numbers)}
_NAMED = {
    "text": _TEXT,
    "texts": Rule("a list of texts", some(_TEXT).holds),
    "flag": Rule("True or False", lambda v: isinstance(v, bool)),
    "share": number(0, 1),
    "shares": Rule("two numbers above 0 and at most 1, the smaller one first",
                   lambda v: _SHARES.holds(v) and v[0] <= v[1]),
    "below_one": number(0, 1, below=True),
    "finite": number(-math.inf),
    "positive": number(0, above=True),
    "weight": number(0),
    "factor": number(0, 10, above=True),
    "odd": Rule("an odd whole number from 1 to 999", lambda v: whole(1, 999).holds(v) and v % 2 == 1),
    "context_length": whole(1, 75),  # CLIP reads 77 tokens, and two of them are start and end
    "precision": choice("fp32", "fp16", "bf16", "amp"),
    "sampler": choice(
        "RandomSampler", "SequentialSampler", "RandomDomainSampler", "SeqDomainSampler", "RandomClassSampler"
    ),
    "transforms": Rule(f"a list of names out of: {', '.join(TRANSFORMS)}", _NAMES.holds, TRANSFORMS, "transform"),
}  # fmt: skip


def _rule(entry: str | dict) -> Rule:
    """The rule of an entry of the table: a name, or {function: arguments}."""
    if isinstance(entry, str):
        return _NAMED[entry]
    [(name, values)] = entry.items()
    if name in ("some", "numbers"):  # of rules
        values = [value if isinstance(value, int) else _rule(value) for value in values]
    return _FUNCTIONS[name](*values)


SETTINGS: dict[str, Setting] = {
    key: Setting(key, _rule(rule), text, **dict.fromkeys(marks, True))
    for key, (rule, text, *marks) in read_json(Path(__file__).with_suffix(".json")).items()
}
IRRELEVANT_SETTINGS, RUN_SETTINGS, FILE_SETTINGS = (
    frozenset(key for key, setting in SETTINGS.items() if getattr(setting, mark))
    for mark in ("irrelevant", "of_run", "names_file")
)


def problem(key: str, value: object) -> str | None:
    """One line with key, value and range if the table has the key and its value does not fit; else None."""
    if key not in SETTINGS or SETTINGS[key].rule.holds(value):
        return None
    rule = SETTINGS[key].rule
    for name in value if isinstance(value, list | tuple) else [value]:
        if isinstance(name, str) and rule.choices and name not in rule.choices:
            known = [choice or '""' for choice in rule.choices]
            return f"{key}: {unknown(rule.kind, one_line(name, 80), known)}"
    as_typed = f"'{one_line(value, 80)}'" if isinstance(value, str) else one_line(repr(value), 80)
    return f"{key} {as_typed} is not {rule.words}. Its meaning: {SETTINGS[key].text}"
